// What the server behind this page can do. What it does not say is taken as not there.
import { Refusal } from "./api.js";
import { MOST_CHARACTERS } from "./parts.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {{version: string, revision?: string, role?: string, weight?: number}} Version */

/**
 * @typedef {object} Voice
 * @property {string} id
 * @property {string} name
 * @property {boolean} isDefault
 * @property {boolean} own whether this person has added it, from a recording
 * @property {number} seconds of the recording
 * @property {number} created seconds since 1970
 * @property {string[]} warnings codes
 */

/** @typedef {{kept: boolean, seconds: [number, number], transcript: boolean, formats: string[]}} Recordings */

/**
 * @typedef {object} Served
 * @property {string} model
 * @property {string | null} version
 * @property {number} sampleRate hertz
 * @property {string[]} languages codes; empty where the server does not say
 * @property {string[]} formats what a download can be, besides WAV
 * @property {[number, number]} speeds
 * @property {number} most characters of one request
 * @property {boolean} phonemes whether the pronunciation of words can be given
 * @property {"ipa" | "pinyin"} alphabet in which it is given
 * @property {Voice[]} voices empty where the server does not say
 * @property {Recordings | null} recordings of which recordings the model takes a voice; null: of none
 * @property {Version[]} versions empty where the server does not say
 */

const JOINABLE = ["mp3", "opus", "aac"];

/** What every server of this project can do. @type {Served} */
export const LEAST = {
  model: "",
  version: null,
  sampleRate: 24000,
  languages: [],
  formats: [],
  speeds: [0.5, 2],
  most: MOST_CHARACTERS,
  phonemes: false,
  alphabet: "ipa",
  voices: [],
  recordings: null,
  versions: [],
};

/**
 * Asks the server. Raises what the API raises where `version` is not answered; a refusal of the rest leaves it out,
 * but for a missing API key.
 * @param {Api} api
 * @param {string | null} version which version to ask
 * @returns {Promise<Served>}
 */
export async function askServer(api, version) {
  const [about, models, voices, versions] = await Promise.all([
    api.get("version", { version }),
    optional(api.get("v1/models", { version })),
    optional(api.get("v1/voices", { version })),
    optional(api.get("v1/versions", { version })),
  ]);
  return servedOf(about, models, voices, versions);
}

/** @param {Promise<any>} asking */
async function optional(asking) {
  try {
    return await asking;
  } catch (error) {
    if (error instanceof Refusal && error.status !== 401) return null;
    throw error;
  }
}

/** @param {any} about @param {any} models @param {any} voices @param {any} versions @returns {Served} */
export function servedOf(about, models, voices, versions) {
  const listed = listOf(models);
  const model = listed.find((one) => one.id === about?.model) ?? listed[0] ?? {};
  return {
    ...LEAST,
    model: about?.model ?? model.id ?? "",
    version: about?.version ?? null,
    sampleRate: about?.sampleRate ?? LEAST.sampleRate,
    languages: model.languages ?? [],
    formats: (model.formats ?? []).filter((/** @type {string} */ format) => !["wav", "pcm"].includes(format)),
    speeds: model.speeds ?? LEAST.speeds,
    most: model.max_characters ?? LEAST.most,
    phonemes: model.capabilities?.phonemes === true,
    alphabet: model.capabilities?.alphabet === "pinyin" ? "pinyin" : "ipa",
    voices: listOf(voices).map(voiceOf),
    recordings: voices?.recordings ?? null,
    versions: listOf(versions),
  };
}

/** @param {any} voice @returns {Voice} */
function voiceOf({ id, name = id, default: isDefault, own, seconds = 0, created = 0, warnings = [] }) {
  const codes = warnings.map((/** @type {{code: string}} */ { code }) => code);
  return { id, name, isDefault: isDefault === true, own: own === true, seconds, created, warnings: codes };
}

/** @param {any} answer @returns {any[]} */
function listOf(answer) {
  return Array.isArray(answer?.data) ? answer.data : [];
}

/**
 * The formats that a speech of so many requests can be downloaded in: not each can be joined from several answers.
 * @param {Served} served
 * @param {number} requests
 */
export function formatsFor(served, requests) {
  return ["wav", ...served.formats.filter((format) => requests === 1 || JOINABLE.includes(format))];
}
