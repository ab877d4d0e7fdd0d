// What went wrong, as a sentence with what to do: which text, and which way on.
import { Refusal, Unreachable } from "./api.js";
import { Unfitting, VersionGone } from "./speech.js";
import { NoAudio } from "./wav.js";

/**
 * A mistake in what was asked for, found before asking.
 */
export class Mistake extends Error {
  /** @param {string} key of the text @param {Record<string, string>} [values] @param {string} [field] an element's id */
  constructor(key, values = {}, field = "") {
    super(key);
    this.key = key;
    this.values = values;
    this.field = field;
  }
}

/**
 * @typedef {object} Failure
 * @property {string} key of the text
 * @property {Record<string, string | number>} [values]
 * @property {string} [detail] what the server said
 * @property {"again" | "wait" | "load" | "key" | "none"} way on
 * @property {number} [seconds] to wait
 * @property {string} [field] the id of the element to correct
 */

const WAIT = 5; // seconds, where a busy server does not say how long

/**
 * @param {unknown} error
 * @param {{online: boolean, hasKey: boolean, heard: number}} state whether there is a network and a key, and seconds of
 *   speech that are there
 * @returns {Failure}
 */
export function failureOf(error, { online, hasKey, heard }) {
  if (error instanceof Mistake) return { key: error.key, values: error.values, field: error.field, way: "none" };
  if (error instanceof VersionGone) return { key: "error.gone", values: { version: error.version }, way: "none" };
  if (error instanceof Unfitting) return { key: "error.fit", way: "again" };
  if (error instanceof NoAudio) return { key: "error.audio", way: "again" };
  if (error instanceof Unreachable) {
    if (!online) return { key: "error.offline", way: "again" };
    if (heard > 0) return { key: "error.broken", values: { seconds: heard.toFixed(1) }, way: "again" };
    return { key: "error.unreachable", way: "again" };
  }
  if (error instanceof Refusal) return refused(error, hasKey);
  return { key: "error.page", detail: String(error), way: "again" };
}

/** @param {Refusal} refusal @param {boolean} hasKey @returns {Failure} */
function refused({ status, code, param, wait, message }, hasKey) {
  const detail = message || undefined;
  if (status === 401) return { key: hasKey ? "error.key.wrong" : "error.key", way: "key", field: "key" };
  if (status === 429) {
    const seconds = Math.max(1, wait ?? WAIT);
    const key = code === "rate_limit_exceeded" ? "error.limit" : "error.busy";
    return { key, values: { seconds }, way: "wait", seconds };
  }
  if (status === 503 && code === "loading") return { key: "error.loading", way: "load" };
  if (status >= 502 && status <= 504) return { key: "error.unavailable", detail, way: "again" };
  if (status >= 500) return { key: "error.server", detail, way: "again" };
  if (status === 413 || code === "string_above_max_length") return { key: "error.large", detail, way: "none" };
  if (param === "input") return { key: "error.input", detail, way: "none", field: "text" };
  return { key: "error.field", detail, way: "again" };
}
