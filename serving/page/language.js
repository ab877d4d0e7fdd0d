// The page's own language: which one, and its texts put where they belong.
import { chinese } from "./chinese.js";
import { english } from "./english.js";

/** @typedef {"en" | "zh"} Code */
/** @typedef {keyof typeof english} Key */

/** @type {Record<Code, Record<string, string | {one?: string, other: string}>>} */
const TEXTS = { en: english, zh: chinese };
const KEPT = "tts.language";

/** @type {Code} */
let language = "en";
/** @type {(() => void)[]} */
const listeners = [];

/**
 * The first of the wanted languages that this page speaks.
 * @param {readonly string[]} wanted as the browser names them, for instance `zh-CN`
 * @returns {Code}
 */
export function bestOf(wanted) {
  const codes = wanted.map((one) => one.toLowerCase().split("-")[0]);
  return /** @type {Code} */ (codes.find((code) => code in TEXTS) ?? "en");
}

/** Begins with the language that was chosen here before, else with the browser's. */
export function begin() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // a browser that keeps nothing
  }
  use(bestOf(kept ? [kept] : navigator.languages));
}

/** @param {Code} code the person's choice */
export function choose(code) {
  try {
    localStorage.setItem(KEPT, code);
  } catch {
    // it holds until the page is closed
  }
  use(code);
}

/** @param {Code} code */
function use(code) {
  language = code;
  document.documentElement.lang = t("code");
  document.title = t("title");
  translate(document);
  for (const listener of listeners) listener();
}

/** @param {() => void} listener called after each change of the language */
export function whenLanguageChanges(listener) {
  listeners.push(listener);
}

/** @returns {Code} the one that is not in use */
export function otherLanguage() {
  return language === "en" ? "zh" : "en";
}

/** @param {Code} code @returns {string} its name in itself */
export function nameOf(code) {
  return String(TEXTS[code].switch);
}

/**
 * A text in the page's language.
 * @param {Key} key
 * @param {Record<string, string | number>} [values] for its braces
 * @returns {string}
 */
export function t(key, values = {}) {
  const found = TEXTS[language][key];
  const isOne = new Intl.PluralRules(language).select(Number(values.count)) === "one";
  const text = typeof found === "string" ? found : ((isOne ? found.one : undefined) ?? found.other);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** @param {number} value @param {number} [digits] after the point */
export function number(value, digits = 0) {
  return new Intl.NumberFormat(tag(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** @param {number} at milliseconds since 1970 @returns {string} the time, with the day when it is not today */
export function moment(at) {
  const isToday = new Date(at).toDateString() === new Date().toDateString();
  const day = isToday ? {} : /** @type {const} */ ({ month: "short", day: "numeric" });
  return new Intl.DateTimeFormat(tag(), { ...day, hour: "2-digit", minute: "2-digit" }).format(at);
}

/** @param {string[]} codes of languages @returns {string} their names as a list */
export function languageNames(codes) {
  const names = new Intl.DisplayNames([tag()], { type: "language" });
  const known = codes.map((code) => {
    try {
      return names.of(code) ?? code;
    } catch {
      return code; // not a code that the browser can read
    }
  });
  return new Intl.ListFormat(tag(), { type: "conjunction" }).format(known);
}

/** @param {ParentNode} root whose marked elements get their texts */
export function translate(root) {
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (
    root.querySelectorAll("[data-text], [data-label], [data-placeholder]")
  )) {
    const { text, label, placeholder } = element.dataset;
    if (text) element.textContent = t(/** @type {Key} */ (text));
    if (label) element.setAttribute("aria-label", t(/** @type {Key} */ (label)));
    if (placeholder) element.setAttribute("placeholder", t(/** @type {Key} */ (placeholder)));
  }
}

/** As the browser's owner writes times and numbers, where that is the page's language. */
function tag() {
  return navigator.languages.find((one) => one.split("-")[0] === language) ?? t("code");
}
