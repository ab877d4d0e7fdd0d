// The person's own voices: recorded or chosen from a file, listed, deleted.
import { Refusal } from "./api.js";
import { byId, icon, make } from "./dom.js";
import { failureOf } from "./failures.js";
import { moment, number, t } from "./language.js";
import { Microphone, canRecord } from "./microphone.js";
import { LEAST } from "./served.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./language.js").Key} Key */
/** @typedef {import("./served.js").Voice} Voice */
/** @typedef {{key: Key, values?: Record<string, string | number>, detail?: string, isWrong?: boolean}} Said */

/** @type {Record<string, Key>} */
const WARNINGS = { clipped: "voices.clipped", noisy: "voices.noisy", several_speakers: "voices.several" };

export class Voices {
  #served = LEAST;
  #dialog = byId("voices", "dialog");
  #form = byId("voice-form", "form");
  #file = byId("voice-file", "input");
  #record = byId("voice-record", "button");
  #heard = byId("voice-heard", "audio");
  #microphone = new Microphone();
  /** @type {File | null} */
  #recording = null;
  #clock = 0;
  /** The id of the voice whose deletion is to be confirmed. */
  #leaving = "";
  /** @type {Said | null} */
  #said = null;

  /** @param {{api: Api, changed: (id: string | null) => Promise<void>}} parts `changed`: what is there is to be asked
   *   anew, and the voice with this id was added */
  constructor({ api, changed }) {
    this.api = api;
    this.changed = changed;
    byId("voices-open").addEventListener("click", () => this.#open());
    byId("voices-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => this.#microphone.isOn && this.#stop());
    this.#file.addEventListener("change", () => this.#take(this.#file.files?.[0] ?? null));
    this.#record.addEventListener("click", () => (this.#microphone.isOn ? this.#stop() : this.#begin()));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add();
    });
  }

  /** @param {import("./served.js").Served} served */
  offer(served) {
    this.#served = served;
    byId("voices-open").hidden = !served.recordings?.kept;
    this.translate();
  }

