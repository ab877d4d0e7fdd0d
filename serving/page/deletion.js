// What is deleted from the history, here and on the server.
import { byId } from "./dom.js";
import { t } from "./language.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./history-list.js").HistoryList} HistoryList */
/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Summary} Summary */

export class Deletion {
  /** @param {{api: Api, store: Store, list: HistoryList, stage: Stage}} parts */
  constructor({ api, store, list, stage }) {
    this.api = api;
    this.store = store;
    this.list = list;
    this.stage = stage;
    const dialog = byId("confirm", "dialog");
    byId("clear").addEventListener("click", () => {
      byId("confirm-text").textContent = t("clear.text", { count: list.entries.length });
      dialog.returnValue = "no"; // as it stays when the dialog is left by Escape
      dialog.showModal();
    });
    dialog.addEventListener("close", () => dialog.returnValue === "yes" && this.#all());
  }

  /** @param {Summary} kept */
  async one(kept) {
    const moveFocus = this.list.focusBeside(kept.id);
    await this.store.remove(kept.id);
    await this.#tell([kept]);
    moveFocus();
    await this.#forget([kept]);
  }

  async #all() {
    const all = this.list.entries;
    await this.store.clear();
    await this.#tell(all);
    byId("text").focus();
    await this.#forget(all);
  }

  /** @param {Summary[]} gone */
  async #tell(gone) {
    await this.list.refresh();
    if (gone.some(({ id }) => id === this.stage.entry?.id)) this.stage.await(false);
    this.stage.say("history.deleted");
  }

  /** The server is asked to delete what it keeps of these. @param {Summary[]} gone */
  async #forget(gone) {
    const parts = gone.flatMap(({ takes }) => takes.flatMap((take) => take.parts));
    const requests = parts.flatMap(({ request }) => request ?? []);
    try {
      for (const request of requests) await this.api.forget(request);
      if (requests.length) this.stage.say("history.deleted.server");
    } catch {
      // it keeps nothing, or does not answer
    }
  }
}
