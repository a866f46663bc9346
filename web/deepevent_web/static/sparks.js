/**
 * Small curves for table rows: a metric's course in a dozen pixels, fetched for the rows in view, many at a time,
 * and carried on by live points. Extremes are kept, as in every curve that the server thins.
 */
import { signal } from "@preact/signals";
import { readCurves } from "./api.js";

const PIXELS = 16;
const WAIT_MS = 60;
const MOST_QUERIES = 200;
const MOST_APPENDED = 60;
const KEPT = 5000;

/** `run\nmetric` → `{x, y, n}`, or null while it is asked for. */
const known = new Map();
const wanted = new Map();
let timer = null;
/** Rises when curves came, so that rows draw themselves again. */
export const sparkVersion = signal(0);

/**
 * The course of a metric, asked for if it is not here yet.
 * @param {string} run @param {string} metric
 * @returns {{x: number[], y: number[]}|null}
 */
export function spark(run, metric) {
  const key = `${run}\n${metric}`;
  const found = known.get(key);
  if (found === undefined && !wanted.has(key)) {
    wanted.set(key, { run, metric });
    timer ??= setTimeout(fetchWanted, WAIT_MS);
  }
  return found || null;
}

async function fetchWanted() {
  timer = null;
  const entries = [...wanted].slice(-MOST_QUERIES); // what was scrolled past long ago is asked for when it comes back
  wanted.clear();
  if (known.size > KEPT) known.clear();
  for (const [key] of entries) known.set(key, null);
  try {
    const { curves } = await readCurves({ queries: entries.map(([, query]) => query), x: "step", pixels: PIXELS });
    curves.forEach(({ data, n_points: n }, i) => known.set(entries[i][0], { x: Array.from(data.x), y: Array.from(data.value), n, added: 0 }));
  } catch {
    for (const [key] of entries) known.delete(key); // asked for again when the row is drawn again
    return;
  }
  sparkVersion.value += 1;
}

/** Take in live points; like `curves.merge`. @param {object[]} series @param {Float64Array} data */
export function mergeSparks(series, data) {
  let offset = 0;
  let changed = false;
  for (const { run, metric, rank, index, n } of series) {
    const curve = rank === 0 ? known.get(`${run}\n${metric}`) : null;
    if (curve && index + n > curve.n && n > 0) {
      curve.x.push(data[offset + n - 1]);
      curve.y.push(data[offset + 3 * n - 1]);
      curve.n = index + n;
      curve.added += n;
      if (curve.added > MOST_APPENDED) known.delete(`${run}\n${metric}`);
      changed = true;
    }
    offset += 3 * n;
  }
  if (changed) sparkVersion.value += 1;
}

/**
 * The line as an SVG path in a box, or "" where there is nothing to draw.
 * @param {{x: number[], y: number[]}} curve @param {number} width @param {number} height
 */
export function sparkPath({ x, y }, width, height) {
  const at = y.map((_, i) => i).filter((i) => Number.isFinite(y[i]) && Number.isFinite(x[i]));
  if (at.length < 2) return "";
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const i of at) [left, right, low, high] = [Math.min(left, x[i]), Math.max(right, x[i]), Math.min(low, y[i]), Math.max(high, y[i])];
  const across = (v) => (1 + ((v - left) / (right - left || 1)) * (width - 2)).toFixed(1);
  const up = (v) => (height - 1 - ((v - low) / (high - low || 1)) * (height - 2)).toFixed(1);
  return at.map((i, n) => `${n ? "L" : "M"}${across(x[i])} ${up(y[i])}`).join("");
}
