// A choice of one version: those that the server names, and any that is typed.
import { byId, make } from "./dom.js";
import { Mistake } from "./failures.js";
import { number, t } from "./language.js";

/** @typedef {import("./served.js").Version} Version */

const TYPED = "?";
const AUTOMATIC = "";
const ROLES = /** @type {const} */ (["stable", "canary", "warm"]);

export class VersionChoice {
  #select;
  #typed;

  /** @param {string} id of the select; its text field is `<id>-typed` */
  constructor(id) {
    this.#select = byId(id, "select");
    this.#typed = byId(`${id}-typed`, "input");
    this.#select.addEventListener("change", () => {
      this.#typed.hidden = this.#select.value !== TYPED;
      if (!this.#typed.hidden) this.#typed.focus();
    });
  }

  /**
   * Writes the choice anew, and keeps what is chosen.
   * @param {Version[]} versions
   * @param {{automatic: boolean, kept: string | null}} how whether the server may choose, and whom it chose
   */
  offer(versions, { automatic, kept }) {
    const before = this.#select.value;
    const isNew = !this.#select.options.length;
    const options = versions.map((version) => [version.version, textOf(version)]);
    if (automatic) {
      const text = kept ? t("version.auto.kept", { version: kept }) : t("version.auto");
      options.unshift([AUTOMATIC, text]);
    }
    if (!automatic && kept && !versions.some(({ version }) => version === kept)) options.unshift([kept, kept]);
    options.push([TYPED, t("version.type")]);
    this.#select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
    const values = options.map(([value]) => value);
    this.#select.value = !isNew && values.includes(before) ? before : values[0];
    this.#typed.hidden = this.#select.value !== TYPED;
  }

  /** @returns {string | null} null: the server may choose. Raises Mistake where one must be typed and is not. */
  get value() {
    if (this.#select.value !== TYPED) return this.#select.value || null;
    const typed = this.#typed.value.trim();
    if (!/^[\x21-\x7e]+$/.test(typed)) throw new Mistake("error.version", {}, this.#typed.id);
    return typed;
  }

  /** @param {string | null} version */
  set value(version) {
    const isListed = [...this.#select.options].some(({ value }) => value === (version ?? AUTOMATIC));
    this.#select.value = isListed ? (version ?? AUTOMATIC) : TYPED;
    if (!isListed && version) this.#typed.value = version;
    this.#typed.hidden = this.#select.value !== TYPED;
  }

  /** What is chosen of the listed ones; "" where the server may choose or one is typed. */
  get listedValue() {
    return this.#select.value === TYPED ? "" : this.#select.value;
  }

  get listed() {
    return [...this.#select.options].map(({ value }) => value).filter((value) => value && value !== TYPED);
  }

  /** Which element to correct. */
  get field() {
    return this.#typed.hidden ? this.#select.id : this.#typed.id;
  }
}

/** @param {Version} version */
function textOf({ version, role, weight }) {
  const known = ROLES.find((one) => one === role);
  return known ? t(`version.${known}`, { version, weight: number(weight ?? 0) }) : version;
}
