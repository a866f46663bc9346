/**
 * What the page knows, as signals: who is signed in, the connection, the run list, which runs are shown.
 * Components read it; only the functions here change it. Curves, which are large, live in curves.js.
 */
import { computed, signal } from "@preact/signals";
import * as api from "./api.js";
import { number } from "./format.js";
import { param, route } from "./router.js";

const PAGE_SIZE = 100;
const MOST_SHOWN_AT_FIRST = 8;

/** @type {import("@preact/signals").Signal<{role: string, name: string, expires: number}|null>} */
export const session = signal(null);
/** phase: "connecting", "live" or "lost"; since: when it became so (this browser's clock, seconds). */
export const connection = signal({ phase: "connecting", since: Date.now() / 1000 });
/** The newest live point: when it came, and the milliseconds since it was logged (null unless one clock served both). */
export const lastPoint = signal(null);
/** A clock for "4 s ago", one tick a second. */
export const now = signal(Date.now() / 1000);
setInterval(() => (now.value = Date.now() / 1000), 1000);

/** The run list as far as it is loaded. */
export const list = signal({ rows: [], total: null, next: null, loading: true, error: null });
/** The run under the pointer, in the table or in a chart. */
export const hovered = signal(null);
/** The row that j and k move. */
export const cursor = signal(null);
/** Runs of the page that is open, by id: rows of the list, or the one run of its page. */
export const opened = signal(new Map());

/** Ids of the runs whose curves are drawn: as the URL says, else the first of the list. */
export const shown = computed(() => {
  if (route.value.page === "run") return [route.value.run];
  if (route.value.page === "compare") return split(param("runs"));
  const chosen = param("show", null);
  if (chosen !== null) return chosen === "none" ? [] : split(chosen);
  return list.value.rows.slice(0, MOST_SHOWN_AT_FIRST).map((run) => run.id);
});

const split = (text) => text.split(",").filter(Boolean);

/** A run by id, wherever it was loaded. @param {string} id */
export function findRun(id) {
  return opened.value.get(id) || list.value.rows.find((run) => run.id === id) || null;
}

let loading = null;

/**
 * Load the first page of the run list as the URL's filter and sort say.
 * @param {{quiet?: boolean}} [options] quiet: keep showing what is there meanwhile
 */
export async function loadRuns({ quiet = false } = {}) {
  loading?.abort();
  const mine = (loading = new AbortController());
  if (!quiet) list.value = { ...list.value, loading: true };
  const limit = quiet ? Math.min(Math.max(PAGE_SIZE, list.value.rows.length), 200) : PAGE_SIZE;
  try {
    const answer = await api.listRuns({ filter: param("filter"), sort: param("sort"), limit }, mine.signal);
    list.value = { rows: answer.runs, total: answer.total, next: answer.next, loading: false, error: null };
  } catch (error) {
    if (error.name === "AbortError") return;
    list.value = { ...list.value, loading: false, error };
  }
}

/** Load the next page of the run list behind what is there. */
export async function loadMore() {
  const before = list.value;
  if (!before.next || before.loading) return;
  list.value = { ...before, loading: true };
  try {
    const answer = await api.listRuns({
      filter: param("filter"), sort: param("sort"), limit: PAGE_SIZE, cursor: before.next,
    });
    const have = new Set(before.rows.map((run) => run.id));
    const rows = [...before.rows, ...answer.runs.filter((run) => !have.has(run.id))];
    list.value = { rows, total: answer.total, next: answer.next, loading: false, error: null };
  } catch (error) {
    list.value = { ...before, loading: false, error };
  }
}

/** Load one run whole, for its page or for a comparison. @param {string} id */
export async function openRun(id) {
  const run = await api.getRun(id);
  opened.value = new Map(opened.value).set(id, run);
  return run;
}

let reload = null;

/** Runs that were made, changed or deleted, as the socket tells. @param {{runs?: object[], deleted?: string[]}} event */
export function applyRuns({ runs = [], deleted = [] }) {
  const news = new Map(runs.map((run) => [run.id, run]));
  const gone = new Set(deleted);
  const { rows } = list.value;
  const known = new Set(rows.map((run) => run.id));
  const next = rows.filter((run) => !gone.has(run.id)).map((run) => (news.has(run.id) ? overlay(run, news.get(run.id)) : run));
  list.value = { ...list.value, rows: next };
  const open = new Map(opened.value);
  for (const [id, run] of news) if (open.has(id)) open.set(id, overlay(open.get(id), run));
  opened.value = open;
  const unknown = runs.some((run) => !known.has(run.id)) || deleted.some((id) => known.has(id));
  if ((unknown || param("filter")) && reload === null && route.value.page === "runs") {
    reload = setTimeout(() => {
      reload = null;
      loadRuns({ quiet: true });
    }, unknown ? 200 : 2000);
  }
}

/** What an event brings replaces what is known; what it leaves out stays (events carry no config). */
function overlay(run, news) {
  const result = { ...run };
  for (const [key, item] of Object.entries(news)) {
    if (item === undefined || item === null) continue;
    result[key] = key === "metrics" ? { ...run.metrics, ...item } : item;
  }
  return result;
}

const fresh = new Map();
let flush = null;

/** Keep the table's numbers in step with live points. @param {object[]} series @param {Float64Array} data */
export function applyPoints(series, data) {
  let offset = 0;
  for (const { run, metric, rank, index, n } of series) {
    if (rank === 0 && n > 0) {
      const steps = data.subarray(offset, offset + n);
      const last_time = data[offset + 2 * n - 1];
      const values = data.subarray(offset + 2 * n, offset + 3 * n);
      fresh.set(`${run}\n${metric}`, fold(fresh.get(`${run}\n${metric}`), { run, metric, n: index + n, steps, values, last_time }));
    }
    offset += 3 * n;
  }
  flush ??= setTimeout(writeNumbers, 400);
}

function fold(before, { run, metric, n, steps, values, last_time }) {
  const result = before || { run, metric, min: Infinity, max: -Infinity, min_step: null, max_step: null };
  values.forEach((v, i) => {
    if (v < result.min && Number.isFinite(v)) Object.assign(result, { min: v, min_step: steps[i] });
    if (v > result.max && Number.isFinite(v)) Object.assign(result, { max: v, max_step: steps[i] });
  });
  return Object.assign(result, { n, last: values[values.length - 1], last_step: steps[steps.length - 1], last_time });
}

function writeNumbers() {
  flush = null;
  const changes = [...fresh.values()];
  fresh.clear();
  const update = (run) => {
    const mine = changes.filter((change) => change.run === run.id);
    if (mine.length === 0) return run;
    const metrics = { ...run.metrics };
    for (const { metric, n, last, last_step, last_time, min, max, min_step, max_step } of mine) {
      const old = metrics[metric] || { name: metric, rank: 0 };
      const entry = { ...old, n: Math.max(n, old.n || 0), last, last_step, last_time };
      if (min < (number(old.min) ?? Infinity)) Object.assign(entry, { min, min_step });
      if (max > (number(old.max) ?? -Infinity)) Object.assign(entry, { max, max_step });
      metrics[metric] = entry;
    }
    return { ...run, metrics };
  };
  list.value = { ...list.value, rows: list.value.rows.map(update) };
  opened.value = new Map([...opened.value].map(([id, run]) => [id, update(run)]));
}
