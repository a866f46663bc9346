/**
 * The curves that charts draw: fetched once per view, then carried on by live points.
 *
 * A view is an axis, a range and a smoothing. Within a view each (run, metric, rank) has one curve that knows how
 * many of the metric's points it covers (`n`). A live delta says where its first point stands: what lies below `n`
 * is dropped, a gap fetches the curve again, and deltas that arrive during a fetch are kept and applied after it.
 * So there is no gap and no double. It knows no DOM and no chart.
 */
import { readCurves } from "./api.js";

const MOST_QUERIES = 1000;
/** Points added live to a fetched curve before it is fetched again at the chart's resolution. */
const MOST_APPENDED = 1500;
const REFETCH_MS = 700;
const RETRY_MS = 2000;
/** How long a fetch waits for the watch that must come before it; after that the curves are shown without. */
const GATE_MS = 1000;

/** viewKey → {view, curves: Map<seriesKey, Curve>, waiting: Set<seriesKey>, timer} */
const views = new Map();
const listeners = new Set();

let gate = Promise.resolve();

/**
 * Let fetches wait until the server watches for us, so that nothing falls between a fetch and its first delta.
 * @param {Promise<unknown>} watching
 */
export function holdUntil(watching) {
  gate = Promise.race([watching, new Promise((resolve) => setTimeout(resolve, GATE_MS))]);
}

/** @param {string} run @param {string} metric @param {number} rank */
export const seriesKey = (run, metric, rank = 0) => `${run}\n${metric}\n${rank}`;

/** @param {{x: string, from?: number, to?: number, smoothing?: object|null, pixels: number}} view */
const viewKey = (view) => `${view.x}|${view.from ?? ""}|${view.to ?? ""}|${view.smoothing ? JSON.stringify(view.smoothing) : ""}`;

/**
 * Hear of changed curves.
 * @param {(view: string, keys: Set<string>) => void} listener
 * @returns {() => void} stops listening
 */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed(key, series) {
  for (const listener of listeners) listener(key, series);
}

/**
 * The curves of a view, fetching those that are not here yet.
 * @param {{x: string, from?: number, to?: number, smoothing?: object|null, pixels: number}} view
 * @param {{run: string, metric: string, rank: number}[]} wanted
 * @returns {{key: string, curves: object[]}} curves in the order asked for; `ready` says whether data is there
 */
export function take(view, wanted) {
  const key = viewKey(view);
  if (!views.has(key)) views.set(key, { key, view, curves: new Map(), waiting: new Set(), timer: null });
  const held = views.get(key);
  held.view = { ...view, pixels: Math.max(view.pixels, held.view.pixels) };
  const curves = wanted.map((series) => {
    const name = seriesKey(series.run, series.metric, series.rank);
    if (!held.curves.has(name)) {
      held.curves.set(name, emptyCurve(series));
      ask(held, name, 0);
    }
    return held.curves.get(name);
  });
  return { key, curves };
}

/**
 * Keep a view for as long as a chart shows it; a view that nobody shows is forgotten.
 * @param {string} key
 * @returns {() => void} lets it go
 */
export function hold(key) {
  const held = views.get(key);
  if (!held) return () => {};
  held.users = (held.users || 0) + 1;
  return () => {
    held.users -= 1;
    if (held.users > 0) return;
    clearTimeout(held.timer);
    if (views.get(key) === held) views.delete(key);
  };
}

/** Forget the curves of runs that are no longer watched: without deltas they would grow stale. @param {string[]} runs */
export function forget(runs) {
  const gone = new Set(runs);
  for (const held of views.values()) {
    for (const [name, curve] of held.curves) {
      if (!gone.has(curve.run)) continue;
      held.curves.delete(name);
      held.waiting.delete(name);
    }
  }
}

/** Fetch again whatever is held of these series. @param {[string, string, number][]} series */
export function refetch(series) {
  for (const held of views.values()) {
    for (const [run, metric, rank] of series) {
      const name = seriesKey(run, metric, rank);
      if (held.curves.has(name)) ask(held, name, 0);
    }
  }
}

/** Fetch everything again (after a connection that had no cursor). */
export function refetchAll() {
  for (const held of views.values()) for (const name of held.curves.keys()) ask(held, name, 0);
}

function emptyCurve(series) {
  return {
    ...series, ready: false, error: null, fetching: false, pending: [], appended: 0, n: 0, thinned: false,
    x: [], step: [], value: [], smooth: null, mean: null, nonfinite: [], nNonfinite: 0,
  };
}

function ask(held, name, delay) {
  held.waiting.add(name);
  held.curves.get(name).fetching ||= delay === 0;
  if (held.timer !== null && delay > 0) return;
  if (Number.isNaN(held.timer)) return;
  clearTimeout(held.timer);
  held.timer = setTimeout(() => fetchWaiting(held), delay);
}

