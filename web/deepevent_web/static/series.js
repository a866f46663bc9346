/**
 * From curves to what a chart draws: traces with their styles, marks of non-finite values, and the range of y.
 * Training is thin and dotted, validation solid; under smoothing the raw curve stays faint behind, and a thinned
 * curve is the mean of each bin before a band of all its points; a group of runs is their mean with its deviation. It knows Plotly's trace format and no DOM.
 */
import { bins, clip, outline } from "./envelope.js";
import { cut } from "./format.js";
import { groupLines } from "./group_curves.js";

const MOST_MARKS = 200;
const MOST_LABELS = 6;
/** From here on numbers along x are written as 2k, 4k. */
const SHORT_FROM = 1000;
/** And along y, where there is no room for more digits, as 20k, 4M. */
const LONG_FROM = 10_000;
/** Room above and below a curve that never changes, as a part of its value. */
const FLAT_ROOM = 0.1;
const VARIANT_DASH = ["solid", "longdash", "dashdot", "longdashdot"];
const RAW_OPACITY = 0.28;
const BAND_OPACITY = 0.34;
/** With many lines their bands would hide each other. */
const CROWD = 6;
const CROWD_OPACITY = 0.16;

/** Text that Plotly shows as it is: it reads `<b>` and `<a>` in names as HTML. @param {string} text */
export const escapeName = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/**
 * @typedef {{curve: object, run: {id: string, name: string}, colour: string, variant: number, role: string}} Line
 * @param {Line[]} lines
 * @param {{x: string, log: boolean, smoothing: boolean, clip: boolean, several: boolean, zoom: object|null, groups?: Map<string, string>|null, bad: string, warn: string, panel: string}} view
 * @returns {{traces: object[], layout: object, drawn: object[], clipped: object|null}} drawn: what the cursor reads, one per line
 */
export function chartData(lines, view) {
  const layers = { back: [], main: [], marks: [] };
  const drawn = [];
  const scale = view.x === "time" ? 1000 : 1; // Plotly counts a date axis in milliseconds
  const ready = lines.filter(({ curve }) => curve.ready);
  const shaped = ready.map((line) => ({ ...line, shown: shape(line.curve, view.smoothing) }));
  const together = view.groups ? groupLines(shaped, view.groups) : shaped;
  for (const line of together) {
    const { curve, shown } = line;
    const name = escapeName(label(line, view.several));
    const meta = { run: line.run.id, metric: curve.metric, rank: curve.rank };
    const x = shown.x.map((at) => at * scale);
    if (shown.behind) {
      const band = shown.behind === "band";
      const crowded = together.length > CROWD;
      const edge = band ? outline(shown) : curve;
      layers.back.push({
        ...base(name, edge.x.map((at) => at * scale), edge.y ?? edge.value, { ...meta, role: band ? "envelope" : "raw" }),
        opacity: band ? (crowded ? CROWD_OPACITY : BAND_OPACITY) : RAW_OPACITY,
        fill: band ? "toself" : undefined,
        line: { color: line.colour, width: 1 },
      });
    }
    layers.main.push({
      ...base(name, x, shown.y, { ...meta, role: line.role }),
      mode: x.length === 1 ? "markers" : "lines",
      line: stroke(line),
      marker: { color: line.colour, size: 6, symbol: line.role === "train" ? "circle-open" : "circle" },
    });
    drawn.push({ ...line, metric: curve.metric, rank: curve.rank, ...shown, x, name: label(line, view.several) });
    if (curve.nonfinite.length) layers.marks.push(mark(line, name, view, scale));
  }
  const behind = view.zoom && { from: view.zoom.from, to: view.zoom.to };
  const clipped = view.clip && view.zoom?.low === undefined ? clip(ready.map(({ curve }) => curve), { range: behind, log: view.log }) : null;
  if (clipped) layers.marks.push(...arrows(ready, clipped, view, scale));
  const range = behind && { from: behind.from * scale, to: behind.to * scale };
  const traces = [...layers.back, ...layers.main, ...layers.marks];
  return { traces, drawn, clipped, layout: layout(layers, view, range, clipped) };
}

/** What stands for a curve: its smoothed values before all of them, or its bins' means before their band, or its points. */
function shape(curve, smoothing) {
  if (smoothing && curve.smooth) return { x: curve.x, y: curve.smooth, step: curve.step, behind: "raw" };
  if (!curve.thinned || !curve.mean) return { x: curve.x, y: curve.value, step: curve.step, behind: null };
  const { x, step, mean, low, high } = bins(curve);
  return { x, y: mean, step, low, high, behind: "band" };
}

