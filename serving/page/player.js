// Plays recordings while they grow, several in step of which one is heard, with the Web Audio API.

/** @typedef {import("./recording.js").Recording} Recording */
/** @typedef {{recording: Recording, gain: number}} Track */

const LEAD = 0.03; // seconds from the order to the sound, so that the first samples are not late
const PIECE = 2; // seconds: what is handed to the browser at once
const AHEAD = 15; // seconds handed over in advance, since a page in the background is woken rarely
const REFILL = 0.4; // seconds that must be there to go on, after there was nothing left to play
const FADE = 0.008; // seconds, the time constant: short, and without a click

/** One stretch of playing without a jump. `from` is where it began, `until` what is handed over, in samples. */
class Run {
  /** @type {Set<AudioBufferSourceNode>} */
  sources = new Set();

  /** @param {AudioContext} context @param {Track[]} tracks @param {number} heard @param {number} from */
  constructor(context, tracks, heard, from) {
    this.context = context;
    this.tracks = tracks;
    this.from = from;
    this.until = from;
    this.rate = context.sampleRate;
    // A whole number of samples of the context, so that pieces join without resampling.
    this.anchor = Math.ceil((context.currentTime + LEAD) * this.rate);
    this.master = new GainNode(context);
    this.master.connect(context.destination);
    this.gains = tracks.map((track, at) => new GainNode(context, { gain: at === heard ? track.gain : 0 }));
    for (const gain of this.gains) gain.connect(this.master);
  }

  /** In samples; a little before `from` until the sound has begun. */
  get position() {
    return this.from + this.context.currentTime * this.rate - this.anchor;
  }

  /** Whether what comes next would come too late to join what was handed over. */
  get isLate() {
    return this.until < this.position + 0.005 * this.rate;
  }

  /** @param {number} available in samples @param {() => void} ended called when a piece has been played */
  fill(available, ended) {
    const limit = Math.min(available, Math.max(this.position, this.from) + AHEAD * this.rate);
    while (this.until < limit) {
      const end = Math.min(this.until + PIECE * this.rate, limit);
      for (const [at, { recording }] of this.tracks.entries()) {
        const samples = recording.slice(Math.round(this.until), Math.round(end));
        if (samples.length) this.#start(samples, this.gains[at], ended);
      }
      this.until = end;
    }
  }

  /** @param {Float32Array<ArrayBuffer>} samples @param {GainNode} gain @param {() => void} ended */
  #start(samples, gain, ended) {
    const buffer = new AudioBuffer({ length: samples.length, sampleRate: this.rate, numberOfChannels: 1 });
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(gain);
    source.onended = () => {
      this.sources.delete(source);
      ended();
    };
    this.sources.add(source);
    source.start((this.anchor + this.until - this.from) / this.rate);
  }

  stop() {
    if (!this.sources.size) return; // all was played, and the end of a word must not be faded
    const now = this.context.currentTime;
    this.master.gain.setTargetAtTime(0, now, FADE);
    for (const source of this.sources) {
      source.onended = null;
      source.stop(now + 6 * FADE);
    }
    this.sources.clear();
  }

  /** @param {number} heard */
  choose(heard) {
    const now = this.context.currentTime;
    for (const [at, gain] of this.gains.entries()) {
      gain.gain.setTargetAtTime(at === heard ? this.tracks[at].gain : 0, now, FADE);
    }
  }
}

/**
 * Dispatches `state` whenever it begins to play, waits for more, pauses or is at its end, and `blocked` when the
 * browser does not allow sound before the person has touched the page.
 */
export class Player extends EventTarget {
  /** @type {Track[]} all of one sample rate */
  tracks = [];
  heard = 0;
  /** @type {"paused" | "playing" | "waiting" | "ended"} */
  state = "paused";
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {Run | null} */
  #run = null;
  #position = 0;
  #contextOf;
  #changed = () => this.#refill();

  /** @param {(sampleRate: number) => AudioContext} [contextOf] */
  constructor(contextOf = (sampleRate) => new AudioContext({ sampleRate })) {
    super();
    this.#contextOf = contextOf;
  }