async function fetchWaiting(held) {
  held.timer = NaN; // taken, so that nobody starts a second fetch while this one waits at the gate
  await gate;
  held.timer = null;
  if (views.get(held.key) !== held) return;
  const names = [...held.waiting].slice(0, MOST_QUERIES);
  if (names.length === 0) return;
  for (const name of names) {
    held.waiting.delete(name);
    const curve = held.curves.get(name);
    curve.fetching = true;
    curve.generation = (curve.generation || 0) + 1;
  }
  const generations = names.map((name) => held.curves.get(name).generation);
  if (held.waiting.size) held.timer = setTimeout(() => fetchWaiting(held), 0);
  const { x, from, to, pixels, smoothing } = held.view;
  const queries = names.map((name) => {
    const { run, metric, rank } = held.curves.get(name);
    return { run, metric, rank };
  });
  const question = { queries, x, pixels };
  if (from !== undefined) Object.assign(question, { from, to });
  if (smoothing) question.smoothing = smoothing;
  let answer = null;
  let error = null;
  try {
    answer = await readCurves(question);
  } catch (problem) {
    error = problem;
  }
  const received = new Map((answer?.curves || []).map((curve) => [seriesKey(curve.run, curve.metric, curve.rank), curve]));
  const done = new Set();
  names.forEach((name, i) => {
    const curve = held.curves.get(name);
    if (!curve || curve.generation !== generations[i]) return;
    done.add(name);
    if (error) {
      curve.error = error;
      if (error.status === 0 || error.status >= 429) ask(held, name, RETRY_MS);
      else curve.fetching = false;
      return;
    }
    accept(held, name, curve, received.get(name));
  });
  if (views.get(held.key) === held) changed(held.key, done);
}

function accept(held, name, curve, answer) {
  const deltas = curve.pending;
  Object.assign(curve, { ready: true, error: null, fetching: false, pending: [], appended: 0 });
  if (answer) {
    Object.assign(curve, {
      n: answer.n_points,
      thinned: answer.thinned,
      x: Array.from(answer.data.x),
      step: Array.from(answer.data.step),
      value: Array.from(answer.data.value),
      smooth: answer.data.smooth ? Array.from(answer.data.smooth) : null,
      mean: answer.data.mean ? Array.from(answer.data.mean) : null,
      nonfinite: answer.nonfinite.map((mark) => ({ x: Number(mark.x), step: Number(mark.step), value: String(mark.value) })),
      nNonfinite: answer.n_nonfinite,
    });
  }
  for (const delta of deltas) apply(held, name, curve, delta);
}

/**
 * Take in live points.
 * @param {{run: string, metric: string, rank: number, index: number, n: number}[]} series
 * @param {Float64Array} data for each series step[n], time[n], value[n]
 */
export function merge(series, data) {
  const touched = new Map();
  let offset = 0;
  for (const { run, metric, rank, index, n } of series) {
    const delta = {
      index, n,
      step: data.subarray(offset, offset + n),
      time: data.subarray(offset + n, offset + 2 * n),
      value: data.subarray(offset + 2 * n, offset + 3 * n),
    };
    offset += 3 * n;
    const name = seriesKey(run, metric, rank);
    for (const held of views.values()) {
      const curve = held.curves.get(name);
      if (!curve) continue;
      if (curve.fetching) curve.pending.push(delta);
      if (!curve.ready) continue;
      if (!apply(held, name, curve, delta)) continue;
      if (!touched.has(held.key)) touched.set(held.key, new Set());
      touched.get(held.key).add(name);
    }
  }
  for (const [key, names] of touched) changed(key, names);
}

/** Put a delta behind a curve. @returns {boolean} whether anything to draw changed */
function apply(held, name, curve, delta) {
  if (delta.index > curve.n) {
    if (!curve.fetching) ask(held, name, 0);
    return false;
  }
  const skip = curve.n - delta.index;
  if (skip >= delta.n) return false;
  curve.n = delta.index + delta.n;
  const { x, to, from, smoothing } = held.view;
  if (x === "epoch" || x === "relative") {
    ask(held, name, REFETCH_MS); // the server knows these axes; the page does not guess them
    return false;
  }
  for (let i = skip; i < delta.n; i += 1) {
    const at = x === "time" ? delta.time[i] : delta.step[i];
    if (to !== undefined && (at > to || at < from)) continue;
    insert(curve, at, delta.step[i], delta.value[i]);
  }
  if (smoothing || curve.appended > MOST_APPENDED) ask(held, name, REFETCH_MS);
  return true;
}

function insert(curve, x, step, value) {
  curve.appended += 1;
  if (!Number.isFinite(value)) {
    curve.nNonfinite += 1;
    curve.nonfinite.push({ x, step, value: String(value) });
  }
  const last = curve.x.length - 1;
  if (last < 0 || x > curve.x[last]) {
    curve.x.push(x);
    curve.step.push(step);
    curve.value.push(value);
    curve.smooth?.push(NaN);
    curve.mean?.push(value); // until the next fetch it stands for itself
    return;
  }
  // A step that goes back or repeats: the newest value of a step is the one that is shown.
  let low = 0;
  let high = last + 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (curve.x[middle] < x) low = middle + 1;
    else high = middle;
  }
  const same = curve.x[low] === x && curve.step[low] === step;
  curve.x.splice(low, same ? 1 : 0, x);
  curve.step.splice(low, same ? 1 : 0, step);
  curve.value.splice(low, same ? 1 : 0, value);
  curve.smooth?.splice(low, same ? 1 : 0, NaN);
  curve.mean?.splice(low, same ? 1 : 0, value);
}
