// WAV files of 16-bit PCM in one channel: read as they come over the network, and written whole.
const MOST_HEADER = 65536; // bytes before the audio that are still believed to be a header

export class NoAudio extends Error {}

/**
 * Takes a streamed WAV apart: give it bytes, get samples. The sizes in its header are not looked at, since a server
 * that streams cannot know them.
 */
export class WavReader {
  /** Hertz; 0 until the header is there. */
  sampleRate = 0;
  /** @type {Uint8Array} */
  #rest = new Uint8Array(0);

  /**
   * @param {Uint8Array} bytes
   * @returns {Int16Array} the samples that are whole by now
   */
  read(bytes) {
    let rest = this.#rest.length ? joinedBytes([this.#rest, bytes]) : bytes;
    if (!this.sampleRate) {
      const start = this.#readHeader(rest);
      rest = rest.subarray(start);
      if (!this.sampleRate) {
        this.#rest = rest;
        return new Int16Array(0);
      }
    }
    const whole = rest.length - (rest.length % 2);
    this.#rest = rest.slice(whole);
    return new Int16Array(rest.slice(0, whole).buffer);
  }

  /** @param {Uint8Array} bytes @returns {number} where the audio starts, or 0 when that is not known yet */
  #readHeader(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const name = (/** @type {number} */ at) => String.fromCharCode(...bytes.subarray(at, at + 4));
    if (bytes.length >= 12 && (name(0) !== "RIFF" || name(8) !== "WAVE")) throw new NoAudio("not a WAV file");
    let sampleRate = 0;
    for (let at = 12; at + 8 <= bytes.length; at += 8 + view.getUint32(at + 4, true)) {
      if (name(at) === "fmt " && at + 24 <= bytes.length) {
        const [kind, channels, bits] = [8, 10, 22].map((offset) => view.getUint16(at + offset, true));
        if (kind !== 1 || channels !== 1 || bits !== 16) throw new NoAudio("not 16-bit PCM in one channel");
        sampleRate = view.getUint32(at + 12, true);
      }
      if (name(at) === "data" && sampleRate) {
        this.sampleRate = sampleRate;
        return at + 8;
      }
    }
    if (bytes.length > MOST_HEADER) throw new NoAudio("a WAV file without audio");
    return 0;
  }
}

/** @param {Uint8Array[]} pieces */
function joinedBytes(pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** @param {Float32Array} floats -1 to 1 @returns {Int16Array} */
export function samplesOf(floats) {
  return Int16Array.from(floats, (value) => Math.round(Math.min(Math.max(value, -1), 32767 / 32768) * 32768));
}

/**
 * @param {Int16Array} samples
 * @param {number} sampleRate hertz
 * @returns {Uint8Array<ArrayBuffer>} a whole file
 */
export function wavFile(samples, sampleRate) {
  const header = 44;
  const bytes = samples.length * 2;
  const file = new Uint8Array(header + bytes);
  const view = new DataView(file.buffer);
  const put = (/** @type {number} */ at, /** @type {string} */ name) => file.set(new TextEncoder().encode(name), at);
  put(0, "RIFF");
  view.setUint32(4, header - 8 + bytes, true);
  put(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, sampleRate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  put(36, "data");
  view.setUint32(40, bytes, true);
  file.set(new Uint8Array(samples.buffer, samples.byteOffset, bytes), header);
  return file;
}
