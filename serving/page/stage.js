// The player's card: one or two waveforms, what is known of them, and what a person thinks of them.
import { isHidden, preferred, shown } from "./comparison.js";
import { byId, make } from "./dom.js";
import { number, t } from "./language.js";
import { loudness, matched } from "./loudness.js";
import { Waveform } from "./waveform.js";

/** @typedef {import("./language.js").Key} Key */
/** @typedef {import("./player.js").Player} Player */
/** @typedef {import("./recording.js").Recording} Recording */
/** @typedef {import("./take.js").Entry} Entry */
/** @typedef {import("./take.js").Take} Take */

/** @typedef {{key: Key, values?: Record<string, string | number>}} Said a text that is written anew in another language */

const LETTERS = ["A", "B"];
const CHARACTERS_PER_SECOND = 14; // of speech: how wide the picture is while the length is not known

export class Stage {
  /** @type {Entry | null} */
  entry = null;
  /** How loud the takes of a pair are, in LUFS. @type {number[]} */
  levels = [];
  #player;
  #lanes = [...document.querySelectorAll(".lane")];
  #picks = /** @type {HTMLButtonElement[]} */ (this.#lanes.map((lane) => lane.querySelector(".pick")));
  #play = byId("play", "button");
  #status = byId("status", "p");
  #facts = byId("facts", "dl");
  #outcome = byId("outcome");
  /** @type {Said} */
  #said = { key: "status.idle" };
  /** @type {Said[]} */
  #told = [];
  /** Whether no more comes of what is shown. */
  isWhole = true;