  /** Call this where the person has just acted: browsers allow sound only from there. @param {number} sampleRate */
  prepare(sampleRate) {
    // Without this, an iPhone whose ringer is off plays nothing.
    const { audioSession } = /** @type {any} */ (navigator);
    if (audioSession) audioSession.type = "playback";
    if (this.#context?.sampleRate !== sampleRate) {
      this.#context?.close();
      this.#context = this.#contextOf(sampleRate);
    }
    this.#context.resume().catch(() => {}); // the browser may refuse sound; `play` looks whether it did
    return this.#context;
  }

  /** @param {Track[]} tracks all of one sample rate; they may still grow */
  load(tracks) {
    this.pause();
    for (const { recording } of this.tracks) this.#listen(recording, "removeEventListener");
    this.tracks = tracks;
    this.heard = 0;
    this.#position = 0;
    for (const { recording } of tracks) this.#listen(recording, "addEventListener");
    this.#become("paused");
  }

  /** Seconds. */
  get position() {
    return this.#samples / this.#rate;
  }

  /** Seconds of the longest track that are there by now. */
  get seconds() {
    return this.#available / this.#rate;
  }

  get isOn() {
    return this.state === "playing" || this.state === "waiting";
  }

  play() {
    if (!this.tracks.length || this.isOn) return;
    if (this.#isWhole && this.#position >= this.#available) this.#position = 0;
    const context = this.prepare(this.#rate);
    this.#begin();
    setTimeout(() => {
      if (context.state === "suspended" && context === this.#context && this.isOn) {
        this.pause();
        this.dispatchEvent(new Event("blocked"));
      }
    }, 500);
  }

  pause() {
    if (!this.isOn) return;
    this.#position = this.#samples;
    this.#halt();
    this.#become("paused");
  }

  /** @param {number} seconds within what is there */
  seek(seconds) {
    if (!this.tracks.length) return;
    const wasOn = this.isOn;
    this.#halt();
    this.#position = Math.round(Math.min(Math.max(seconds * this.#rate, 0), this.#available));
    if (wasOn) this.#begin();
    else this.#become("paused");
  }

  /** Which of the tracks is heard. @param {number} at */
  choose(at) {
    this.heard = at;
    this.#run?.choose(at);
    this.dispatchEvent(new Event("state"));
  }

  get #rate() {
    return this.tracks[0]?.recording.sampleRate ?? 1;
  }

  get #available() {
    return Math.max(0, ...this.tracks.map(({ recording }) => recording.length));
  }

  get #isWhole() {
    return this.tracks.every(({ recording }) => recording.done);
  }

  get #samples() {
    const run = this.#run;
    return run ? Math.min(Math.max(run.position, run.from), run.until) : this.#position;
  }

  /** @param {Recording} recording @param {"addEventListener" | "removeEventListener"} act */
  #listen(recording, act) {
    for (const name of ["grow", "end"]) recording[act](name, this.#changed);
  }

  #begin() {
    const context = /** @type {AudioContext} */ (this.#context);
    this.#run = new Run(context, this.tracks, this.heard, this.#position);
    this.#become("playing");
    this.#refill();
  }

  #halt() {
    this.#run?.stop();
    this.#run = null;
  }

  #refill() {
    const run = this.#run;
    if (run && run.isLate && run.until < this.#available) {
      this.#goOn();
      return;
    }
    run?.fill(this.#available, () => this.#refill());
    if (run && !run.sources.size) this.#runDry();
    else if (this.state === "waiting") this.#goOn();
  }

  /** What was handed over has been played. */
  #runDry() {
    this.#position = this.#run?.until ?? this.#position;
    this.#halt();
    this.#become(this.#isWhole ? "ended" : "waiting");
  }

  /** Begins again where there was nothing left, once it is worth it. */
  #goOn() {
    if (this.#run) {
      this.#position = this.#run.until;
      this.#halt();
    }
    const left = this.#available - this.#position;
    if (this.#isWhole && left <= 0) this.#become("ended");
    else if (this.#isWhole || left >= REFILL * this.#rate) this.#begin();
    else this.#become("waiting");
  }

  /** @param {"paused" | "playing" | "waiting" | "ended"} state */
  #become(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
