/**
 * The cursor that all charts share: where it stands on the axis, and what each line has there.
 * Pure but for the signal; it knows no chart library and draws nothing.
 */
import { signal } from "@preact/signals";

/**
 * Where the pointer is: x in the axis' own unit (milliseconds on an axis of time), the axis, the chart that is
 * pointed at and the height of the pointer in it; null when it is in none.
 * @type {import("@preact/signals").Signal<{x: number, axis: string, chart: string, y: number}|null>}
 */
export const pointer = signal(null);

/** Further away from a line's ends than so many pixels the line has no value under the cursor. */
const BEYOND_PX = 24;

/** Index of the value nearest to x in a rising list, or -1. @param {number[]} xs @param {number} x */
export function nearestIndex(xs, x) {
  let low = 0;
  let high = xs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle + 1;
    else high = middle;
  }
  if (low === xs.length) return xs.length - 1;
  return low > 0 && x - xs[low - 1] <= xs[low] - x ? low - 1 : low;
}

/**
 * What every line has under the cursor, highest first.
 * @param {{x: number[], y: number[], step: number[], low?: number[], high?: number[]}[]} lines
 * @param {number} x
 * @param {(x: number) => number} toPixel
 * @returns {{line: object, value: number, step: number, low: number, high: number, distance: number}[]}
 */
export function valuesAt(lines, x, toPixel) {
  const at = toPixel(x);
  const found = [];
  for (const line of lines) {
    const i = nearestIndex(line.x, x);
    if (i < 0) continue;
    const distance = Math.abs(toPixel(line.x[i]) - at);
    const outside = x < line.x[0] || x > line.x[line.x.length - 1];
    if (outside && distance > BEYOND_PX) continue;
    found.push({ line, value: line.y[i], step: line.step[i], low: line.low?.[i], high: line.high?.[i], distance });
  }
  const weight = (v) => (Number.isNaN(v) ? -Infinity : v);
  return found.sort((a, b) => weight(b.value) - weight(a.value));
}

/**
 * Differences from a line: the chosen baseline's of the same metric, else that of the line that is pointed at.
 * @param {ReturnType<typeof valuesAt>} rows
 * @param {string|null} baseline id of a run
 * @param {object|null} lit the line that is pointed at
 */
export function withDifferences(rows, baseline, lit) {
  const own = (run, metric) => rows.find(({ line }) => line.run.id === run && line.metric === metric);
  return rows.map((row) => {
    const from = baseline ? own(baseline, row.line.metric) : rows.find(({ line }) => line === lit);
    return { ...row, difference: from && from !== row ? row.value - from.value : null };
  });
}