  /** @param {Player} player */
  constructor(player) {
    this.#player = player;
    this.#waveforms = this.#lanes.map((lane) => this.#waveformOf(lane));
    this.#play.addEventListener("click", () => this.toggle());
    for (const [at, pick] of this.#picks.entries()) pick.addEventListener("click", () => this.#pick(at));
    byId("player").addEventListener("keydown", (event) => this.#key(event));
    player.addEventListener("state", () => this.#follow());
    player.addEventListener("blocked", () => this.say("status.press"));
  }

  /** @type {Waveform[]} */
  #waveforms;

  toggle() {
    if (this.#player.isOn) this.#player.pause();
    else this.#player.play();
  }

  /** @param {Key} key @param {Record<string, string | number>} [values] */
  say(key, values) {
    this.#said = { key, values };
    this.#writeStatus();
  }

  /** What a vote or a rating came to. @param {...Said} lines */
  tell(...lines) {
    this.#told = lines;
    this.#outcome.replaceChildren(...lines.map(({ key, values }) => make("p", {}, t(key, values))));
  }

  /** Empty, while the first sound is awaited. @param {boolean} isPair */
  await(isPair) {
    this.entry = null;
    this.#player.load([]);
    this.#setUp(isPair);
    for (const waveform of this.#waveforms) waveform.show(null);
    this.#writeFacts();
  }

  /**
   * @param {Entry} entry
   * @param {Recording[]} recordings of its takes, in their order
   * @param {boolean} isWhole whether no more comes
   */
  show(entry, recordings, isWhole) {
    this.entry = entry;
    this.isWhole = isWhole;
    const isPair = recordings.length === 2;
    this.#setUp(isPair);
    this.levels = isPair ? recordings.map((one) => loudness(one.slice(0, one.length), one.sampleRate)) : [0];
    const gains = matched(this.levels);
    const { text, speed } = entry.wish;
    for (const [place, at] of entry.order.entries()) {
      this.#waveforms[place].show(recordings[at], text.length / CHARACTERS_PER_SECOND / speed);
      for (const name of ["grow", "end"]) recordings[at].addEventListener(name, () => this.#grown(entry));
    }
    byId("player").scrollIntoView({ block: "nearest" }); // on a phone it may lie below the form
    this.#player.load(entry.order.map((at) => ({ recording: recordings[at], gain: gains[at] })));
    this.#writeFacts();
    this.#follow();
  }

  /** All of the entry is there. */
  complete() {
    this.isWhole = true;
    this.#writeFacts();
  }

  /** Writes anew what depends on the language, a rating or a vote. */
  translate() {
    this.#writeStatus();
    this.tell(...this.#told);
    this.#writeFacts();
    this.#follow();
    for (const waveform of this.#waveforms) waveform.sayAgain();
  }

  /** @param {boolean} isPair */
  #setUp(isPair) {
    this.tell();
    this.#lanes[1].toggleAttribute("hidden", !isPair);
    this.#picks[0].hidden = !isPair;
  }

  /** @param {Entry} entry */
  #grown(entry) {
    if (entry === this.entry) this.#draw();
  }

  /** @param {Element} lane */
  #waveformOf(lane) {
    const element = /** @type {HTMLElement} */ (lane.querySelector(".waveform"));
    const seek = (/** @type {number} */ seconds) => this.#player.seek(seconds);
    return new Waveform(element, seek, (position, seconds) =>
      seconds ? t("player.at", { position: number(position, 1), seconds: number(seconds, 1) }) : t("player.none"),
    );
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const isOnPlayer = /** @type {Element} */ (event.target).closest(".waveform, .pick, #play");
    if (!isOnPlayer || event.ctrlKey || event.metaKey || event.altKey) return;
    const picked = LETTERS.indexOf(event.key.toUpperCase());
    if (picked >= 0 && this.entry?.takes.length === 2) this.#pick(picked);
    else if (event.key === " " && isOnPlayer.matches(".waveform")) this.toggle();
    else return;
    event.preventDefault();
  }

  /** @param {number} at */
  #pick(at) {
    this.#player.choose(at);
    this.say("status.hearing", { letter: LETTERS[at] });
  }

  /** The player has changed: its buttons say so, and the picture moves while it plays. */
  #follow() {
    const { isOn, state, heard, tracks } = this.#player;
    this.#play.disabled = !tracks.length;
    this.#play.setAttribute("aria-label", t(isOn ? "player.pause" : "player.play"));
    this.#play.querySelector("use")?.setAttribute("href", isOn ? "#i-pause" : "#i-play");
    for (const [at, pick] of this.#picks.entries()) {
      pick.setAttribute("aria-pressed", String(at === heard));
      pick.setAttribute("aria-label", t("player.pick", { letter: LETTERS[at] }));
    }
    const isPair = tracks.length === 2;
    for (const [at, { element }] of this.#waveforms.entries()) {
      element.setAttribute("aria-label", t(!isPair ? "player.position" : at ? "player.position.b" : "player.position.a"));
      element.setAttribute("aria-disabled", String(!tracks.length));
    }
    this.#writeStatus();
    for (const waveform of this.#waveforms) waveform.draw(); // the one that is heard looks otherwise
    this.#draw();
    if (state === "playing") requestAnimationFrame(() => this.#advance());
  }

  #isAdvancing = false;

  #advance() {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    const step = () => {
      this.#draw();
      if (this.#player.state === "playing") requestAnimationFrame(step);
      else this.#isAdvancing = false;
    };
    step();
  }

  #draw() {
    const { position, seconds } = this.#player;
    for (const waveform of this.#waveforms) waveform.move(position);
    const text = this.#player.tracks.length ? `${clock(position)} / ${clock(seconds)}` : "";
    if (byId("clock").textContent !== text) byId("clock").textContent = text;
  }

  #writeStatus() {
    const { key, values } = this.#player.state === "waiting" ? { key: /** @type {Key} */ ("status.waiting") } : this.#said;
    const text = t(key, values);
    if (this.#status.textContent !== text) this.#status.textContent = text; // said once by a screen reader
  }

  /** What is known of the takes; nothing of two whose versions are still hidden. */
  #writeFacts() {
    const { entry } = this;
    const isKnown = entry !== null && !isHidden(entry);
    this.#facts.hidden = !isKnown;
    byId("vote").hidden = !entry || entry.takes.length !== 2 || entry.vote !== null;
    byId("after").hidden = !entry || entry.takes.length === 2 || !this.isWhole;
    for (const button of byId("after").querySelectorAll("[data-rating]")) {
      const isOn = entry?.rating === /** @type {HTMLElement} */ (button).dataset.rating;
      button.setAttribute("aria-pressed", String(isOn));
    }
    if (entry && isKnown) this.#facts.replaceChildren(...this.#factsOf(entry));
  }

  /** @param {Entry} entry */
  #factsOf(entry) {
    const isPair = entry.takes.length === 2;
    const takes = entry.order.map((at, place) => {
      const take = entry.takes[at];
      const name = isPair ? `${t("facts.version")} ${LETTERS[place]}` : t("facts.version");
      return fact(name, make("strong", {}, take.versions.join(" → ")), take.revision ?? "");
    });
    const [take] = entry.takes;
    const first = t("facts.milliseconds", { milliseconds: number(take.first * 1000) });
    const made = this.isWhole && take.total ? t("facts.made", { seconds: number(take.total, 2) }) : "";
    const length = this.isWhole ? t("facts.seconds", { seconds: number(take.seconds, 1) }) : "…";
    const timing = isPair ? [] : [fact(t("facts.first"), first), fact(t("facts.length"), length, made)];
    return [...takes, ...timing, fact(t("facts.seed"), String(entry.wish.seed))];
  }
}

/** The lines that say what a vote was and which versions it was about. @param {Entry} entry @returns {Said[]} */
export function revealed(entry) {
  const [a, b] = shown(entry);
  const version = preferred(entry);
  return [
    version ? { key: "vote.preferred", values: { version } } : { key: "vote.none" },
    { key: "vote.reveal", values: { a, b } },
  ];
}

/** @param {string} name @param {Node | string} value @param {string} [more] */
function fact(name, value, more) {
  const described = make("dd", {}, value);
  if (more) described.append(make("span", { class: "small" }, more));
  return make("div", {}, make("dt", {}, name), described);
}

/** @param {number} seconds @returns {string} `1:05` */
function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
