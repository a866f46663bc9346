/**
 * How runs relate: any config key or metric as an axis, with its scale, and which runs a brush selects.
 * Pure functions over runs; no drawing.
 *
 * An axis is named `config:lr`, `metric:val/loss:min` or `run:duration_s`. A brush maps an axis to the part of it
 * that is selected: [low, high] of a numeric one, a list of its values of any other.
 */
import { number, plain, value as shortValue } from "./format.js";
import { direction } from "./metrics.js";

/** Positive values that span more than this are shown on a logarithmic scale. */
const LOG_RATIO = 50;
const MOST_AXES = 6;
const N_TICKS = 5;

/** Config keys flat, as `optimizer.lr`. @param {object} config @returns {[string, unknown][]} */
export function flatten(config, prefix = "") {
  return Object.entries(config || {}).flatMap(([key, item]) => {
    const nested = item !== null && typeof item === "object" && !Array.isArray(item) && Object.keys(item).length;
    return nested ? flatten(item, `${prefix}${key}.`) : [[`${prefix}${key}`, item]];
  });
}

/** Every axis that these runs offer: config first, then metrics by name. @returns {{key: string, label: string}[]} */
export function axesOf(runs) {
  const config = new Set(runs.flatMap((run) => flatten(run.config).map(([key]) => key)));
  const metrics = [...new Set(runs.flatMap((run) => Object.keys(run.metrics || {})))].filter((name) => name !== "epoch").sort();
  return [
    ...[...config].map((key) => ({ key: `config:${key}`, label: key })),
    ...metrics.flatMap((name) => {
      const better = direction(name);
      return [...(better ? [better] : []), "last"].map((what) => ({ key: `metric:${name}:${what}`, label: `${name} ${what}` }));
    }),
    { key: "run:group", label: "group" },
    { key: "run:duration_s", label: "duration in s" },
  ];
}

/**
 * The axes to begin with: what differs in the configs, then the best of what is judged.
 * @param {object[]} runs @param {Record<string, object>} differing config keys that differ
 */
export function firstAxes(runs, differing) {
  const metrics = [...new Set(runs.flatMap((run) => Object.keys(run.metrics || {})))].filter((name) => direction(name)).sort();
  const validation = metrics.filter((name) => /(^|\/)(val|valid|validation|eval|test)\//i.test(name));
  const judged = (validation.length ? validation : metrics).slice(0, 2).map((name) => `metric:${name}:${direction(name)}`);
  return [...Object.keys(differing).slice(0, MOST_AXES - judged.length).map((key) => `config:${key}`), ...judged];
}

/** What a run has on an axis; null where it has nothing. @param {object} run @param {string} key */
export function valueOn(run, key) {
  const at = key.indexOf(":");
  const [kind, rest] = [key.slice(0, at), key.slice(at + 1)];
  if (kind === "config") {
    const found = flatten(run.config).find(([name]) => name === rest)?.[1];
    return found === undefined ? null : found;
  }
  if (kind === "run") return run[rest] ?? null;
  const cut = rest.lastIndexOf(":");
  const entry = run.metrics?.[rest.slice(0, cut)];
  const found = number(entry?.[rest.slice(cut + 1)]);
  return Number.isFinite(found) ? found : null;
}

/**
 * The scale of an axis over some values.
 * @param {unknown[]} values null where a run has none
 * @returns {{numeric: boolean, log: boolean, at: (value: unknown) => number|null, back: (part: number) => number, ticks: {at: number, text: string, value: unknown}[]}}
 *   `at` gives the place from 0 to 1, null for what has none
 */
export function scaleOf(values) {
  const known = values.filter((v) => v !== null && v !== undefined);
  if (known.length && known.every((v) => typeof v === "number" && Number.isFinite(v))) return numeric(known);
  const texts = [...new Set(known.map(plain))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  const place = (i) => (texts.length === 1 ? 0.5 : i / (texts.length - 1));
  return {
    numeric: false, log: false, texts,
    at: (v) => (v === null || v === undefined ? null : place(texts.indexOf(plain(v)))),
    back: (part) => part,
    ticks: texts.map((text, i) => ({ at: place(i), text, value: text })),
  };
}

function numeric(known) {
  let [low, high] = [Math.min(...known), Math.max(...known)];
  const log = low > 0 && high / low >= LOG_RATIO;
  const [to, from] = log ? [Math.log10, (v) => 10 ** v] : [(v) => v, (v) => v];
  [low, high] = [to(low), to(high)];
  if (low === high) [low, high] = [low - (Math.abs(low) * 0.1 || 1), high + (Math.abs(high) * 0.1 || 1)];
  const at = (v) => (v === null || v === undefined ? null : (to(v) - low) / (high - low));
  // Few different values, such as those of a sweep, are the best ticks themselves.
  const own = [...new Set(known)].sort((a, b) => a - b);
  const marks = own.length <= N_TICKS ? own : log ? decades(low, high) : even(low, high);
  return { numeric: true, log, at, back: (part) => from(low + part * (high - low)), ticks: marks.map((v) => ({ at: at(v), text: shortNumber(v), value: v })) };
}

const shortNumber = (v) => (Number.isInteger(v) && Math.abs(v) < 1e6 ? String(v) : Math.abs(v) >= 1e-3 && Math.abs(v) < 1e6 ? String(Number(v.toPrecision(4))) : shortValue(v));

function even(low, high) {
  const raw = (high - low) / (N_TICKS - 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const marks = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-9; v += step) marks.push(Number(v.toPrecision(12)));
  return marks;
}

function decades(low, high) {
  const marks = [];
  for (let power = Math.ceil(low); power <= high; power += 1) marks.push(10 ** power);
  return marks.length >= 2 ? marks : [10 ** low, 10 ** high];
}

/** The brush that a stretch of an axis makes. @param {ReturnType<typeof scaleOf>} scale @param {number} a @param {number} b places from 0 to 1 */
export function brushOf(scale, a, b) {
  const [low, high] = [Math.min(a, b), Math.max(a, b)];
  if (scale.numeric) return [scale.back(low), scale.back(high)].map((v) => Number(v.toPrecision(9)));
  return scale.ticks.filter(({ at }) => at >= low && at <= high).map(({ text }) => text);
}

/** Whether a brush selects a run. @param {object} run @param {Record<string, unknown[]>} brush */
export function selected(run, brush) {
  return Object.entries(brush).every(([key, part]) => {
    const v = valueOn(run, key);
    if (v === null) return false;
    return typeof v === "number" && typeof part[0] === "number" ? v >= part[0] && v <= part[1] : part.includes(plain(v));
  });
}

/** A brush in words. @param {string} label @param {unknown[]} part */
export function brushText(label, part) {
  return typeof part[0] === "number" ? `${label}: ${shortNumber(part[0])} to ${shortNumber(part[1])}` : `${label}: ${part.join(", ")}`;
}
