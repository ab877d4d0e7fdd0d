// What this browser keeps of the speech it heard, with the audio, and no more than fits into the bounds.
import { Take } from "./take.js";

/** @typedef {import("./take.js").Entry} Entry */

export const MOST_ENTRIES = 100;
export const MOST_BYTES = 96 * 1024 * 1024;

const DATABASE = "tts-speech";
const TABLE = "entries";

/**
 * The ids that are too many: the oldest ones, until the rest is within the bounds. The newest one always stays.
 * @param {{id: string, at: number, bytes: number}[]} kept
 * @param {{most?: number, bytes?: number}} [bounds]
 * @returns {string[]}
 */
export function tooMany(kept, { most = MOST_ENTRIES, bytes = MOST_BYTES } = {}) {
  let sum = 0;
  return [...kept]
    .sort((one, other) => other.at - one.at)
    .filter((entry, at) => {
      sum += entry.bytes;
      return at > 0 && (at >= most || sum > bytes);
    })
    .map((entry) => entry.id);
}

/** Keeps entries in IndexedDB; where the browser has none (a private window), until the page is closed. */
export class Store {
  /** @type {IDBDatabase | null} */
  #database = null;
  /** @type {Map<string, any>} */
  #memory = new Map();

  async open() {
    try {
      const opening = indexedDB.open(DATABASE, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(TABLE, { keyPath: "id" });
      this.#database = await settled(opening);
      // Another tab with a newer page wants to change it.
      this.#database.onversionchange = () => this.#database?.close();
    } catch {
      this.#database = null;
    }
  }

  /** Whether what is kept outlives the page. */
  get lasts() {
    return this.#database !== null;
  }

  /** @returns {Promise<Summary[]>} the newest first */
  async all() {
    const kept = this.#database ? await settled(this.#table("readonly").getAll()) : [...this.#memory.values()];
    return kept.sort((one, other) => other.at - one.at);
  }

  /** @param {Entry} entry */
  async put(entry) {
    const takes = entry.takes.map((take) => take.stored());
    const bytes = takes.reduce((sum, take) => sum + take.wav.size, 0);
    const seconds = Math.max(...entry.takes.map((take) => take.seconds));
    await this.#write({ ...entry, takes, bytes, seconds });
    for (const id of tooMany(await this.all())) await this.remove(id);
  }

  /** A vote or a rating. @param {string} id @param {Partial<Pick<Entry, "vote" | "rating">>} change */
  async change(id, change) {
    const kept = this.#database ? await settled(this.#table("readonly").get(id)) : this.#memory.get(id);
    if (kept) await this.#write({ ...kept, ...change });
  }

  /** @param {string} id */
  async remove(id) {
    if (this.#database) await settled(this.#table("readwrite").delete(id));
    this.#memory.delete(id);
  }

  async clear() {
    if (this.#database) await settled(this.#table("readwrite").clear());
    this.#memory.clear();
  }

  /** @param {any} kept */
  async #write(kept) {
    if (this.#database) await settled(this.#table("readwrite").put(kept));
    else this.#memory.set(kept.id, kept);
  }

  /** @param {IDBTransactionMode} mode */
  #table(mode) {
    return /** @type {IDBDatabase} */ (this.#database).transaction(TABLE, mode).objectStore(TABLE);
  }
}

/** @typedef {Omit<Entry, "takes"> & {takes: ReturnType<Take["stored"]>[], bytes: number, seconds: number}} Summary as it is kept */

/** @param {Summary} summary @returns {Promise<Entry>} with its audio */
export async function entryFrom(summary) {
  return { ...summary, takes: await Promise.all(summary.takes.map(Take.restored)) };
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
