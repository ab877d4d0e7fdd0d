// The form: what to speak, how, and by which version.
import { isHidden, shown } from "./comparison.js";
import { byId, make } from "./dom.js";
import { exampleAfter, exampleFor } from "./examples.js";
import { Mistake } from "./failures.js";
import { languageNames, number, t } from "./language.js";
import { parts } from "./parts.js";
import { Phonemes } from "./phonemes.js";
import { LEAST } from "./served.js";
import { VersionChoice } from "./versions.js";

/** @typedef {import("./served.js").Served} Served */
/** @typedef {import("./take.js").Wish} Wish */

export class Compose {
  /** @type {Served} */
  served = LEAST;
  /** The version that this page stays with where the person has chosen none. @type {string | null} */
  kept = null;
  #form = byId("compose", "form");
  #text = byId("text", "textarea");
  #voice = byId("voice", "select");
  #speed = byId("speed", "input");
  #seed = byId("seed", "input");
  #modes = /** @type {NodeListOf<HTMLInputElement>} */ (this.#form.querySelectorAll("[name=mode]"));
  #version = new VersionChoice("version");
  #other = new VersionChoice("other");
  #phonemes = new Phonemes();

  /** @param {{speak: () => void}} acts */
  constructor({ speak }) {
    this.#text.value = exampleAfter("", []);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      speak();
    });
    this.#text.addEventListener("input", () => {
      this.#text.removeAttribute("aria-invalid");
      this.#count();
    });
    this.#speed.addEventListener("input", () => this.#showPace());
    byId("example").addEventListener("click", () => {
      this.#text.value = exampleAfter(this.#text.value, this.served.languages);
      this.#count();
    });
    for (const mode of this.#modes) mode.addEventListener("change", () => this.translate());
  }

  /** Whether two versions are compared. */
  get isPair() {
    return new FormData(this.#form).get("mode") === "two";
  }

  get isBlind() {
    return byId("blind", "input").checked;
  }

  /** @returns {Wish} Raises Mistake. */
  get wish() {
    const text = this.#text.value.trim();
    if (!text) throw new Mistake("error.empty", {}, "text");
    return {
      text,
      voice: this.served.voices.length ? this.#voice.value : null,
      speed: Number(this.#speed.value),
      seed: this.#seedOr(newSeed),
      phonemes: this.served.phonemes ? this.#phonemes.value : {},
    };
  }

  /** @returns {string | null} the version to ask; null: whichever answers. Raises Mistake. */
  get version() {
    return this.#version.value ?? this.kept;
  }

  /** @returns {[string, string]} the two versions to compare. Raises Mistake. */
  get pair() {
    const [first, second] = [this.#version.value, this.#other.value];
    if (!first || !second) throw new Mistake("error.version", {}, first ? this.#other.field : this.#version.field);
    if (first === second) throw new Mistake("error.pair", {}, this.#other.field);
    return [first, second];
  }

  /** Which elements to correct where the versions cannot be compared. */
  get pairFields() {
    return [this.#version.field, this.#other.field];
  }

  /** Puts what was asked for before into the form. @param {import("./comparison.js").Compared & {wish: Wish}} entry */
  reuse(entry) {
    const { wish } = entry;
    const versions = isHidden(entry) ? [] : shown(entry);
    const mode = entry.takes.length === 2 ? "two" : "one";
    for (const input of this.#modes) input.checked = input.value === mode;
    this.translate(); // the choices of a version are those of the mode
    this.#text.value = wish.text;
    this.#speed.value = String(wish.speed);
    this.#seed.value = String(wish.seed);
    this.#phonemes.value = wish.phonemes;
    if (wish.voice && this.served.voices.some(({ id }) => id === wish.voice)) this.#voice.value = wish.voice;
    const [first, second] = versions;
    if (first) this.#version.value = !second && first === this.kept ? null : first;
    if (second) this.#other.value = second;
    this.translate();
    this.#text.focus();
  }

  /** @param {string} id of a voice to speak in from now on */
  speakIn(id) {
    this.#voice.value = id;
  }

  /** @param {string} field an element's id: what it holds was not accepted */
  markWrong(field) {
    if (field === "text") this.#text.setAttribute("aria-invalid", "true");
  }

  /** @param {Served} served */
  offer(served) {
    this.served = served;
    this.kept ??= served.version;
    const voice = this.#voice.value;
    this.#voice.replaceChildren(...served.voices.map(({ id, name }) => make("option", { value: id }, name)));
    const ids = served.voices.map(({ id }) => id);
    this.#voice.value = ids.includes(voice) ? voice : (served.voices.find((one) => one.isDefault)?.id ?? ids[0] ?? "");
    byId("voice-field").hidden = !ids.length && !served.recordings?.kept;
    [this.#speed.min, this.#speed.max] = served.speeds.map(String);
    byId("phonemes").hidden = !served.phonemes;
    this.#phonemes.alphabet = served.alphabet;
    this.#text.value = exampleFor(this.#text.value, served.languages);
    this.translate();
  }

  /** Writes anew what depends on the language, the mode, or what is served. */
  translate() {
    const { isPair, served } = this;
    byId("other-field").hidden = !isPair;
    byId("blind-field").hidden = !isPair;
    byId("version-field").querySelector("label")?.replaceChildren(t(isPair ? "version.a" : "version.label"));
    byId("speak-label").textContent = t(isPair ? "speak.two" : "speak");
    byId("more").querySelector("summary")?.replaceChildren(t(served.phonemes ? "more" : "seed.label"));
    this.#version.offer(served.versions, { automatic: !isPair, kept: this.kept });
    if (isPair) this.#offerOther();
    byId("served").textContent = this.#about();
    this.#phonemes.translate();
    this.#count();
    this.#showPace();
  }

  /** The second version is another one than the first, where there is another. */
  #offerOther() {
    const { versions } = this.served;
    this.#other.offer(versions, { automatic: false, kept: null });
    const first = this.#version.listedValue;
    if (!first || this.#other.listedValue !== first) return;
    this.#other.value = this.#other.listed.find((version) => version !== first) ?? null;
  }

  #about() {
    const { model, languages, version } = this.served;
    if (!model) return t("served.asking");
    if (!languages.length) return t("served.plain", { model, version: version ?? "" });
    return t("served", { model, languages: languageNames(languages) });
  }

  #count() {
    const { length } = this.#text.value.trim();
    const requests = parts(this.#text.value, this.served.most).length;
    const counted = t("text.count", { count: length }).replace(String(length), number(length));
    byId("count").textContent = requests > 1 ? `${counted}, ${t("text.parts", { parts: requests })}` : counted;
  }

  #showPace() {
    byId("pace").textContent = `${number(Number(this.#speed.value), 2)} ×`;
  }

  /** @param {() => number} otherwise */
  #seedOr(otherwise) {
    const typed = this.#seed.value.trim();
    if (!typed) return otherwise();
    const seed = Number(typed);
    if (!/^\d+$/.test(typed) || !Number.isSafeInteger(seed)) throw new Mistake("error.seed", {}, "seed");
    return seed;
  }
}

/** Short enough to be read and typed. */
function newSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;
}
