/** Round numbers along an axis. Pure functions. */

/**
 * About `most` round numbers from `low` to `high`.
 * @param {number} low @param {number} high @param {number} most @param {boolean} [whole]
 */
export function ticks(low, high, most, whole = false) {
  if (!(high > low)) return [low];
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max([1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999), whole ? 1 : 0);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) found.push(Number((i * step).toPrecision(12)));
  return found;
}

/** Powers of ten from `low` to `high`, or round numbers where there are fewer than two. @param {number} low @param {number} high */
export function logTicks(low, high) {
  const found = [];
  for (let e = Math.ceil(Math.log10(low) - 1e-9); 10 ** e <= high * (1 + 1e-9); e += 1) found.push(Number((10 ** e).toPrecision(12)));
  return found.length > 1 ? found : [...new Set([low, ...found, high])];
}

/** A tick's number, short. @param {number} v */
export function tickText(v) {
  const size = Math.abs(v);
  if (v === 0) return "0";
  if (size < 1e-3 || size >= 1e5) return v.toExponential(1).replace(".0e", "e").replace("e+", "e").replaceAll("-", "−");
  return String(Number(v.toPrecision(4))).replace("-", "−");
}
