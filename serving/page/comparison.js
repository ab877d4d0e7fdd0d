// Two versions compared by ear: which one is called A, what a vote means, and what the votes say so far.

/**
 * What is needed of an entry of the history.
 * @typedef {object} Compared
 * @property {{parts: import("./take.js").Part[]}[]} takes
 * @property {number[]} order the takes as they are shown, A first
 * @property {boolean} blind
 * @property {Vote | null} vote
 */

/** @typedef {"a" | "b" | "same"} Vote */

/**
 * The order in which two takes are shown: for a blind comparison, one that nobody can know.
 * @param {boolean} blind
 * @param {number} [chance] 0 to 1
 * @returns {[number, number]} the take that is A, and the one that is B
 */
export function order(blind, chance = Math.random()) {
  return blind && chance < 0.5 ? [1, 0] : [0, 1];
}

/** @param {Compared} entry @returns {string[]} the versions as they are shown: one, or A and B */
export function shown(entry) {
  return entry.order.map((at) => entry.takes[at].parts.at(-1)?.version ?? "?");
}

/** Whether its versions are still to be guessed. @param {Compared} entry */
export function isHidden(entry) {
  return entry.blind && !entry.vote;
}

/** @param {Compared} entry @returns {string | null} the version that was preferred; null for no difference */
export function preferred(entry) {
  const [a, b] = shown(entry);
  return entry.vote === "a" ? a : entry.vote === "b" ? b : null;
}

/**
 * Counts the blind votes between the two versions of `entry`; a vote that knew the versions says little.
 * @param {Compared[]} entries
 * @param {Compared} entry one of them
 * @returns {{versions: string[], wins: number[], same: number}}
 */
export function tally(entries, entry) {
  const versions = shown(entry).sort();
  const votes = entries.filter(
    (one) => one.blind && one.vote && one.takes.length === 2 && String(shown(one).sort()) === String(versions),
  );
  const winners = votes.map(preferred);
  return {
    versions,
    wins: versions.map((version) => winners.filter((winner) => winner === version).length),
    same: winners.filter((winner) => winner === null).length,
  };
}
