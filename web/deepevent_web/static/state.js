/**
 * What the page knows, as signals: who is signed in, the connection, the run list, which runs are shown.
 * Components read it; run_list.js fills the list. Curves, which are large, live in curves.js.
 */
import { computed, signal } from "@preact/signals";
import * as api from "./api.js";
import { param, route } from "./router.js";

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

/**
 * The run list as far as it is loaded: `slots` by place in the list, `rows` the same without the gaps.
 * `fresh` counts new runs that wait until they may move what is being looked at.
 */
export const list = signal({ rows: [], slots: new Map(), total: null, loading: true, error: null, fresh: 0 });
/** Ids of the runs that are ticked in the table. */
export const selected = signal(new Set());
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

/** Load one run whole, for its page or for a comparison. @param {string} id */
export async function openRun(id) {
  const run = await api.getRun(id);
  opened.value = new Map(opened.value).set(id, run);
  return run;
}

// The list's functions have a module of their own; who reads the state finds them here too.
export { applyPoints, applyRuns, loadRuns } from "./run_list.js";
