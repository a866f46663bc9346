/**
 * What a thinned curve shows: the mean of each bin, with a band from its lowest to its highest point, and the
 * range of y that outliers would spoil. Pure functions over curves.
 */

/** Of all values so many lie outside of the range that clipping keeps, at each end. */
const TAIL = 0.02;
const ROOM = 0.12;

/**
 * The bins of a thinned curve. Vertices of one bin carry the same mean, so a new mean is a new bin.
 * @param {{x: number[], step: number[], value: number[], mean: number[]}} curve
 * @returns {{x: number[], step: number[], mean: number[], low: number[], high: number[]}} bins without a finite value are left out
 */
export function bins(curve) {
  const result = { x: [], step: [], mean: [], low: [], high: [] };
  const n = curve.x.length;
  for (let start = 0; start < n; ) {
    let end = start + 1;
    let low = Infinity;
    let high = -Infinity;
    while (end < n && Object.is(curve.mean[end], curve.mean[start])) end += 1;
    for (let i = start; i < end; i += 1) {
      if (!Number.isFinite(curve.value[i])) continue;
      low = Math.min(low, curve.value[i]);
      high = Math.max(high, curve.value[i]);
    }
    if (low <= high) {
      result.x.push((curve.x[start] + curve.x[end - 1]) / 2);
      result.step.push(curve.step[end - 1]);
      result.mean.push(curve.mean[start]);
      result.low.push(low);
      result.high.push(high);
    }
    start = end;
  }
  return result;
}

/** The outline of a band: along its upper edge and back along the lower one. */
export const outline = ({ x, low, high }) => ({ x: [...x, ...x.toReversed()], y: [...high, ...low.toReversed()] });

/**
 * The range of y without outliers, and how many points it leaves out.
 * @param {{x: number[], value: number[]}[]} curves
 * @param {{range: {from: number, to: number}|null, log: boolean}} view
 * @returns {{low: number, high: number, above: number, below: number}|null} null where nothing stands out
 */
export function clip(curves, { range, log }) {
  const values = [];
  for (const { x, value } of curves) {
    for (let i = 0; i < x.length; i += 1) {
      if (!Number.isFinite(value[i]) || (log && value[i] <= 0) || (range && (x[i] < range.from || x[i] > range.to))) continue;
      values.push(log ? Math.log10(value[i]) : value[i]);
    }
  }
  if (values.length < 2 / TAIL / 4) return null;
  const sorted = Float64Array.from(values).sort();
  const at = (part) => sorted[Math.round(part * (sorted.length - 1))];
  const room = (at(1 - TAIL) - at(TAIL)) * ROOM;
  if (room === 0) return null;
  const low = Math.max(sorted[0], at(TAIL) - room);
  const high = Math.min(sorted[sorted.length - 1], at(1 - TAIL) + room);
  const above = sorted.reduce((n, v) => n + (v > high ? 1 : 0), 0);
  const below = sorted.reduce((n, v) => n + (v < low ? 1 : 0), 0);
  if (above + below === 0) return null;
  const back = (v) => (log ? 10 ** v : v);
  return { low: back(low), high: back(high), above, below };
}
