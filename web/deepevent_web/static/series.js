/**
 * From curves to what a chart draws: traces with their styles, marks of non-finite values, the best value for the
 * title. Training is thin and dotted, validation solid; under smoothing the raw curve stays faint behind.
 * It knows Plotly's trace format and no DOM.
 */
import { direction } from "./metrics.js";
import { escapeName } from "./components/chart.js";
import { cut, number } from "./format.js";

const MOST_MARKS = 200;
const MOST_LABELS = 6;
const UNIFIED_MOST = 10;
/** From here on numbers along x are written as 2k, 4k. */
const SHORT_FROM = 1000;
/** Room above and below a curve that never changes, as a part of its value. */
const FLAT_ROOM = 0.1;
const VARIANT_DASH = ["solid", "longdash", "dashdot", "longdashdot"];
const AXIS_NAMES = { step: "step", epoch: "epoch", time: "time", relative: "seconds since the start" };

/**
 * @param {{curve: object, run: {id: string, name: string}, colour: string, variant: number, role: string}[]} lines
 * @param {{x: string, log: boolean, smoothing: boolean, several: boolean, range?: {from: number, to: number}|null, bad: string, panel: string}} view
 * @returns {{traces: object[], layout: object, hidden: number}} hidden: values a logarithmic axis cannot show
 */
export function chartData(lines, view) {
  const raw = [];
  const main = [];
  const marks = [];
  let hidden = 0;
  view = { ...view, unified: lines.length <= UNIFIED_MOST };
  // Plotly counts a date axis in milliseconds.
  if (view.range && view.x === "time") view.range = { from: view.range.from * 1000, to: view.range.to * 1000 };
  for (const line of lines) {
    const { curve, run, colour } = line;
    if (!curve.ready) continue;
    const name = escapeName(label(line, view.several));
    const x = view.x === "time" ? curve.x.map((t) => t * 1000) : curve.x;
    const meta = { run: run.id, metric: curve.metric, rank: curve.rank };
    const smooth = view.smoothing && curve.smooth ? curve.smooth : null;
    if (view.log) hidden += curve.value.reduce((n, v) => n + (v <= 0 ? 1 : 0), 0);
    if (smooth) {
      raw.push({ ...base(name, x, curve.value, { ...meta, role: "raw" }), opacity: 0.28, hoverinfo: "skip", line: { color: colour, width: 1 } });
    }
    const single = curve.x.length === 1;
    main.push({
      ...base(name, x, smooth || curve.value, { ...meta, role: line.role }),
      mode: single ? "markers" : "lines",
      line: stroke(line),
      marker: { color: colour, size: 6, symbol: line.role === "train" ? "circle-open" : "circle" },
      hovertemplate: view.unified ? "%{y:.5~g}<extra>%{fullData.name}</extra>" : "%{fullData.name}<br>%{x}: <b>%{y:.5~g}</b><extra></extra>",
    });
    if (curve.nonfinite.length) marks.push(mark(line, name, view));
  }
  const layout = {
    hovermode: view.unified ? "x unified" : "closest",
    xaxis: {
      type: view.x === "time" ? "date" : "linear",
      tickformat: view.x !== "time" && largest(main, view.range) >= SHORT_FROM ? "~s" : undefined,
      hoverformat: view.x === "time" ? "%d %b %H:%M:%S" : undefined,
      unifiedhovertitle: view.x === "time" ? undefined : { text: `${AXIS_NAMES[view.x]} %{x:,}` },
      ...(view.range ? { range: [view.range.from, view.range.to], autorange: false } : { autorange: true }),
    },
    yaxis: { type: view.log ? "log" : "linear", dtick: view.log ? "D2" : undefined, ...heights([...raw, ...main], view) },
  };
  layout.annotations = marks.slice(0, MOST_LABELS).map((trace) => labelOf(trace, view));
  return { traces: [...raw, ...main, ...marks], layout, hidden };
}

/** The largest x that is drawn. */
function largest(traces, range) {
  if (range) return Math.max(Math.abs(range.from), Math.abs(range.to));
  return traces.reduce((most, { x }) => Math.max(most, x.length ? x[x.length - 1] : 0), 0);
}

/** The range of y: Plotly's own, but close around a value that never changes, where Plotly would show one above and one below. */
function heights(traces, { log, range }) {
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
  return { type: "scatter", mode: "lines", name, x, y, meta, connectgaps: false };
}

function stroke({ role, colour, variant }) {
  if (role === "train") return { color: colour, width: 1.2, dash: "dot" };
  return { color: colour, width: 1.9, dash: VARIANT_DASH[variant % VARIANT_DASH.length] };
}

/** Triangles where a value was NaN or infinite, at the height of the last finite value before it. */
function mark(line, name, view) {
  const { curve, run } = line;
  const shown = curve.nonfinite.slice(0, MOST_MARKS);
  const y = shown.map(({ x }) => heightBefore(curve, x));
  const words = shown.map(({ value }) => (value === "NaN" ? "NaN" : value.startsWith("-") ? "−Inf" : "+Inf"));
  return {
    ...base(name, shown.map(({ x }) => (view.x === "time" ? x * 1000 : x)), y, { run: run.id, metric: curve.metric, rank: curve.rank, role: "nonfinite" }),
    mode: "markers",
    marker: { color: view.bad, size: 9, symbol: "triangle-down" },
    customdata: words,
    cliponaxis: false,
    hovertemplate: `%{customdata}<extra>%{fullData.name}</extra>`,
  };
}

/** The word over the first mark of a curve, on the panel's colour so that it is legible among lines. */
function labelOf(trace, view) {
  const y = view.log ? Math.log10(trace.y[0]) : trace.y[0];
  return { x: trace.x[0], y, text: trace.customdata[0], showarrow: false, yshift: 14, bgcolor: view.panel, borderpad: 1, font: { color: view.bad, size: 11 } };
}

function heightBefore(curve, x) {
  let height = null;
  for (let i = 0; i < curve.x.length; i += 1) {
    if (curve.x[i] > x && height !== null) break;
    if (Number.isFinite(curve.value[i])) height = curve.value[i];
  }
  return height ?? 0;
}

/**
 * The best value of a chart and whose it is: over validation if there is any, by the metric's own direction.
 * @param {{metric: string, role: string}[]} metrics
 * @param {{id: string, name: string, metrics: Record<string, object>}[]} runs
 * @returns {{value: number, run: object, step: number|null}|null}
 */
export function best(metrics, runs) {
  const judged = metrics.some(({ role }) => role === "validation") ? metrics.filter(({ role }) => role === "validation") : metrics;
  let found = null;
  for (const { name } of judged) {
    const better = direction(name);
    if (!better) continue;
    for (const run of runs) {
      const v = number(run.metrics?.[name]?.[better]);
      if (v === null || !Number.isFinite(v)) continue;
      if (!found || (better === "min" ? v < found.value : v > found.value)) {
        found = { value: v, run, step: run.metrics[name][`${better}_step`] ?? null };
      }
    }
  }
  return found;
}
