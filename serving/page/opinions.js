// What a person thinks of what was heard: a rating, a remark, or a vote between two versions.
import { Refusal } from "./api.js";
import { tally } from "./comparison.js";
import { byId } from "./dom.js";
import { number } from "./language.js";
import { revealed } from "./stage.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./comparison.js").Vote} Vote */
/** @typedef {import("./history-list.js").HistoryList} HistoryList */
/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./stage.js").Said} Said */
/** @typedef {import("./take.js").Entry} Entry */
/** @typedef {import("./take.js").Take} Take */

const NO_RECORDS = [404, 405, 409]; // of a server that keeps none

export class Opinions {
  /** @param {{api: Api, stage: Stage, list: HistoryList}} parts */
  constructor({ api, stage, list }) {
    this.api = api;
    this.stage = stage;
    this.list = list;
    for (const button of byId("after").querySelectorAll("[data-rating]")) {
      button.addEventListener("click", () => this.#rate(/** @type {any} */ (button).dataset.rating));
    }
    for (const button of byId("vote").querySelectorAll("[data-vote]")) {
      button.addEventListener("click", () => this.#vote(/** @type {any} */ (button).dataset.vote));
    }
    byId("comment-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#remark();
    });
  }

  /** Pressed once more, a rating is taken back here; the server keeps the last one it got. @param {"up" | "down"} rating */
  async #rate(rating) {
    const { entry } = this.stage;
    if (!entry) return;
    entry.rating = entry.rating === rating ? null : rating;
    byId("comment-form").hidden = true;
    this.stage.tell();
    this.stage.translate();
    await this.list.store.change(entry.id, { rating: entry.rating });
    await this.list.refresh();
    if (!entry.rating) return;
    const outcome = await this.#send(entry.takes[0], { rating });
    if (this.stage.entry !== entry) return;
    byId("comment-form").hidden = outcome !== "sent";
    this.stage.tell({ key: `rating.${outcome}` });
  }

  async #remark() {
    const { entry } = this.stage;
    const comment = byId("comment", "input").value.trim();
    if (!entry?.rating || !comment) return;
    const outcome = await this.#send(entry.takes[0], { rating: entry.rating, comment });
    this.stage.tell({ key: outcome === "sent" ? "comment.sent" : `rating.${outcome}` });
    if (outcome !== "sent") return;
    byId("comment", "input").value = "";
    byId("comment-form").hidden = true;
    byId("download").focus();
  }

  /** @param {Vote} vote */
  async #vote(vote) {
    const { entry } = this.stage;
    if (!entry) return;
    entry.vote = vote;
    await this.list.store.change(entry.id, { vote });
    await this.list.refresh();
    this.stage.translate();
    this.stage.tell(...revealed(entry), ...this.#louder(entry), ...this.#tally(entry));
    byId("play").focus(); // the buttons that were pressed are gone
    await this.#sendVote(entry);
  }

  /** The preferred one is rated up, and the remark says what it was preferred to: a pair to learn from. @param {Entry} entry */
  async #sendVote(entry) {
    if (entry.vote !== "a" && entry.vote !== "b") return;
    const [better, worse] = (entry.vote === "a" ? entry.order : entry.order.toReversed()).map((at) => entry.takes[at]);
    const how = entry.blind ? "blind" : "not blind";
    const comment = `comparison (${how}): preferred to ${worse.requests.join(" ")} of version ${worse.version}`;
    await this.#send(better, { rating: "up", comment });
  }

  /** @param {Entry} entry @returns {Said[]} */
  #louder(entry) {
    const [first, second] = this.stage.levels;
    const level = number(Math.abs(first - second), 1);
    if (!Number.isFinite(first - second) || Number(Math.abs(first - second).toFixed(1)) === 0) return [];
    const version = entry.takes[first > second ? 0 : 1].version ?? "?";
    return [{ key: "vote.louder", values: { version, level } }];
  }

  /** @param {Entry} entry @returns {Said[]} */
  #tally(entry) {
    if (!entry.blind) return [];
    const { versions, wins, same } = tally(this.list.entries, entry);
    const values = { first: versions[0], wins: wins[0], second: versions[1], losses: wins[1], same };
    return [{ key: "vote.tally", values }];
  }

  /**
   * @param {Take} take
   * @param {{rating: "up" | "down", comment?: string}} rating
   * @returns {Promise<"sent" | "kept" | "failed">}
   */
  async #send(take, rating) {
    if (!take.requests.length) return "kept";
    try {
      for (const request of take.requests) await this.api.rate(request, rating, { version: take.version });
      return "sent";
    } catch (error) {
      return error instanceof Refusal && NO_RECORDS.includes(error.status) ? "kept" : "failed";
    }
  }
}
