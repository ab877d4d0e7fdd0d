// The list of what was heard before: to hear it again, to use it again, to delete it.
import { isHidden, preferred, shown } from "./comparison.js";
import { byId, icon, make } from "./dom.js";
import { moment, number, t } from "./language.js";

/** @typedef {import("./store.js").Summary} Summary */
/** @typedef {import("./store.js").Store} Store */

/** @typedef {{play: (kept: Summary) => void, reuse: (kept: Summary) => void, remove: (kept: Summary) => void}} Acts */

export class HistoryList {
  /** @type {Summary[]} */
  entries = [];
  /** The id of the entry in the player. */
  current = "";
  #list = byId("entries", "ol");

  /** @param {Store} store @param {Acts} acts */
  constructor(store, acts) {
    this.store = store;
    this.acts = acts;
  }

  async refresh() {
    this.entries = await this.store.all();
    this.translate();
  }

  /** @param {string} id */
  mark(id) {
    this.current = id;
    for (const row of this.#list.children) {
      row.toggleAttribute("aria-current", false);
      if (/** @type {HTMLElement} */ (row).dataset.id === id) row.setAttribute("aria-current", "true");
    }
  }

  translate() {
    const { entries } = this;
    const empty = byId("history-empty");
    empty.textContent = t(this.store.lasts ? "history.empty" : "history.passing");
    empty.hidden = entries.length > 0 && this.store.lasts;
    byId("clear").hidden = !entries.length;
    this.#list.replaceChildren(...entries.map((kept) => this.#row(kept)));
    this.mark(this.current);
  }

  /** Where the focus goes when the row of an entry is deleted. @param {string} id */
  focusBeside(id) {
    const at = this.entries.findIndex((kept) => kept.id === id);
    const next = (this.entries[at + 1] ?? this.entries[at - 1])?.id;
    return () => {
      const row = [...this.#list.children].find((one) => /** @type {HTMLElement} */ (one).dataset.id === next);
      (row?.querySelector("button") ?? byId("text")).focus();
    };
  }

  /** @param {Summary} kept */
  #row(kept) {
    const { text } = kept.wish;
    const short = text.length > 60 ? `${text.slice(0, 59)}…` : text;
    const button = (/** @type {string} */ name, /** @type {"play" | "reuse" | "remove"} */ act) => {
      const key = /** @type {const} */ ({ play: "history.play", reuse: "history.reuse", remove: "history.delete" })[act];
      const one = make("button", { type: "button", class: "icon", "aria-label": t(key, { text: short }) }, icon(name));
      one.addEventListener("click", () => this.acts[act](kept));
      return one;
    };
    const what = make(
      "div",
      { class: "what" },
      make("p", { class: "said", dir: "auto" }, text.slice(0, 200)),
      make("p", { class: "small" }, metaOf(kept)),
    );
    return make("li", { "data-id": kept.id }, button("play", "play"), what, button("edit", "reuse"), button("bin", "remove"));
  }
}

/** @param {Summary} kept @returns {string} `1.1.0, 7.1 s, 14:32, good` */
function metaOf(kept) {
  const versions = isHidden(kept) ? "A / B" : shown(kept).join(" / ");
  const seconds = number(kept.seconds, 1);
  const meta = t("history.meta", { versions, seconds, when: moment(kept.at) });
  return [meta, ...opinionOf(kept)].join("\u00a0· ");
}

/** @param {Summary} kept */
function opinionOf(kept) {
  if (kept.vote === "same") return [t("history.same")];
  if (kept.vote) return [t("history.preferred", { version: preferred(kept) ?? "" })];
  if (kept.rating) return [t(kept.rating === "up" ? "history.liked" : "history.disliked")];
  return [];
}
