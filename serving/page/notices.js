// The box that says what went wrong, and offers the way on.
import { byId, make } from "./dom.js";
import { number, t } from "./language.js";

/** @typedef {import("./failures.js").Failure} Failure */
/** @typedef {import("./api.js").Api} Api */

const POLL = 1000; // milliseconds between looks at a model that loads

export class Notices {
  #box = byId("notice");
  #text = byId("notice-text", "p");
  #detail = byId("notice-detail", "p");
  #progress = byId("notice-progress", "progress");
  #actions = byId("notice-actions");
  #keyForm = byId("key-form", "form");
  #key = byId("key", "input");
  /** Ends what the shown notice has under way. */
  #leave = new AbortController();
  /** @type {() => void} */
  #render = () => {};
  /** @type {(() => void) | null} */
  #withKey = null;

  /** @param {Api} api */
  constructor(api) {
    this.api = api;
    this.#keyForm.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#takeKey();
    });
  }

  clear() {
    this.#leave.abort();
    if (this.#box.contains(document.activeElement)) byId("speak").focus(); // what is hidden loses the focus
    this.#box.hidden = true;
    this.#text.textContent = "";
    this.#render = () => {};
  }

  /** Says it again, after a change of the language. */
  translate() {
    this.#render();
  }

  /**
   * @param {Failure} failure
   * @param {() => void} again asks once more for what failed
   */
  show(failure, again) {
    this.clear();
    this.#leave = new AbortController();
    this.#box.classList.toggle("calm", failure.way === "load" || failure.key === "error.key");
    this.#keyForm.hidden = failure.way !== "key";
    this.#progress.hidden = failure.way !== "load";
    this.#detail.hidden = !failure.detail;
    this.#detail.textContent = failure.detail ?? "";
    this.#actions.replaceChildren();
    this.#box.hidden = false;
    this.#render = () => {
      this.#text.textContent = t(/** @type {any} */ (failure.key), failure.values);
    };
    if (failure.way === "again") this.#offer("error.again", again);
    if (failure.way === "wait") this.#count(failure.seconds ?? 1, again);
    if (failure.way === "load") this.#watch(again);
    if (failure.way === "key") this.#withKey = again;
    this.#render();
    this.#box.scrollIntoView({ block: "nearest" });
    if (failure.field) byId(failure.field).focus();
  }

  /** @param {import("./language.js").Key} key @param {() => void} act @returns {HTMLButtonElement} */
  #offer(key, act) {
    const button = make("button", { type: "button", class: "main", "data-text": key }, t(key));
    button.addEventListener("click", act);
    this.#actions.append(button);
    return button;
  }

  /** Counts down on a button. Who presses it before the time is up has it pressed then. */
  #count(/** @type {number} */ seconds, /** @type {() => void} */ again) {
    const end = performance.now() + seconds * 1000;
    let isWanted = false;
    const button = make("button", { type: "button", class: "main" });
    const left = () => Math.ceil((end - performance.now()) / 1000);
    const say = () => {
      const key = left() <= 0 ? "error.again" : isWanted ? "error.trying.in" : "error.again.in";
      button.textContent = t(key, { seconds: number(left()) });
    };
    button.addEventListener("click", () => {
      if (left() <= 0) again();
      isWanted = !isWanted;
      button.setAttribute("aria-pressed", String(isWanted));
      say();
    });
    const ticking = setInterval(() => {
      say();
      if (left() > 0) return;
      clearInterval(ticking);
      button.removeAttribute("aria-pressed");
      if (isWanted) again();
    }, 200);
    this.#leave.signal.addEventListener("abort", () => clearInterval(ticking));
    this.#actions.append(button);
    const render = this.#render;
    this.#render = () => {
      render();
      say();
    };
  }

  /** Looks until the model is loaded, then goes on by itself. */
  #watch(/** @type {() => void} */ again) {
    const { signal } = this.#leave;
    const seconds = make("span", { class: "small" });
    const cancel = this.#offer("error.cancel", () => this.clear());
    cancel.className = "quiet";
    this.#actions.append(seconds);
    const look = async () => {
      const state = await fetch("readyz", { signal }).catch(() => null);
      if (signal.aborted) return;
      if (state?.ok) return again();
      const { seconds: since } = (await state?.json().catch(() => null)) ?? {};
      if (signal.aborted) return;
      if (typeof since === "number") seconds.textContent = t("loading.seconds", { seconds: number(since) });
      setTimeout(look, POLL);
    };
    look();
  }

  #takeKey() {
    const key = this.#key.value.trim();
    if (!/^[\x21-\x7e]+$/.test(key)) {
      this.#render = () => {
        this.#text.textContent = t("error.key.letters");
      };
      this.#render();
      this.#key.focus();
      return;
    }
    this.api.key = key;
    this.#key.value = "";
    this.clear();
    this.#withKey?.();
  }
}
