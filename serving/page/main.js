// The page: what a person asks of it, carried out one thing at a time.
import { Api } from "./api.js";
import { order } from "./comparison.js";
import { Compose } from "./compose.js";
import { Deletion } from "./deletion.js";
import { byId, make, save } from "./dom.js";
import { Mistake, failureOf } from "./failures.js";
import { HistoryList } from "./history-list.js";
import { begin, choose, moment, nameOf, number, otherLanguage, whenLanguageChanges } from "./language.js";
import { Notices } from "./notices.js";
import { Opinions } from "./opinions.js";
import { Player } from "./player.js";
import { atOneRate } from "./resample.js";
import { askServer, formatsFor } from "./served.js";
import { encoded, speak } from "./speech.js";
import { Stage } from "./stage.js";
import { Store, entryFrom } from "./store.js";
import { entryOf, fileName } from "./take.js";
import { Voices } from "./voices.js";

/** @typedef {import("./take.js").Entry} Entry */
/** @typedef {import("./store.js").Summary} Summary */
/** @typedef {(signal: AbortSignal) => Promise<void>} Work */

const api = new Api({ fetch: (path, init) => fetch(path, init), kept: sessionOr(new Map()) });
const player = new Player();
const stage = new Stage(player);
const notices = new Notices(api);
const store = new Store();
const list = new HistoryList(store, {
  play: replay,
  reuse: (kept) => compose.reuse(kept),
  remove: (kept) => deletion.one(kept),
});
const compose = new Compose({ speak: () => start(compose.isPair ? speakTwo : speakOne) });
const deletion = new Deletion({ api, store, list, stage });
new Opinions({ api, stage, list });
const voices = new Voices({
  api,
  async changed(id) {
    await ask();
    if (id) compose.speakIn(id);
  },
});

/** @type {AbortController | null} */
let request = null;

/** Carries out one thing; what was under way ends. @param {Work} work */
async function start(work) {
  request?.abort();
  const mine = new AbortController();
  request = mine;
  notices.clear();
  showStop();
  try {
    await work(mine.signal);
  } catch (error) {
    if (!mine.signal.aborted) failWork(error, work);
  } finally {
    if (request === mine) request = null;
    showStop();
  }
}

/** What was made until then stays. @param {unknown} error @param {Work} work */
function failWork(error, work) {
  const heard = stage.isWhole ? 0 : player.seconds;
  stage.complete();
  stage.say(heard ? "status.stopped.kept" : stage.entry ? "status.stopped" : "status.idle");
  fail(error, heard, () => start(work));
}

/**
 * @param {unknown} error
 * @param {number} heard seconds of speech that are there
 * @param {() => Promise<void>} again tries once more what failed
 */
function fail(error, heard, again) {
  const failure = failureOf(error, { online: navigator.onLine, hasKey: api.key !== "", heard });
  if (failure.way === "key") api.key = "";
  if (failure.key === "error.page") console.error(error);
  notices.show(failure, async () => {
    notices.clear();
    await again();
    if (failure.way === "key" && again !== ask) await ask(); // what the key opens is offered too
  });
  if (failure.field) compose.markWrong(failure.field);
}

/** @type {Work} */
async function speakOne(signal) {
  const { wish, version, served } = compose;
  prepare(false);
  stage.say("status.speaking");
  /** @type {Entry | null} */
  let entry = null;
  const take = await speak(api, wish, {
    version,
    most: served.most,
    signal,
    begin(begun) {
      entry = entryOf(wish, [begun]);
      present(entry, false);
      player.play();
    },
    tell: (at, of) => of > 1 && stage.say("status.part", { at, of }),
  });
  compose.kept = take.version ?? compose.kept;
  compose.translate();
  stage.complete();
  sayDone(version, take);
  if (!entry) return;
  offerFormats(entry); // by now all its requests are known
  await keep(entry);
}

/** @param {string | null} asked @param {import("./take.js").Take} take */
function sayDone(asked, take) {
  const [from, to] = [take.versions[0], take.version];
  if (take.versions.length > 1) stage.say("status.changed", { from, to: to ?? "?" });
  else if (asked && to && asked !== to) stage.say("status.elsewhere", { asked, spoke: to });
  else stage.say("status.done", { seconds: number(take.seconds, 1) });
}

