// How loud speech is to the ear, by ITU-R BS.1770: weighted by frequency, and without its silences.
const BLOCK_SECONDS = 0.4;
const STEP_SECONDS = 0.1;
const SILENCE = -70; // LUFS
const BELOW_MEAN = -10; // LU

/**
 * @param {Float32Array} samples one channel, -1 to 1
 * @param {number} sampleRate hertz
 * @returns {number} LUFS; -Infinity where nothing is loud enough to be heard
 */
export function loudness(samples, sampleRate) {
  const weighted = filtered(filtered(samples, shelf(sampleRate)), highPass(sampleRate));
  const powers = blockPowers(weighted, sampleRate).filter((power) => lufs(power) > SILENCE);
  const floor = lufs(mean(powers)) + BELOW_MEAN;
  return lufs(mean(powers.filter((power) => lufs(power) > floor)));
}

/**
 * The factors that make several recordings equally loud. The louder ones become quieter, so that none can clip.
 * @param {number[]} levels LUFS
 * @returns {number[]} factors, 0 to 1
 */
export function matched(levels) {
  const heard = levels.filter(Number.isFinite);
  const quietest = heard.length ? Math.min(...heard) : 0;
  return levels.map((level) => (Number.isFinite(level) ? 10 ** ((quietest - level) / 20) : 1));
}

/** @param {number} power */
const lufs = (power) => -0.691 + 10 * Math.log10(power);

/** @param {number[]} values */
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / (values.length || 1);

/** @param {Float32Array} samples @param {number} sampleRate */
function blockPowers(samples, sampleRate) {
  const block = Math.min(Math.round(BLOCK_SECONDS * sampleRate), samples.length);
  const step = Math.round(STEP_SECONDS * sampleRate);
  const powers = [];
  for (let start = 0; start + block <= samples.length && block > 0; start += step) {
    let sum = 0;
    for (let at = start; at < start + block; at += 1) sum += samples[at] ** 2;
    powers.push(sum / block);
  }
  return powers;
}

/** @typedef {{b: [number, number, number], a: [number, number]}} Filter two poles, two zeros, a0 = 1 */

/** @param {Float32Array} samples @param {Filter} filter */
function filtered(samples, { b, a }) {
  const result = new Float32Array(samples.length);
  let [x1, x2, y1, y2] = [0, 0, 0, 0];
  for (let at = 0; at < samples.length; at += 1) {
    const x = samples[at];
    const y = b[0] * x + b[1] * x1 + b[2] * x2 - a[0] * y1 - a[1] * y2;
    [x2, x1, y2, y1] = [x1, x, y1, y];
    result[at] = y;
  }
  return result;
}

// The standard gives both filters at 48 kHz; these are the analogue ones behind them, for any rate.
/** @param {number} sampleRate @returns {Filter} */
function shelf(sampleRate) {
  const [gain, q, k] = [10 ** (3.999843853973347 / 20), 0.7071752369554196, warped(1681.974450955533, sampleRate)];
  const middle = gain ** 0.4996667741545416;
  const a0 = 1 + k / q + k * k;
  return {
    b: [(gain + (middle * k) / q + k * k) / a0, (2 * (k * k - gain)) / a0, (gain - (middle * k) / q + k * k) / a0],
    a: [(2 * (k * k - 1)) / a0, (1 - k / q + k * k) / a0],
  };
}

/** @param {number} sampleRate @returns {Filter} */
function highPass(sampleRate) {
  const [q, k] = [0.5003270373238773, warped(38.13547087602444, sampleRate)];
  const a0 = 1 + k / q + k * k;
  return { b: [1, -2, 1], a: [(2 * (k * k - 1)) / a0, (1 - k / q + k * k) / a0] };
}

/** @param {number} frequency @param {number} sampleRate */
const warped = (frequency, sampleRate) => Math.tan((Math.PI * frequency) / sampleRate);
