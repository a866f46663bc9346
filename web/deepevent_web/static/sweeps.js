/**
 * Sweeps as the page knows them, and what their trials say: pure functions for the drawings.
 * The list is loaded while the Jobs page is open, one sweep while its own is; the socket keeps both up.
 */
import { signal } from "@preact/signals";
import * as api from "./api.js";
import { number } from "./format.js";
import { onQueue, onReconnect } from "./live.js";

const RELOAD_MS = 500;
const RELOAD_MS_A_TRIAL = 3;

/** The newest sweeps, and whether the server can run any. */
export const sweeps = signal({ rows: [], available: false });
/** The sweep whose page is open, with its trials. */
export const sweep = signal({ id: null, row: null, importance: {}, error: null });

/** Load the list. */
export async function loadSweeps() {
  try {
    const answer = await api.listSweeps({ limit: 100 });
    sweeps.value = { rows: answer.sweeps, available: answer.available };
  } catch {
    // the queue beside it says what is wrong; the next event or reconnect asks again
  }
}

function merge(before, news) {
  const byId = new Map(before.map((row) => [row.id, row]));
  for (const row of news) byId.set(row.id, row);
  return [...byId.values()].sort((a, b) => Number(b.id) - Number(a.id));
}

/** Put a sweep that an answer brought in its place. @param {object} row */
export const applySweep = (row) => (sweeps.value = { ...sweeps.value, rows: merge(sweeps.value.rows, [row]) });

/** Follow the list. @returns {() => void} ends it */
export function followSweeps() {
  loadSweeps();
  const ends = [
    onQueue((name, event) => {
      if (name === "sweep") sweeps.value = { ...sweeps.value, rows: merge(sweeps.value.rows, event.sweeps) };
    }),
    onReconnect(loadSweeps),
  ];
  return () => ends.forEach((end) => end());
}

/** Load one sweep, and how much its parameters matter whenever more trials have ended. @param {string} id */
export async function loadSweep(id) {
  try {
    const row = await api.getSweep(id);
    const before = sweep.value.id === id ? sweep.value : { row: null, importance: {} };
    sweep.value = { ...before, id, row, error: null };
    const known = (one) => one?.counts.completed + one?.counts.pruned;
    if (known(before.row) === known(row)) return;
    const { importance } = await api.getImportance(id);
    if (sweep.value.id === id) sweep.value = { ...sweep.value, importance };
  } catch (error) {
    if (error.status !== 501) sweep.value = { ...sweep.value, id, row: sweep.value.id === id ? sweep.value.row : null, error };
  }
}

/** Follow one sweep; it changes often, and is read again at most twice a second, a large one more rarely. @param {string} id @returns {() => void} ends it */
export function followSweep(id) {
  let timer = null;
  let over = false;
  const load = () => loadSweep(id);
  const later = () => {
    timer ??= setTimeout(() => {
      timer = null;
      if (!over) load();
    }, Math.max(RELOAD_MS, RELOAD_MS_A_TRIAL * (sweep.value.row?.trials.length ?? 0)));
  };
  load();
  const ends = [
    onQueue((name, event) => {
      if (name === "sweep" && event.sweeps.some((row) => String(row.id) === id)) later();
      if (name === "job" && event.jobs.some((job) => String(job.sweep?.id) === id)) later();
    }),
    onReconnect(load),
  ];
  return () => {
    over = true;
    clearTimeout(timer);
    ends.forEach((end) => end());
  };
}

/** Whether a trial is at work or will be. @param {object} trial */
export const isOpen = (trial) => trial.state === "waiting" || trial.state === "running";

/** Whether `a` is a better value than `b`. @param {number} a @param {number} b @param {string} direction */
export const better = (a, b, direction) => (direction === "max" ? a > b : a < b);

/**
 * The best so far after each trial that completed, in the order of their ends.
 * @param {object[]} trials @param {string} direction
 * @returns {{number: number, value: number}[]} one entry for each new best
 */
export function bestSoFar(trials, direction) {
  const done = trials.filter((trial) => trial.state === "completed" && trial.value !== null);
  done.sort((a, b) => number(a.finished) - number(b.finished) || a.number - b.number);
  const found = [];
  for (const trial of done) {
    const value = number(trial.value);
    if (found.length === 0 || better(value, found.at(-1).value, direction)) found.push({ number: trial.number, value });
  }
  return found;
}

/**
 * The axes of a drawing of the trials: each parameter that is searched, then the metric.
 * @param {object} row a sweep @returns {object[]} as `components/parallel.js` takes them
 */
export function axesOf(row) {
  const axes = Object.entries(row.space).map(([key, dimension]) =>
    dimension.type === "choice"
      ? { key, title: key, choices: dimension.choices.map(String) }
      : { key, title: key, low: dimension.low, high: dimension.high, log: dimension.log, whole: dimension.type === "int" },
  );
  const values = row.trials.map((trial) => number(trial.value)).filter((v) => v !== null && Number.isFinite(v));
  if (values.length) axes.push({ key: "", title: row.metric, low: Math.min(...values), high: Math.max(...values), log: false, goal: row.direction });
  return axes;
}

/**
 * The trials as lines through those axes: how good each is (0 to 1 by rank, null: not completed).
 * @param {object} row a sweep
 */
export function linesOf(row) {
  const done = row.trials.filter((trial) => trial.state === "completed" && trial.value !== null);
  const ranked = [...done].sort((a, b) => (better(number(a.value), number(b.value), row.direction) ? 1 : -1));
  const rank = new Map(ranked.map((trial, i) => [trial.number, ranked.length > 1 ? i / (ranked.length - 1) : 1]));
  return row.trials.map((trial) => ({
    key: trial.number,
    title: `trial ${trial.number}, ${trial.state}`,
    values: { ...trial.parameters, "": trial.value === null ? null : number(trial.value) },
    weight: rank.get(trial.number) ?? null,
  }));
}
