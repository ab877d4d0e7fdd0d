// The picture of a recording: bars that come as the audio comes, and a slider to move within what is there.
import { PEAKS_PER_SECOND } from "./recording.js";

/** @typedef {import("./recording.js").Recording} Recording */

const BAR = 3; // CSS pixels
const GAP = 2;
const QUIET = 0.1; // of full scale: what is never louder is not blown up further
const STEP = 1; // seconds, by an arrow key
const LEAP = 5;

/** Calls `seek` with seconds. The element is a slider (ARIA), its canvas is its picture. */
export class Waveform {
  /** @type {Recording | null} */
  #recording = null;
  #position = 0;
  #expected = 0;
  #loudest = 0;
  #drawn = "";
  #said = -1;

  /**
   * @param {HTMLElement} element
   * @param {(seconds: number) => void} seek
   * @param {(position: number, seconds: number) => string} describe the position in words
   */
  constructor(element, seek, describe) {
    this.element = element;
    this.canvas = /** @type {HTMLCanvasElement} */ (element.querySelector("canvas"));
    this.seek = seek;
    this.describe = describe;
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("pointerdown", (event) => this.#press(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => this.draw());
    }
  }

  /**
   * @param {Recording | null} recording
   * @param {number} [expected] seconds that it may have in the end
   */
  show(recording, expected = 0) {
    this.#recording = recording;
    this.#expected = expected;
    this.#said = -1;
    this.move(0);
  }

  /** @param {number} position seconds */
  move(position) {
    this.#position = position;
    // Of sixty pictures a second, few differ from the one before.
    const played = Math.floor((position / this.#span) * this.#bars + 0.5);
    const picture = `${played} ${this.#span} ${this.#recording?.peaks.length}`;
    if (picture !== this.#drawn) this.draw();
    this.#drawn = picture;
    this.#say();
  }

  /** Seconds from the left to the right edge. */
  get #span() {
    const { seconds = 0, done = true } = this.#recording ?? {};
    return done ? seconds : Math.max(seconds * 1.02, this.#expected);
  }

  get #bars() {
    return Math.floor((this.canvas.clientWidth + GAP) / (BAR + GAP));
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const scale = devicePixelRatio;
    if (this.canvas.width !== Math.round(width * scale)) this.canvas.width = Math.round(width * scale);
    if (this.canvas.height !== Math.round(height * scale)) this.canvas.height = Math.round(height * scale);
    const drawing = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    drawing.setTransform(scale, 0, 0, scale, 0, 0);
    drawing.clearRect(0, 0, width, height);
    const colours = getComputedStyle(this.element);
    const [played, ahead, empty] = ["--played", "--ahead", "--empty"].map((name) => colours.getPropertyValue(name));
    this.#loudest = this.#recording?.peaks.reduce((loudest, peak) => Math.max(loudest, peak), 0) ?? 0;
    const bars = this.#bars;
    for (let bar = 0; bar < bars; bar += 1) {
      const peak = this.#peak(bar / bars, (bar + 1) / bars);
      const isPlayed = ((bar + 0.5) / bars) * this.#span <= this.#position;
      drawing.fillStyle = peak === null ? empty : isPlayed ? played : ahead;
      const tall = Math.max(BAR, (peak ?? 0) * height);
      drawing.beginPath();
      drawing.roundRect(bar * (BAR + GAP), (height - tall) / 2, BAR, tall, BAR / 2);
      drawing.fill();
    }
  }

  /**
   * @param {number} from of the width, 0 to 1
   * @param {number} to
   * @returns {number | null} 0 to 1, with quiet parts made visible; null where there is nothing yet
   */
  #peak(from, to) {
    const peaks = this.#recording?.peaks ?? [];
    const first = Math.floor(from * this.#span * PEAKS_PER_SECOND);
    if (first >= peaks.length) return null;
    let peak = 0;
    const last = Math.max(first + 1, Math.floor(to * this.#span * PEAKS_PER_SECOND));
    for (let at = first; at < Math.min(last, peaks.length); at += 1) peak = Math.max(peak, peaks[at]);
    return Math.min(1, peak / Math.max(this.#loudest, QUIET)) ** 0.8;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const leap = event.shiftKey ? LEAP : STEP;
    /** @type {Record<string, number>} */
    const targets = {
      ArrowLeft: this.#position - leap,
      ArrowDown: this.#position - leap,
      ArrowRight: this.#position + leap,
      ArrowUp: this.#position + leap,
      PageDown: this.#position - LEAP,
      PageUp: this.#position + LEAP,
      Home: 0,
      End: this.#recording?.seconds ?? 0,
    };
    if (!(event.key in targets) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#go(Math.max(0, targets[event.key]));
  }

  /** @param {number} seconds */
  #go(seconds) {
    this.seek(seconds);
    this.sayAgain();
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (event.button !== 0 || !this.#recording) return;
    const follow = (/** @type {PointerEvent} */ at) => {
      const { left, width } = this.canvas.getBoundingClientRect();
      this.#go((Math.min(Math.max(at.clientX - left, 0), width) / width) * this.#span);
    };
    const release = () => this.element.removeEventListener("pointermove", follow);
    this.element.setPointerCapture(event.pointerId);
    this.element.addEventListener("pointermove", follow);
    for (const name of ["pointerup", "pointercancel"]) this.element.addEventListener(name, release, { once: true });
    follow(event);
  }

  /** To a screen reader, once a second: more would be read out without end. */
  #say() {
    const { seconds = 0 } = this.#recording ?? {};
    const isAtEnd = this.#position >= seconds;
    const key = isAtEnd ? this.#position + seconds : Math.floor(this.#position) * 1e6 + Math.floor(seconds);
    if (key === this.#said) return;
    this.#said = key;
    this.element.setAttribute("aria-valuemax", seconds.toFixed(1));
    this.element.setAttribute("aria-valuenow", Math.min(this.#position, seconds).toFixed(1));
    this.element.setAttribute("aria-valuetext", this.describe(this.#position, seconds));
  }

  /** After a jump, or a change of the language. */
  sayAgain() {
    this.#said = -1;
    this.#say();
  }
}
