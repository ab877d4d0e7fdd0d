// Speaks the typed text through the API of the same origin, and says which version spoke.
const element = (id) => document.getElementById(id);
const [form, text, speed, speak, stop, audio] =
  ["form", "text", "speed", "speak", "stop", "audio"].map(element);
const KEPT = 10;
let request = null;

function say(message, wrong = false) {
  element("status").textContent = message;
  element("status").classList.toggle("wrong", wrong);
}

// The server streams, so the header it sends first cannot know the length; here it is known.
function withLength(wav) {
  const view = new DataView(wav);
  view.setUint32(4, wav.byteLength - 8, true);
  view.setUint32(40, wav.byteLength - 44, true);
  return wav;
}

async function reasonOf(answer) {
  try {
    return (await answer.json()).error.message;
  } catch {
    return `The server answered ${answer.status} without saying why.`;
  }
}

function remember(version, revision, spoken) {
  element("version").textContent = version;
  element("revision").textContent = revision;
  element("spoke").hidden = false;
  const item = document.createElement("li");
  item.textContent = `${version}: “${spoken.length > 80 ? `${spoken.slice(0, 79)}…` : spoken}”`;
  element("history").prepend(item);
  while (element("history").children.length > KEPT) element("history").lastChild.remove();
}

function load(wav) {
  if (audio.src) URL.revokeObjectURL(audio.src);
  audio.src = URL.createObjectURL(new Blob([wav], { type: "audio/wav" }));
}

async function speakText() {
  request?.abort();
  const mine = new AbortController();
  request = mine;
  audio.pause();
  stop.disabled = false;
  say("Speaking …");
  const began = performance.now();
  try {
    const spoken = text.value.trim();
    const answer = await fetch("v1/audio/speech", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "tts", input: spoken, speed: Number(speed.value), response_format: "wav" }),
      signal: mine.signal,
    });
    if (!answer.ok) {
      say(await reasonOf(answer), true);
      return;
    }
    const wav = withLength(await answer.arrayBuffer());
    remember(answer.headers.get("x-tts-version"), answer.headers.get("x-tts-revision"), spoken);
    load(wav);
    say(`Done in ${((performance.now() - began) / 1000).toFixed(2)} seconds.`);
    await audio.play().catch(() => say("Ready: press play, this browser does not start audio by itself."));
  } catch (error) {
    if (error.name === "AbortError") {
      if (request === mine) say("Stopped.");
    } else {
      say("The server could not be reached, or ended in the middle; try again.", true);
    }
  } finally {
    if (request === mine) {
      request = null;
      stop.disabled = audio.paused;
    }
  }
}

async function showVersion() {
  try {
    const served = await (await fetch("version")).json();
    element("served").textContent =
      `${served.model}, ${served.sampleRate / 1000} kHz. Version ${served.version} answered when this page was loaded.`;
  } catch {
    element("served").textContent = "The server does not answer; reload the page to try again.";
  }
}

function count() {
  element("count").textContent = `${text.value.length} of ${text.maxLength} characters`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  speakText();
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
text.addEventListener("input", count);
speed.addEventListener("input", () => {
  element("pace").textContent = Number(speed.value).toFixed(1);
});
stop.addEventListener("click", () => {
  request?.abort();
  if (!audio.paused) {
    audio.pause();
    say("Stopped.");
  }
  stop.disabled = true;
  speak.focus();
});
audio.addEventListener("ended", () => {
  stop.disabled = true;
});
count();
showVersion();
