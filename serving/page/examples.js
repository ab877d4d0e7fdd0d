// Texts to try, in the languages that models speak.

/** @type {Record<string, string[]>} */
export const EXAMPLES = {
  en: [
    "The harbour was quiet before the first ferry left. How long does the train to the northern coast take?",
    "Good morning! Your table for four is booked for half past seven on Friday, the 3rd of May.",
    "She opened the letter slowly, read it twice, and laughed. “So,” she said, “they really did it.”",
    "Flight 2086 to Reykjavik is delayed by 45 minutes. Please wait near gate B12; we are sorry for the trouble.",
  ],
  zh: [
    "第一班渡轮离港之前，码头一片安静。去北海岸的火车要开多久？",
    "早上好！您预订的四人桌已留到五月三日星期五晚上七点半。",
    "她慢慢拆开信，读了两遍，笑了。“看来，”她说，“他们真的做到了。”",
    "飞往广州的 2086 次航班晚点四十五分钟，请在 B12 登机口附近等候。",
  ],
};

/**
 * The example after `text`, in the first language of the model that has any.
 * @param {string} text
 * @param {string[]} languages codes, the model's
 */
export function exampleAfter(text, languages) {
  const examples = examplesIn(languages);
  return examples[(examples.indexOf(text) + 1) % examples.length];
}

/**
 * `text` itself, but an example in a language of the model in place of one that it does not speak.
 * @param {string} text
 * @param {string[]} languages codes, the model's
 */
export function exampleFor(text, languages) {
  const isOwn = !Object.values(EXAMPLES).some((examples) => examples.includes(text));
  return isOwn || examplesIn(languages).includes(text) ? text : exampleAfter("", languages);
}

/** @param {string[]} languages */
function examplesIn(languages) {
  const code = languages.map((language) => language.split("-")[0]).find((language) => language in EXAMPLES);
  return EXAMPLES[code ?? "en"];
}
