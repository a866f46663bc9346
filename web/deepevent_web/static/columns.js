/**
 * The columns of the run table, each named as the filter language names it: `status`, `config["lr"]`,
 * `metrics["val/loss"].min`; and two more, `metrics["val/loss"].best` and `spark["val/loss"]`. The URL holds
 * their list as `cols`. Pure but for reading the URL.
 */
import { direction, place } from "./metrics.js";
import { param } from "./router.js";

const MOST_BY_ITSELF = 2;
const NAMED = /^(config|summary|metrics|spark)\[("(?:\\.|[^"\\])*")\](?:\.(last|min|max|best))?$/;

/** Columns that every run has. */
export const FIELDS = [
  ["status", "Status"], ["project", "Project"], ["group", "Group"], ["tags", "Tags"], ["created", "Created"],
  ["duration", "Duration"], ["points", "Points"], ["notes", "Notes"],
];
const LABELS = new Map(FIELDS);
const SORTED = new Set(["status", "project", "created", "duration"]);
const NUMERIC = new Set(["created", "duration", "points"]);

/** All metric names of these runs, by name. @param {{metrics?: object}[]} runs @returns {string[]} */
export function metricNames(runs) {
  const names = new Set();
  for (const run of runs) for (const name of Object.keys(run.metrics || {})) if (name !== "epoch") names.add(name);
  return [...names].sort();
}

/** The name of a config key, a metric's value or a metric's course. */
export const configColumn = (key) => `config[${JSON.stringify(key)}]`;
export const summaryColumn = (key) => `summary[${JSON.stringify(key)}]`;
export const metricColumn = (metric, what) => `metrics[${JSON.stringify(metric)}].${what}`;
export const sparkColumn = (metric) => `spark[${JSON.stringify(metric)}]`;

/**
 * What a column's name says, or null if it is none.
 * @param {string} id
 * @returns {{id: string, kind: "field"|"config"|"summary"|"metric"|"spark", key: string, what: string, label: string, sort: string|null, numeric: boolean, falls: boolean}|null}
 */
export function readColumn(id) {
  if (LABELS.has(id)) {
    return { id, kind: "field", key: id, what: "", label: LABELS.get(id), sort: SORTED.has(id) ? id : null, numeric: NUMERIC.has(id), falls: NUMERIC.has(id) };
  }
  const found = NAMED.exec(String(id));
  if (!found) return null;
  let key;
  try {
    key = JSON.parse(found[2]);
  } catch {
    return null;
  }
  if (found[1] === "spark") return { id, kind: "spark", key, what: "", label: key, sort: null, numeric: false, falls: false };
  if (found[1] !== "metrics") return { id, kind: found[1], key, what: "", label: key, sort: id, numeric: true, falls: false };
  const what = found[3] || "last";
  const stored = what === "best" ? direction(key) || "last" : what;
  return { id, kind: "metric", key, what, stored, label: key, sort: metricColumn(key, stored), numeric: true, falls: stored !== "min" };
}

/**
 * The columns to show: the URL's, else the state of each run and its best validation values.
 * @param {{metrics?: object, project?: string}[]} runs
 */
export function columns(runs) {
  const chosen = read(param("cols", null));
  if (Array.isArray(chosen)) return chosen;
  const metrics = chosen?.metrics ?? usualMetrics(runs).map((metric) => metricColumn(metric, "best"));
  const first = metrics.length && readColumn(metrics[0])?.key;
  const several = new Set(runs.map((run) => run.project)).size > 1;
  const ids = ["status", ...(first ? [sparkColumn(first)] : []), ...metrics, ...(several ? ["project"] : []), "created", "duration"];
  return ids.map(readColumn).filter(Boolean);
}

function usualMetrics(runs) {
  const names = metricNames(runs).filter((name) => direction(name));
  const validation = names.filter((name) => place(name).role === "validation");
  return (validation.length ? validation : names).sort((a, b) => rank(a) - rank(b)).slice(0, MOST_BY_ITSELF);
}

function rank(name) {
  return /accuracy/.test(name) ? 0 : /loss/.test(name) ? 1 : 2;
}

/** Older links hold pairs of a metric and last, min or max, or the word none. */
function read(text) {
  if (text === null) return null;
  if (text === "none") return { metrics: [] };
  try {
    const list = JSON.parse(text);
    if (list.every((item) => Array.isArray(item))) return { metrics: list.map(([metric, what]) => metricColumn(String(metric), what)) };
    return list.map(readColumn).filter(Boolean);
  } catch {
    return null;
  }
}

/** As it stands in the URL. @param {{id: string}[]} list */
export const columnsParam = (list) => JSON.stringify(list.map(({ id }) => id));
