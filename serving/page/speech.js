// A text spoken by one version, however long the text is, into a recording that can be heard while it grows.
import { Unreachable } from "./api.js";
import { parts } from "./parts.js";
import { Recording } from "./recording.js";
import { NoAudio, WavReader } from "./wav.js";
import { Take } from "./take.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./take.js").Wish} Wish */

/** A text goes on in another version whose audio does not fit to what is there. */
export class Unfitting extends Error {}

/** What was spoken by this version cannot be had from it again. */
export class VersionGone extends Error {
  /** @param {string} version */
  constructor(version) {
    super(`version ${version} is gone`);
    this.version = version;
  }
}

/**
 * Speaks a text part by part. A part is spoken by the version that spoke the part before, while that one is there.
 * @param {Api} api
 * @param {Wish} wish
 * @param {object} how
 * @param {string | null} how.version which version to ask; null: whichever answers
 * @param {number} how.most characters of one request
 * @param {AbortSignal} how.signal
 * @param {(take: Take) => void} [how.begin] called when the first sound is there
 * @param {(at: number, of: number) => void} [how.tell] called before each part, from 1 on
 * @returns {Promise<Take>} whole; what `begin` was given is ended too when this fails
 */
export async function speak(api, wish, { version, most, signal, begin = () => {}, tell = () => {} }) {
  const [take, began] = [new Take(), performance.now()];
  const texts = parts(wish.text, most);
  try {
    for (const [at, text] of texts.entries()) {
      tell(at + 1, texts.length);
      const asked = take.version ?? version;
      const answer = await api.speech(bodyOf(wish, text, "wav"), { version: asked, signal });
      take.parts.push(partOf(text, answer));
      await gather(answer, take, signal, () => {
        take.first = (performance.now() - began) / 1000;
        begin(take);
      });
    }
    take.total = (performance.now() - began) / 1000;
    return take;
  } finally {
    take.recording?.end();
  }
}

/**
 * The same speech in another format, made again with the same seed by the version that spoke.
 * @param {Api} api
 * @param {Wish} wish
 * @param {Take} take
 * @param {string} format
 * @param {AbortSignal} [signal]
 * @returns {Promise<Blob>}
 */
export async function encoded(api, wish, take, format, signal) {
  const pieces = [];
  let type = "";
  for (const { text, version } of take.parts) {
    const answer = await api.speech(bodyOf(wish, text, format), { version, signal });
    if (answer.headers.get("x-tts-version") !== version) {
      await answer.body?.cancel();
      throw new VersionGone(version ?? "?");
    }
    type = answer.headers.get("content-type") ?? "";
    pieces.push(await answer.blob().catch((error) => Promise.reject(brokenOff(error, signal))));
  }
  return new Blob(pieces, { type });
}

/** @param {Wish} wish @param {string} text @param {string} format */
function bodyOf({ voice, speed, seed, phonemes }, text, format) {
  return {
    model: "tts",
    input: text,
    response_format: format,
    speed,
    seed,
    ...(voice && { voice }),
    ...(Object.keys(phonemes).length && { phonemes }),
  };
}

/** @param {string} text @param {Response} answer */
function partOf(text, { headers }) {
  const [version, revision, request] = ["x-tts-version", "x-tts-revision", "x-request-id"].map((n) => headers.get(n));
  return { text, version, revision, request };
}

/** @param {Response} answer @param {Take} take @param {AbortSignal} signal @param {() => void} begin */
async function gather(answer, take, signal, begin) {
  const wav = new WavReader();
  const body = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  try {
    for (;;) {
      const { done, value } = await body.read();
      if (done) break;
      const samples = wav.read(value);
      if (!samples.length) continue;
      const isFirst = !take.recording;
      take.recording ??= new Recording(wav.sampleRate);
      if (take.recording.sampleRate !== wav.sampleRate) throw new Unfitting("another sample rate");
      take.recording.append(samples);
      if (isFirst) begin();
    }
  } catch (error) {
    await body.cancel().catch(() => {});
    throw error instanceof NoAudio || error instanceof Unfitting ? error : brokenOff(error, signal);
  }
  if (!take.recording) throw new NoAudio("no sound");
}

/** @param {unknown} error @param {AbortSignal} [signal] */
function brokenOff(error, signal) {
  return signal?.aborted ? error : new Unreachable("the answer broke off");
}