/** @type {Work} */
async function speakTwo(signal) {
  const { wish, pair, served, isBlind } = compose;
  prepare(true);
  stage.say("status.both");
  const both = new AbortController(); // the failure of one ends the other
  signal.addEventListener("abort", () => both.abort());
  const asking = { most: served.most, signal: both.signal };
  const speaking = pair.map((version) => speak(api, wish, { ...asking, version }));
  const takes = await Promise.all(speaking).finally(() => both.abort());
  for (const [at, take] of takes.entries()) {
    const [asked, field] = [pair[at], compose.pairFields[at]];
    const spoke = take.versions.find((version) => version !== asked);
    if (spoke) throw new Mistake("error.elsewhere", { asked, spoke }, field);
  }
  const entry = entryOf(wish, takes, { blind: isBlind, order: order(isBlind) });
  await present(entry, true);
  stage.say("status.both.done");
  player.play();
  await keep(entry);
}

/** @param {boolean} isPair */
function prepare(isPair) {
  player.prepare(compose.served.sampleRate); // sound is allowed only from where the person has just acted
  stage.await(isPair);
  list.mark("");
}

/** @param {Entry} entry @param {boolean} isWhole */
async function present(entry, isWhole) {
  const recordings = entry.takes.flatMap(({ recording }) => recording ?? []);
  stage.show(entry, recordings.length === 2 ? await atOneRate(recordings) : recordings, isWhole);
  byId("comment-form").hidden = true;
  offerFormats(entry);
}

/** @param {Entry} entry */
function offerFormats(entry) {
  const formats = formatsFor(compose.served, entry.takes[0].parts.length);
  const options = formats.map((format) => make("option", { value: format }, format.toUpperCase()));
  byId("format", "select").replaceChildren(...options);
}

/** Into the history. @param {Entry} entry */
async function keep(entry) {
  try {
    await store.put(entry);
  } catch {
    stage.tell({ key: "history.failed" });
  }
  await list.refresh();
  if (stage.entry === entry) list.mark(entry.id);
}

/** @param {Summary} kept */
function replay(kept) {
  player.prepare(compose.served.sampleRate);
  start(async () => {
    const entry = await entryFrom(kept);
    await present(entry, true);
    stage.say("status.replay", { when: moment(kept.at) });
    list.mark(kept.id);
    player.play();
  });
}

/** @type {Work} */
async function download(signal) {
  const { entry } = stage;
  const format = byId("format", "select").value;
  const [take] = entry?.takes ?? [];
  if (!entry || !take.recording) return;
  if (format === "wav") {
    save(new Blob([take.recording.wav()], { type: "audio/wav" }), fileName(entry, format));
  } else {
    stage.say("download.making");
    save(await encoded(api, entry.wish, take, format, signal), fileName(entry, format));
  }
  stage.say("download.done");
}

function stop() {
  const wasMaking = request !== null;
  request?.abort();
  request = null;
  notices.clear();
  player.pause();
  stage.complete();
  if (wasMaking) stage.say(player.seconds ? "status.stopped.kept" : "status.stopped");
  if (document.activeElement === byId("stop")) byId("speak").focus(); // a disabled button loses the focus
  showStop();
}

function showStop() {
  byId("stop", "button").disabled = !request && !player.isOn;
}

/** @param {Map<string, string>} memory @returns {Pick<Storage, "getItem" | "setItem" | "removeItem">} */
function sessionOr(memory) {
  try {
    return sessionStorage;
  } catch {
    // a browser that keeps nothing
    return {
      getItem: (key) => memory.get(key) ?? null,
      setItem: (key, value) => void memory.set(key, value),
      removeItem: (key) => void memory.delete(key),
    };
  }
}

/** Asks the server what it can do. */
async function ask() {
  /** @type {string | null} */
  let version = null;
  try {
    version = compose.version;
  } catch {
    // one is being typed
  }
  try {
    const served = await askServer(api, version);
    compose.offer(served);
    voices.offer(served);
  } catch (error) {
    fail(error, 0, ask);
  }
}

function listen() {
  byId("stop").addEventListener("click", stop);
  byId("download").addEventListener("click", () => start(download));
  byId("language").addEventListener("click", () => choose(otherLanguage()));
  byId("help").addEventListener("click", () => byId("keys", "dialog").showModal());
  for (const id of ["version", "version-typed"]) byId(id).addEventListener("change", ask);
  player.addEventListener("state", showStop);
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("compose", "form").requestSubmit();
    else if (event.key === "Escape" && !byId("stop", "button").disabled) stop();
    else return;
    event.preventDefault();
  });
}

function showLanguage() {
  const other = otherLanguage();
  byId("language").textContent = nameOf(other);
  byId("language").lang = other;
  compose.translate();
  stage.translate();
  notices.translate();
  list.translate();
  voices.translate();
}

async function open() {
  const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);
  for (const key of document.querySelectorAll(".speak-key")) key.textContent = isMac ? "⌘ ↵" : "Ctrl ↵";
  whenLanguageChanges(showLanguage);
  begin();
  listen();
  ask();
  await store.open();
  await list.refresh();
}

open();
