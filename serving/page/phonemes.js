// The rows in which a person says how words are spoken.
import { byId, icon, make } from "./dom.js";
import { t } from "./language.js";

/** A word and how it is spoken, in each alphabet. */
const SAMPLES = { ipa: ["Pulumi", "pʊˈluːmi"], pinyin: ["重庆", "chong2 qing4"] };

export class Phonemes {
  /** @type {"ipa" | "pinyin"} */
  alphabet = "ipa";
  #rows = byId("phoneme-rows", "ul");

  constructor() {
    byId("phoneme-add").addEventListener("click", () => this.#add("", "").querySelector("input")?.focus());
  }

  /** @returns {Record<string, string>} the rows that are filled in, the pronunciation by the word */
  get value() {
    const rows = [...this.#rows.children].map((row) => [...row.querySelectorAll("input")]);
    const pairs = rows.map((inputs) => inputs.map((input) => input.value.trim()));
    return Object.fromEntries(pairs.filter(([word, sounds]) => word && sounds));
  }

  set value(value) {
    this.#rows.replaceChildren();
    for (const [word, sounds] of Object.entries(value)) this.#add(word, sounds);
  }

  translate() {
    const [sample, sampleSounds] = SAMPLES[this.alphabet];
    byId("phonemes-hint").textContent = t(`phonemes.hint.${this.alphabet}`);
    for (const [at, row] of [...this.#rows.children].entries()) {
      const [word, sounds] = row.querySelectorAll("input");
      const values = { number: at + 1 };
      word.setAttribute("aria-label", t("phonemes.word", values));
      word.placeholder = sample;
      sounds.setAttribute("aria-label", t(`phonemes.sounds.${this.alphabet}`, values));
      sounds.placeholder = sampleSounds;
      row.querySelector("button")?.setAttribute("aria-label", t("phonemes.remove", values));
    }
  }

  /** @param {string} word @param {string} sounds */
  #add(word, sounds) {
    const [first, second] = [word, sounds].map((value) => {
      const input = make("input", { type: "text", spellcheck: "false", autocapitalize: "none" });
      input.value = value;
      return input;
    });
    const remove = make("button", { type: "button", class: "icon" }, icon("cross"));
    const row = make("li", {}, first, second, remove);
    remove.addEventListener("click", () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      this.translate();
      (next?.querySelector("input") ?? byId("phoneme-add")).focus(); // the focus must not be lost with the row
    });
    this.#rows.append(row);
    this.translate();
    return row;
  }
}
