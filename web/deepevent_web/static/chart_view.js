/**
 * What the URL says about charts: axis, smoothing, scales, zoom, and where each chart stands and how large it is.
 * Pure but for reading and writing the URL; it knows no chart and no data.
 */
import { param, setParams } from "./router.js";

export const AXES = ["step", "epoch", "time", "relative"];
export const MOST_WEIGHT = 0.99;
/** Windows of a rolling mean or median, in points. */
export const WINDOWS = [5, 11, 25, 51, 101, 251, 501, 1000];
const FIRST_WINDOW = 25;
/** The key under which all charts share one zoom. */
const ALL = "*";
export const HEIGHTS = { least: 120, usual: 204, most: 900, step: 60 };

/** A list in one parameter; names may hold anything but a line break. */
const lines = (name) => param(name).split("\n").filter(Boolean);
const writeLines = (name, list) => setParams({ [name]: list.join("\n") || null });

function object(name) {
  try {
    const found = JSON.parse(param(name, "{}"));
    return found && typeof found === "object" && !Array.isArray(found) ? found : {};
  } catch {
    return {};
  }
}
const writeObject = (name, value) => setParams({ [name]: Object.keys(value).length ? JSON.stringify(value) : null });

/**
 * `0.9` is an exponential average with that weight of the past, `mean:25` and `median:25` are rolling windows.
 * @param {string} text
 * @returns {{kind: "ema", weight: number}|{kind: "mean"|"median", window: number}|null}
 */
export function readSmoothing(text) {
  const [kind, amount] = text.includes(":") ? text.split(":") : ["ema", text];
  const number = Number(amount);
  if (kind === "ema") return number > 0 && number <= MOST_WEIGHT ? { kind, weight: number } : null;
  if (!["mean", "median"].includes(kind) || !Number.isInteger(number) || number < 1) return null;
  return { kind, window: Math.min(number, WINDOWS.at(-1)) };
}

/** The same the other way round. @param {ReturnType<typeof readSmoothing>} smoothing */
export const writeSmoothing = (smoothing) =>
  !smoothing ? null : smoothing.kind === "ema" ? String(smoothing.weight) : `${smoothing.kind}:${smoothing.window}`;

/** Another kind of smoothing, about as strong as one is used to. @param {string} kind */
export const firstOf = (kind) => (kind === "none" ? null : kind === "ema" ? { kind, weight: 0.6 } : { kind, window: FIRST_WINDOW });

/** The chart settings as the URL has them. */
export function chartSettings() {
  const x = param("x", "step");
  return {
    x: AXES.includes(x) ? x : "step",
    smoothing: readSmoothing(param("smooth", "0")),
    log: param("scale") === "log",
    flipped: new Set(lines("flip")),
    paired: param("pair", "1") !== "0",
    search: param("charts"),
    clip: param("clip") === "1",
    linked: param("link") === "1",
    full: param("full", null),
  };
}

/** Turn one chart's scale round. @param {string} chart */
export function flipScale(chart) {
  const flipped = new Set(lines("flip"));
  if (!flipped.delete(chart)) flipped.add(chart);
  writeLines("flip", [...flipped]);
}

/**
 * The part of a chart that is looked at.
 * @param {string} chart
 * @returns {{from: number, to: number, low?: number, high?: number}|null} x in the unit of the axis; y only where it was chosen too
 */
export function zoomOf(chart) {
  const zooms = object("zoom");
  const found = zooms[ALL] ?? zooms[chart];
  if (!Array.isArray(found) || !found.every(Number.isFinite) || !(found[0] < found[1])) return null;
  const [from, to, low, high] = found;
  return low < high && zooms[ALL] === undefined ? { from, to, low, high } : { from, to };
}

/** @param {string} chart @param {ReturnType<typeof zoomOf>} zoom null shows all again */
export function setZoom(chart, zoom) {
  const { linked } = chartSettings();
  const zooms = object("zoom");
  const key = linked ? ALL : chart;
  if (linked || !zoom) delete zooms[ALL];
  if (zoom) zooms[key] = [zoom.from, zoom.to, ...(linked || zoom.low === undefined ? [] : [zoom.low, zoom.high])].map((v) => Number(v.toPrecision(12)));
  else delete zooms[key];
  writeObject("zoom", zooms);
}

/** @returns {string[]} the charts that stand above all others */
export const pinned = () => lines("pin");

/** @param {string} chart */
export function togglePin(chart) {
  const now = pinned();
  writeLines("pin", now.includes(chart) ? now.filter((key) => key !== chart) : [...now, chart]);
}

/** @param {string} chart @returns {{wide: boolean, height: number}} */
export function sizeOf(chart) {
  const found = object("size")[chart];
  const height = Array.isArray(found) && Number.isFinite(found[1]) ? found[1] : HEIGHTS.usual;
  return { wide: Array.isArray(found) && found[0] === 2, height: Math.min(HEIGHTS.most, Math.max(HEIGHTS.least, height)) };
}

/** @param {string} chart @param {{wide: boolean, height: number}} size */
export function setSize(chart, { wide, height }) {
  const sizes = object("size");
  const kept = Math.round(Math.min(HEIGHTS.most, Math.max(HEIGHTS.least, height)));
  delete sizes[chart];
  if (wide || kept !== HEIGHTS.usual) sizes[chart] = [wide ? 2 : 1, kept];
  writeObject("size", sizes);
}

/**
 * Charts in the order that somebody gave them; those that nobody moved stay behind, as they were.
 * @template {{key: string}} T
 * @param {T[]} charts
 * @returns {T[]}
 */
export function inOrder(charts) {
  const place = new Map(lines("order").map((key, i) => [key, i]));
  const rank = ({ key }) => place.get(key) ?? place.size;
  return [...charts].sort((a, b) => rank(a) - rank(b));
}

/**
 * Put a chart before another, or one place on.
 * @param {string[]} keys the charts of the section as they stand
 * @param {string} chart
 * @param {number} to its new place among the others
 */
export function moveChart(keys, chart, to) {
  const others = keys.filter((key) => key !== chart);
  const moved = [...others.slice(0, to), chart, ...others.slice(to)];
  writeLines("order", [...lines("order").filter((key) => !keys.includes(key)), ...moved]);
}

/** Fill the window with a chart, or with none. @param {string|null} chart */
export const setFull = (chart) => setParams({ full: chart });
