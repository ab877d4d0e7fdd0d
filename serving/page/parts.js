// A text in parts that one request may hold: cut behind a sentence, else between words, else between letters.
export const MOST_CHARACTERS = 4096; // of one request, as the server counts or fewer
const SENTENCE_END = /[.!?…]+["'”’»)\]]*(?=\s)|[。！？]+["'”’」』）]*|\n/gu;
const WORD_END = /(?=\s)/gu;

/**
 * The text in parts of at most `most` UTF-16 units, none of them without a letter or digit where there is one.
 * @param {string} text
 * @param {number} [most]
 * @returns {string[]} at least one part, which is empty for an empty text
 */
export function parts(text, most = MOST_CHARACTERS) {
  const found = [];
  let rest = text.trim();
  while (rest.length > most) {
    const cut = lastEnd(rest, SENTENCE_END, most) || lastEnd(rest, WORD_END, most) || betweenLetters(rest, most);
    found.push(rest.slice(0, cut).trim());
    rest = rest.slice(cut).trim();
  }
  found.push(rest);
  const speakable = found.filter((part) => /[\p{L}\p{N}]/u.test(part));
  return speakable.length ? speakable : found.slice(0, 1);
}

/** @param {string} text @param {RegExp} pattern @param {number} most */
function lastEnd(text, pattern, most) {
  const ends = [...text.slice(0, most + 1).matchAll(pattern)].map((match) => match.index + match[0].length);
  return ends.filter((end) => end <= most).at(-1) ?? 0;
}

/** @param {string} text @param {number} most */
function betweenLetters(text, most) {
  return /[\uD800-\uDBFF]/.test(text[most - 1]) ? most - 1 : most; // never within a surrogate pair
}
