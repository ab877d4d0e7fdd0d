// What was spoken: by which version, from which requests, and how long that took.
import { Recording } from "./recording.js";

/**
 * What is asked for.
 * @typedef {object} Wish
 * @property {string} text
 * @property {string | null} voice null: the server's own
 * @property {number} speed
 * @property {number} seed
 * @property {Record<string, string>} phonemes a pronunciation for each word, in the model's alphabet
 */

/**
 * One request's part of a take.
 * @typedef {object} Part
 * @property {string} text
 * @property {string | null} version
 * @property {string | null} revision
 * @property {string | null} request the request's id, by which the server can be asked about it
 */

/**
 * What is kept of an utterance: one take, or two to compare.
 * @typedef {object} Entry
 * @property {string} id
 * @property {number} at milliseconds since 1970
 * @property {Wish} wish
 * @property {Take[]} takes
 * @property {number[]} order the takes as they are shown, A first
 * @property {boolean} blind
 * @property {"a" | "b" | "same" | null} vote
 * @property {"up" | "down" | null} rating
 */

/** One version's reading of a text. */
export class Take {
  /** @type {Part[]} */
  parts = [];
  /** @type {Recording | null} */
  recording = null;
  /** Seconds until its first sound, and until all was there. */
  first = 0;
  total = 0;

  get version() {
    return this.parts.at(-1)?.version ?? null;
  }

  get revision() {
    return this.parts.at(-1)?.revision ?? null;
  }

  /** The versions that spoke, in order: more than one where a version went away in the middle. */
  get versions() {
    const named = this.parts.map((part) => part.version ?? "?");
    return named.filter((version, at) => version !== named[at - 1]);
  }

  /** The ids of its requests, where the server gave any. */
  get requests() {
    return this.parts.flatMap((part) => part.request ?? []);
  }

  get seconds() {
    return this.recording?.seconds ?? 0;
  }

  /** As IndexedDB can keep it. */
  stored() {
    const { parts, first, total, recording } = this;
    return { parts, first, total, wav: new Blob(recording ? [recording.wav()] : [], { type: "audio/wav" }) };
  }

  /** @param {{parts: Part[], first: number, total: number, wav: Blob}} stored @returns {Promise<Take>} */
  static async restored({ wav, ...rest }) {
    const recording = Recording.fromWav(new Uint8Array(await wav.arrayBuffer()));
    return Object.assign(new Take(), rest, { recording });
  }
}

/** @param {Wish} wish @param {Take[]} takes @param {Partial<Entry>} [rest] @returns {Entry} */
export function entryOf(wish, takes, rest = {}) {
  const id = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0"));
  return { id: id.join(""), at: Date.now(), wish, takes, order: [0], blind: false, vote: null, rating: null, ...rest };
}

/** The name of a file with this speech. @param {Entry} entry @param {string} format */
export function fileName({ wish, takes: [take] }, format) {
  const words = wish.text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ["speech"];
  return `${words.slice(0, 5).join("-").slice(0, 40)}-${take.version ?? "speech"}.${format}`;
}
