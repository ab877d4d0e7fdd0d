// Audio that may still be growing: samples as they come, and the peaks that its picture is drawn from.
import { WavReader, wavFile } from "./wav.js";

export const PEAKS_PER_SECOND = 100;

/** Dispatches `grow` when there is more, and `end` once when there will be no more. */
export class Recording extends EventTarget {
  /** Whether no more will come. */
  done = false;
  #samples = new Int16Array(65536);
  #length = 0;
  /** @type {number[]} */
  #peaks = [];

  /** @param {number} sampleRate hertz */
  constructor(sampleRate) {
    super();
    this.sampleRate = sampleRate;
  }

  /** @param {Uint8Array} bytes a whole WAV file @returns {Recording} */
  static fromWav(bytes) {
    const reader = new WavReader();
    const samples = reader.read(bytes);
    const recording = new Recording(reader.sampleRate);
    recording.append(samples);
    recording.end();
    return recording;
  }

  /** In samples. */
  get length() {
    return this.#length;
  }

  get seconds() {
    return this.#length / this.sampleRate;
  }

  get samples() {
    return this.#samples.subarray(0, this.#length);
  }

  /** The loudest sample of each hundredth of a second, 0 to 1. */
  get peaks() {
    return this.#peaks;
  }

  /** @param {Int16Array} samples */
  append(samples) {
    if (!samples.length) return;
    const length = this.#length + samples.length;
    if (length > this.#samples.length) {
      const larger = new Int16Array(Math.max(length, this.#samples.length * 2));
      larger.set(this.samples);
      this.#samples = larger;
    }
    this.#samples.set(samples, this.#length);
    this.#length = length;
    this.#measure();
    this.dispatchEvent(new Event("grow"));
  }

  end() {
    if (this.done) return;
    this.done = true;
    this.dispatchEvent(new Event("end"));
  }

  /**
   * @param {number} from in samples
   * @param {number} to
   * @returns {Float32Array<ArrayBuffer>} what there is of them, -1 to 1
   */
  slice(from, to) {
    const piece = this.samples.subarray(from, to);
    const floats = new Float32Array(piece.length);
    for (let at = 0; at < piece.length; at += 1) floats[at] = piece[at] / 32768;
    return floats;
  }

  wav() {
    return wavFile(this.samples, this.sampleRate);
  }

  #measure() {
    const step = this.sampleRate / PEAKS_PER_SECOND;
    while ((this.#peaks.length + 1) * step <= this.#length) {
      let peak = 0;
      const end = (this.#peaks.length + 1) * step;
      for (let at = Math.floor(this.#peaks.length * step); at < end; at += 1) {
        peak = Math.max(peak, Math.abs(this.#samples[at]));
      }
      this.#peaks.push(peak / 32768);
    }
  }
}
