/**
 * The metric columns of the run table: `name:last`, `name:min`, `name:max`, kept in the URL as `cols`.
 * Pure but for reading the URL.
 */
import { direction, place } from "./metrics.js";
import { param } from "./router.js";

const MOST_BY_ITSELF = 2;

/** All metric names of these runs, by name. @param {{metrics?: object}[]} runs @returns {string[]} */
export function metricNames(runs) {
  const names = new Set();
  for (const run of runs) for (const name of Object.keys(run.metrics || {})) if (name !== "epoch") names.add(name);
  return [...names].sort();
}

/**
 * The columns to show: the URL's, else the best validation values, else whatever has a direction.
 * @param {{metrics?: object}[]} runs
 * @returns {{metric: string, what: "last"|"min"|"max"}[]}
 */
export function columns(runs) {
  const chosen = param("cols", null);
  if (chosen !== null) return chosen === "none" ? [] : parse(chosen);
  const names = metricNames(runs).filter((name) => direction(name));
  const validation = names.filter((name) => place(name).role === "validation");
  const picked = (validation.length ? validation : names).sort((a, b) => rank(a) - rank(b));
  return picked.slice(0, MOST_BY_ITSELF).map((metric) => ({ metric, what: direction(metric) }));
}

function rank(name) {
  return /accuracy/.test(name) ? 0 : /loss/.test(name) ? 1 : 2;
}

function parse(text) {
  try {
    return JSON.parse(text).map(([metric, what]) => ({ metric: String(metric), what: ["min", "max"].includes(what) ? what : "last" }));
  } catch {
    return [];
  }
}

/** As it stands in the URL. @param {{metric: string, what: string}[]} list */
export const columnsParam = (list) => (list.length ? JSON.stringify(list.map(({ metric, what }) => [metric, what])) : "none");

/** The server's sort key of a column. @param {{metric: string, what: string}} column */
export const sortKey = ({ metric, what }) => `metrics[${JSON.stringify(metric)}].${what}`;
