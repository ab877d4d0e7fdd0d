// A recording by the microphone, as a WAV file: what browsers record by themselves no server need know.
import { samplesOf, wavFile } from "./wav.js";

const RATE = 48000;

/** Whether this browser lets this page record at all: over plain HTTP it does so on this machine alone. */
export function canRecord() {
  return Boolean(navigator.mediaDevices?.getUserMedia) && "MediaRecorder" in window;
}

export class Microphone {
  /** @type {MediaRecorder | null} */
  #recorder = null;
  #began = 0;

  get isOn() {
    return this.#recorder !== null;
  }

  get seconds() {
    return this.isOn ? (performance.now() - this.#began) / 1000 : 0;
  }

  /** Asks the person for the microphone, and begins. Raises DOMException where it is not given. */
  async start() {
    // What cleans a telephone call up would change the voice.
    const wanted = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    this.#recorder = new MediaRecorder(stream);
    this.#recorder.start();
    this.#began = performance.now();
  }

  /** @returns {Promise<File>} what was recorded */
  async stop() {
    const recorder = /** @type {MediaRecorder} */ (this.#recorder);
    this.#recorder = null;
    /** @type {Blob} */
    const blob = await new Promise((resolve) => {
      recorder.addEventListener("dataavailable", ({ data }) => resolve(data), { once: true });
      recorder.stop();
    });
    for (const track of recorder.stream.getTracks()) track.stop();
    return new File([await wavOf(blob)], "recording.wav", { type: "audio/wav" });
  }
}

/** @param {Blob} blob whatever the browser decodes */
async function wavOf(blob) {
  const context = new OfflineAudioContext(1, 1, RATE);
  const decoded = await context.decodeAudioData(await blob.arrayBuffer());
  return wavFile(samplesOf(decoded.getChannelData(0)), RATE);
}
