// Two recordings brought to one sample rate, so that they can be played in step.
import { Recording } from "./recording.js";
import { samplesOf } from "./wav.js";

/**
 * The slower one is resampled by the browser, which does it well where it decodes a file.
 * @param {Recording[]} recordings whole ones
 * @returns {Promise<Recording[]>}
 */
export async function atOneRate(recordings) {
  const rate = Math.max(...recordings.map(({ sampleRate }) => sampleRate));
  return Promise.all(recordings.map((one) => (one.sampleRate === rate ? one : resampled(one, rate))));
}

/** @param {Recording} recording @param {number} rate hertz */
async function resampled(recording, rate) {
  const context = new OfflineAudioContext(1, 1, rate);
  const floats = (await context.decodeAudioData(recording.wav().buffer)).getChannelData(0);
  const result = new Recording(rate);
  result.append(samplesOf(floats));
  result.end();
  return result;
}