  translate() {
    const asked = this.#served.recordings;
    const own = this.#served.voices.filter((voice) => voice.own);
    byId("voices-empty").hidden = own.length > 0;
    byId("voice-rows").replaceChildren(...own.map((voice) => this.#row(voice)));
    if (!asked) return;
    const [from, to] = asked.seconds.map((seconds) => number(seconds));
    byId("voice-hint").textContent = t("voices.hint", { from, to });
    byId("voice-words-field").hidden = !asked.transcript;
    this.#file.accept = asked.formats.map((format) => `.${format}`).join(",");
    this.#record.hidden = !canRecord();
    this.#showClock();
    this.#show();
  }

  #open() {
    this.#leaving = "";
    this.#say(null);
    this.translate();
    this.#dialog.showModal();
  }

  /** @param {Voice} voice */
  #row(voice) {
    const seconds = number(voice.seconds, 1);
    const what = make("div", { class: "what" }, make("p", { class: "said", dir: "auto" }, voice.name));
    what.append(make("p", { class: "small" }, t("voices.meta", { seconds, when: moment(voice.created * 1000) })));
    for (const code of voice.warnings) what.append(make("p", { class: "small" }, t(WARNINGS[code])));
    const row = make("li", {}, what);
    if (this.#leaving === voice.id) row.append(this.#confirmation(voice));
    else row.append(this.#bin(voice));
    return row;
  }

  /** @param {Voice} voice */
  #bin(voice) {
    const label = t("voices.delete", { name: voice.name });
    const bin = make("button", { type: "button", class: "icon", "aria-label": label }, icon("bin"));
    bin.addEventListener("click", () => {
      this.#leaving = voice.id;
      this.translate();
      const yes = /** @type {HTMLElement | null} */ (byId("voice-rows").querySelector("button.main"));
      yes?.focus({ preventScroll: true });
      yes?.closest("li")?.scrollIntoView({ block: "nearest" });
    });
    return bin;
  }

  /** @param {Voice} voice */
  #confirmation(voice) {
    const keep = make("button", { type: "button", class: "quiet" }, t("voices.keep"));
    keep.addEventListener("click", () => {
      this.#leaving = "";
      this.translate();
    });
    const label = t("voices.delete", { name: voice.name });
    const yes = make("button", { type: "button", class: "main", "aria-label": label }, t("voices.delete.yes"));
    yes.addEventListener("click", () => this.#delete(voice));
    return make("div", { class: "pair" }, keep, yes);
  }

  /** @param {Voice} voice */
  async #delete(voice) {
    await this.#try(async () => {
      await this.api.deleteVoice(voice.id);
      this.#leaving = "";
      await this.changed(null);
      this.#say({ key: "voices.deleted", values: { name: voice.name } });
      byId("voice-name").focus();
    });
  }

  async #begin() {
    this.#take(null);
    try {
      await this.#microphone.start();
    } catch {
      this.#say({ key: "voices.microphone", isWrong: true });
      return;
    }
    this.#say(null);
    this.#clock = setInterval(() => {
      this.#showClock();
      const longest = this.#served.recordings?.seconds[1] ?? 0;
      if (this.#microphone.seconds >= longest - 0.5) this.#stop();
    }, 100);
    this.#showClock();
  }

  async #stop() {
    clearInterval(this.#clock);
    const stopping = this.#microphone.stop();
    this.#showClock();
    try {
      this.#take(await stopping);
    } catch {
      this.#say({ key: "voices.microphone", isWrong: true });
    }
  }

  #showClock() {
    const { isOn, seconds } = this.#microphone;
    this.#record.textContent = t(isOn ? "voices.stop" : "voices.record");
    this.#record.setAttribute("aria-pressed", String(isOn));
    this.#file.parentElement?.toggleAttribute("hidden", isOn);
    const clock = t("facts.seconds", { seconds: number(seconds, 1) });
    byId("voice-source-name").textContent = isOn ? clock : (this.#file.files?.[0]?.name ?? "");
  }

  /** @param {File | null} file what is to be added */
  #take(file) {
    this.#recording = file;
    if (this.#heard.src) URL.revokeObjectURL(this.#heard.src);
    if (file !== this.#file.files?.[0]) this.#file.value = "";
    this.#heard.hidden = !file;
    if (file) this.#heard.src = URL.createObjectURL(file);
    else this.#heard.removeAttribute("src");
    this.#showClock();
  }

  async #add() {
    const asked = this.#served.recordings;
    const name = byId("voice-name", "input");
    const words = byId("voice-words", "textarea");
    const consent = byId("voice-consent", "input");
    if (!this.#recording) return this.#miss("voices.none", this.#record.hidden ? this.#file : this.#record);
    if (!name.value.trim()) return this.#miss("voices.name.none", name);
    if (asked?.transcript && !words.value.trim()) return this.#miss("voices.words.none", words);
    if (!consent.checked) return this.#miss("voices.consent.none", consent);
    const form = new FormData();
    form.set("name", name.value);
    form.set("consent", "true");
    if (asked?.transcript) form.set("transcript", words.value);
    form.set("audio", this.#recording);
    await this.#try(async () => {
      this.#say({ key: "voices.adding" });
      const made = await this.api.addVoice(form);
      this.#form.reset();
      this.#take(null);
      await this.changed(made.id);
      this.#say({ key: "voices.added", values: { name: made.name } });
    });
  }

  /** @param {Key} key @param {HTMLElement} field */
  #miss(key, field) {
    this.#say({ key, isWrong: true });
    field.focus();
  }

  /** @param {() => Promise<void>} work */
  async #try(work) {
    byId("voice-add", "button").disabled = true;
    try {
      await work();
    } catch (error) {
      this.#say(saidOf(error, this.api.key !== ""));
    } finally {
      byId("voice-add", "button").disabled = false;
    }
  }

  /** @param {Said | null} said */
  #say(said) {
    this.#said = said;
    this.#show();
  }

  #show() {
    const said = this.#said;
    const notice = byId("voices-notice");
    notice.classList.toggle("wrong", said?.isWrong === true);
    notice.replaceChildren(...(said ? [make("p", {}, t(said.key, said.values))] : []));
    if (said?.detail) notice.append(make("p", { class: "small", lang: "en" }, said.detail));
    if (said) notice.scrollIntoView({ block: "nearest" });
  }
}

/** @param {unknown} error @param {boolean} hasKey @returns {Said} */
function saidOf(error, hasKey) {
  if (error instanceof Refusal && [400, 409, 413].includes(error.status)) {
    return { key: "voices.refused", detail: error.message, isWrong: true };
  }
  const { key, values, detail } = failureOf(error, { online: navigator.onLine, hasKey, heard: 0 });
  return { key: /** @type {Key} */ (key), values, detail, isWrong: true };
}