function layout({ back, main, marks }, view, range, clipped) {
  const zoomed = view.zoom?.low === undefined ? null : [view.zoom.low, view.zoom.high];
  const chosen = zoomed ?? (clipped && [clipped.low, clipped.high]);
  const y = chosen ? { autorange: false, range: view.log ? chosen.map(Math.log10) : chosen } : heights([...back, ...main], view, range);
  return {
    // A range that comes from us, not from a drag, holds whenever it changes.
    uirevision: JSON.stringify([range, chosen, view.log]),
    hovermode: false,
    xaxis: {
      type: view.x === "time" ? "date" : "linear",
      tickformat: view.x !== "time" && largest(main, range) >= SHORT_FROM ? "~s" : undefined,
      ...(range ? { range: [range.from, range.to], autorange: false } : { autorange: true }),
    },
    yaxis: { type: view.log ? "log" : "linear", dtick: view.log ? "D2" : undefined, tickformat: tallest(main) >= LONG_FROM ? "~s" : undefined, ...y },
    annotations: labels(marks.filter(({ meta }) => meta.role === "nonfinite"), view),
  };
}

/** The largest x that is drawn. */
function largest(traces, range) {
  if (range) return Math.max(Math.abs(range.from), Math.abs(range.to));
  return traces.reduce((most, { x }) => Math.max(most, x.length ? x[x.length - 1] : 0), 0);
}

/** The largest y that is drawn, whatever its sign. */
function tallest(traces) {
  return traces.reduce((most, { y }) => y.reduce((n, v) => (Number.isFinite(v) ? Math.max(n, Math.abs(v)) : n), most), 0);
}

/** The range of y: Plotly's own, but close around a value that never changes, where Plotly would show one above and one below. */
function heights(traces, { log }, range) {
  let only = null;
  for (const { x, y } of traces) {
    for (let i = 0; i < y.length; i += 1) {
      if (!Number.isFinite(y[i]) || (log && y[i] <= 0) || (range && (x[i] < range.from || x[i] > range.to))) continue;
      if (only !== null && y[i] !== only) return { autorange: true };
      only = y[i];
    }
  }
  if (only === null) return { autorange: true };
  const room = Math.abs(only) * FLAT_ROOM || 1;
  const ends = [only - room, only + room];
  return { autorange: false, range: log ? ends.map(Math.log10) : ends };
}

function label({ run, curve, role }, several) {
  const name = cut(run.name, 40);
  const part = several || role === "train" ? ` · ${cut(curve.metric, 40)}` : "";
  return `${name}${part}${curve.rank ? ` · rank ${curve.rank}` : ""}`;
}

function base(name, x, y, meta) {
  return { type: "scatter", mode: "lines", name, x, y, meta, connectgaps: false, hoverinfo: "skip" };
}

function stroke({ role, colour, variant }) {
  if (role === "train") return { color: colour, width: 1.2, dash: "dot" };
  return { color: colour, width: 1.9, dash: VARIANT_DASH[variant % VARIANT_DASH.length] };
}

/** Triangles where a value was NaN or infinite, at the height of the last finite value before it. */
function mark(line, name, view, scale) {
  const { curve, run } = line;
  const shown = curve.nonfinite.slice(0, MOST_MARKS);
  return {
    ...base(name, shown.map(({ x }) => x * scale), shown.map(({ x }) => heightBefore(curve, x)), { run: run.id, metric: curve.metric, rank: curve.rank, role: "nonfinite" }),
    mode: "markers",
    marker: { color: view.bad, size: 9, symbol: "triangle-down" },
    customdata: shown.map(({ value }) => (value === "NaN" ? "NaN" : value.startsWith("-") ? "−Inf" : "+Inf")),
    cliponaxis: false,
  };
}

/** Small arrows at the edge of the picture over (or under) each point that clipping leaves out. */
function arrows(lines, { low, high }, view, scale) {
  const edge = (test, y, symbol) => {
    const x = lines.flatMap(({ curve }) => curve.x.filter((_, i) => Number.isFinite(curve.value[i]) && test(curve.value[i]))).slice(0, MOST_MARKS);
    return { ...base("", x.map((at) => at * scale), x.map(() => y), { run: null, metric: null, rank: 0, role: "clipped" }), mode: "markers", cliponaxis: false, marker: { color: view.warn, size: 7, symbol } };
  };
  return [edge((v) => v > high, high, "triangle-up"), edge((v) => v < low && (!view.log || v > 0), low, "triangle-down")].filter(({ x }) => x.length);
}

/** The word over the first mark of each curve; curves that left the finite at the same place share one. */
function labels(marks, view) {
  const places = new Map();
  for (const { x, y, customdata } of marks) {
    const [at, height, word] = [x[0], y[0], customdata[0]];
    const known = places.get(at);
    if (known) {
      known.words.add(word);
      known.height = Math.max(known.height, height);
    } else if (places.size < MOST_LABELS) places.set(at, { height, words: new Set([word]) });
  }
  return [...places].map(([at, { height, words }]) => labelOf(at, height, [...words].join(", "), view));
}

/** On the panel's colour, so that it is legible among lines. */
function labelOf(x, height, text, view) {
  const y = view.log ? Math.log10(height) : height;
  return { x, y, text, showarrow: false, yshift: 14, bgcolor: view.panel, borderpad: 1, font: { color: view.bad, size: 11 } };
}

function heightBefore(curve, x) {
  let height = null;
  for (let i = 0; i < curve.x.length; i += 1) {
    if (curve.x[i] > x && height !== null) break;
    if (Number.isFinite(curve.value[i])) height = curve.value[i];
  }
  return height ?? 0;
}
