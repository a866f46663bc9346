/**
 * Runs in groups (the seeds of one setting), and what a group has: mean and spread. Pure functions over runs.
 */
import { plain } from "./format.js";
import { flatten } from "./relations.js";

/**
 * The ways to group these runs, beside not at all.
 * @param {object[]} runs @param {Record<string, object>} differing config keys that differ
 * @returns {{key: string, label: string}[]}
 */
export function groupings(runs, differing) {
  const keys = Object.keys(differing);
  const grouped = runs.some((run) => run.group);
  return [
    ...(grouped ? [{ key: "group", label: "group" }] : []),
    ...keys.filter((key) => /seed/i.test(key)).map((key) => ({ key: `-${key}`, label: `all but ${key}` })),
    ...keys.map((key) => ({ key, label: key })),
  ];
}

/** What a run's group is called. */
function labelOf(run, by, differing) {
  if (by === "group") return run.group || "no group";
  const values = new Map(flatten(run.config));
  const text = (key) => (values.has(key) ? plain(values.get(key)) : "–");
  if (!by.startsWith("-")) return `${by} ${text(by)}`;
  const rest = Object.keys(differing).filter((key) => key !== by.slice(1));
  return rest.map((key) => `${key} ${text(key)}`).join(", ") || "all";
}

/**
 * The columns of a comparison: one a run, or one a group.
 * @param {object[]} runs @param {string} by @param {Record<string, object>} differing
 * @returns {{id: string, label: string, runs: object[]}[]} `id` is a run's, or the group's label
 */
export function columnsOf(runs, by, differing) {
  if (!by) return runs.map((run) => ({ id: run.id, label: run.name, runs: [run] }));
  const found = new Map();
  for (const run of runs) {
    const label = labelOf(run, by, differing);
    if (!found.has(label)) found.set(label, { id: label, label, runs: [] });
    found.get(label).runs.push(run);
  }
  return [...found.values()];
}

/**
 * Mean and spread (the standard deviation of a sample, with n − 1) of what is finite.
 * @param {(number|null)[]} values
 * @returns {{mean: number, spread: number|null, n: number}|null}
 */
export function meanAndSpread(values) {
  const finite = values.filter((v) => v !== null && Number.isFinite(v));
  if (finite.length === 0) return null;
  const mean = finite.reduce((sum, v) => sum + v, 0) / finite.length;
  const spread = finite.length > 1 ? Math.sqrt(finite.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (finite.length - 1)) : null;
  return { mean, spread, n: finite.length };
}
