/**
 * The run list: loaded where it is looked at, kept up by the socket, changed at once by what is done here.
 * Rows have places, so that a list of 10,000 is scrolled like one of ten. It knows the API and no table.
 */
import * as api from "./api.js";
import { number } from "./format.js";
import { param, route } from "./router.js";
import { list, opened } from "./state.js";

const PAGE_SIZE = 100;
let generation = 0;
/** Of the store when the list was read. */
let revision = null;
/** Runs that were told of and are not in the list yet; then those that a list was read after. */
const unknown = new Set();
const met = new Set();
let view = { first: 0, last: 0 };
/** Whether somebody is reading or pointing in the table, so that no row may move under them. */
let held = false;
const asked = new Map();

const question = () => ({ filter: param("filter"), sort: param("sort"), among: param("among", "active"), limit: PAGE_SIZE });
const pagesOf = ({ first, last }) => {
  const pages = [];
  for (let page = Math.floor(first / PAGE_SIZE); page * PAGE_SIZE <= last; page += 1) pages.push(page);
  return pages;
};

function publish(slots, rest) {
  const rows = [...slots].sort(([a], [b]) => a - b).map(([, run]) => run);
  list.value = { ...list.value, rows, slots, ...rest };
}

function place(slots, page, runs) {
  runs.forEach((run, i) => slots.set(page * PAGE_SIZE + i, run));
}

/**
 * Load the run list as the URL's filter and sort say: its beginning, and what is in view.
 * @param {{quiet?: boolean}} [options] quiet: keep showing what is there meanwhile
 */
export async function loadRuns({ quiet = false } = {}) {
  const mine = (generation += 1);
  for (const stop of asked.values()) stop.abort();
  asked.clear();
  const stop = new AbortController();
  asked.set(-1, stop);
  if (!quiet) list.value = { ...list.value, loading: true };
  const pages = [...new Set([0, ...(quiet ? pagesOf(view) : [])])];
  try {
    const answers = await Promise.all(pages.map((page) => api.listRuns({ ...question(), offset: page * PAGE_SIZE || null }, stop.signal)));
    if (mine !== generation) return;
    const slots = new Map();
    answers.forEach((answer, i) => place(slots, pages[i], answer.runs));
    for (const id of unknown) met.add(id);
    unknown.clear();
    revision = answers[0].revision;
    publish(slots, { total: answers[0].total, loading: false, error: null, fresh: 0 });
  } catch (error) {
    if (error.name === "AbortError" || mine !== generation) return;
    list.value = { ...list.value, loading: false, error };
  }
}

/** Load what the table shows of the list, wherever that is. @param {number} first @param {number} last */
export function loadRange(first, last) {
  const { total, slots } = list.value;
  if (total === null) return;
  view = { first, last: Math.min(last, total - 1) };
  for (const page of pagesOf(view)) if (!asked.has(page) && missing(slots, page, total)) loadPage(page);
}

const missing = (slots, page, total) => {
  for (let at = page * PAGE_SIZE; at < Math.min(total, (page + 1) * PAGE_SIZE); at += 1) if (!slots.has(at)) return true;
  return false;
};

async function loadPage(page) {
  const mine = generation;
  const stop = new AbortController();
  asked.set(page, stop);
  try {
    const answer = await api.listRuns({ ...question(), offset: page * PAGE_SIZE || null }, stop.signal);
    if (mine !== generation) return;
    asked.delete(page);
    const slots = new Map(list.value.slots);
    place(slots, page, answer.runs);
    publish(slots, { total: answer.total, error: null });
  } catch (error) {
    if (error.name === "AbortError" || mine !== generation) return;
    asked.delete(page);
    list.value = { ...list.value, error };
  }
}

/** Say whether rows may move: not while somebody points at them or has scrolled. @param {boolean} value */
export function holdRows(value) {
  held = value;
  if (!held && list.value.fresh) loadRuns({ quiet: true });
}

/** Take runs out of the list at once; the server is asked for the list afterwards. @param {Set<string>} ids */
export function dropRows(ids) {
  const slots = new Map();
  let gone = 0;
  for (const [at, run] of [...list.value.slots].sort(([a], [b]) => a - b)) {
    if (ids.has(run.id)) gone += 1;
    else slots.set(at - gone, run);
  }
  publish(slots, { total: Math.max(0, (list.value.total ?? gone) - gone) });
}

/** Show the list as it was: what was done to it here did not happen. @param {object} before a value of `list` */
export function restoreRows(before) {
  publish(before.slots, { total: before.total });
}

/** Change what is known of runs at once, before the server confirms it. @param {Map<string, object>} changes by id */
export function patchRows(changes) {
  const patch = (run) => (changes.has(run.id) ? { ...run, ...changes.get(run.id) } : run);
  publish(new Map([...list.value.slots].map(([at, run]) => [at, patch(run)])));
  opened.value = new Map([...opened.value].map(([id, run]) => [id, patch(run)]));
}

let reload = null;

/** Whether a run belongs to the list that is shown, as far as that can be told here. */
function belongs(run) {
  const among = param("among", "active");
  if (among === "trash") return Boolean(run.trashed);
  return !run.trashed && (among === "all" || run.archived === (among === "archived"));
}

/** Runs that were made, changed or deleted, as the socket tells. @param {{runs?: object[], deleted?: string[]}} event */
export function applyRuns({ runs = [], deleted = [] }) {
  const news = new Map(runs.map((run) => [run.id, run]));
  const known = new Map(list.value.rows.map((run) => [run.id, run]));
  const gone = new Set([...deleted, ...runs.filter((run) => !belongs(run)).map((run) => run.id)].filter((id) => known.has(id)));
  const moved = list.value.slots;
  publish(new Map([...moved].map(([at, run]) => [at, news.has(run.id) ? overlay(run, news.get(run.id)) : run])));
  if (gone.size) dropRows(gone);
  const open = new Map(opened.value);
  for (const [id, run] of news) if (open.has(id)) open.set(id, overlay(open.get(id), run));
  opened.value = open;
  // What the list holds out of view is no news a second time.
  for (const run of runs) if (belongs(run) && !known.has(run.id) && !met.has(run.id)) unknown.add(run.id);
  if (unknown.size && held) {
    list.value = { ...list.value, fresh: unknown.size };
    return;
  }
  if ((unknown.size || gone.size || param("filter")) && reload === null && route.value.page === "runs" && !held) {
    reload = setTimeout(() => {
      reload = null;
      loadRuns({ quiet: true });
    }, unknown.size || gone.size ? 200 : 2000);
  }
}

/** The socket stands and the store is at `newest`: what happened between the list and that was not told. @param {number} newest */
export function catchUp(newest) {
  if (revision !== null && newest > revision && !held) loadRuns({ quiet: true });
}

/** What an event brings replaces what is known; what it leaves out stays (events carry no config). */
function overlay(run, news) {
  const result = { ...run };
  for (const [key, item] of Object.entries(news)) {
    if (item === undefined || (item === null && key !== "trashed" && key !== "group")) continue;
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
  publish(new Map([...list.value.slots].map(([at, run]) => [at, update(run)])));
  opened.value = new Map([...opened.value].map(([id, run]) => [id, update(run)]));
}
