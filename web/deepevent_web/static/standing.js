/**
 * How a chart's runs stand: the best value and whose it is, the latest value and whose, and both for every run.
 * Pure functions over the runs' own summaries, which the server keeps over all points.
 */
import { number } from "./format.js";
import { direction } from "./metrics.js";

/** Validation is what is judged, where there is any. */
const judgedOf = (metrics) => (metrics.some(({ role }) => role === "validation") ? metrics.filter(({ role }) => role === "validation") : metrics);

/**
 * The best value of a chart and whose it is: over validation if there is any, by the metric's own direction.
 * @param {{name: string, role: string}[]} metrics
 * @param {{id: string, name: string, metrics: Record<string, object>}[]} runs
 * @returns {{value: number, run: object, step: number|null}|null}
 */
export function best(metrics, runs) {
  let found = null;
  for (const { name } of judgedOf(metrics)) {
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

/**
 * The value that was logged last of all.
 * @returns {{value: number, run: object, step: number|null}|null}
 */
export function latest(metrics, runs) {
  let found = null;
  for (const { name } of judgedOf(metrics)) {
    for (const run of runs) {
      const entry = run.metrics?.[name];
      if (!entry || entry.last === undefined || entry.last === null) continue;
      const time = number(entry.last_time) ?? 0;
      if (!found || time > found.time) found = { value: number(entry.last), run, step: entry.last_step ?? null, time };
    }
  }
  return found;
}

/**
 * Every run's latest and best value of every metric of a chart, for the table beside a chart that fills the window.
 * @returns {{run: object, metric: string, last: number|null, best: number|null, better: "min"|"max"|null, step: number|null}[]}
 */
export function standings(metrics, runs) {
  return runs.flatMap((run) =>
    metrics
      .filter(({ name }) => run.metrics?.[name])
      .map(({ name }) => {
        const entry = run.metrics[name];
        const better = direction(name);
        return { run, metric: name, last: number(entry.last), best: better ? number(entry[better]) : null, better, step: better ? (entry[`${better}_step`] ?? null) : null };
      }),
  );
}
