/**
 * The curves of a group of runs as one: mean and standard deviation at every place where one of them has a point.
 * Between its points a curve is a straight line, as it is drawn; beyond its ends it counts no more. Pure functions.
 */
import { meanAndSpread } from "./groups.js";

/** Places along x are thinned to so many. */
const MOST_PLACES = 600;

/** The places of all curves, each once, in order. @param {{x: number[]}[]} curves */
function placesOf(curves) {
  const all = Float64Array.from(new Set(curves.flatMap(({ x }) => x))).sort();
  if (all.length <= MOST_PLACES) return [...all];
  return Array.from({ length: MOST_PLACES }, (_, i) => all[Math.round((i * (all.length - 1)) / (MOST_PLACES - 1))]);
}

/** What a curve has at each of the places, which rise; NaN beyond its ends and in its gaps. */
function along({ x, y }, places) {
  let i = 0;
  return places.map((at) => {
    if (x.length === 0 || at < x[0] || at > x[x.length - 1]) return NaN;
    while (i < x.length - 1 && x[i + 1] <= at) i += 1;
    if (x[i] === at || i === x.length - 1) return y[i];
    return y[i] + ((y[i + 1] - y[i]) * (at - x[i])) / (x[i + 1] - x[i]);
  });
}

/**
 * @param {{x: number[], y: number[]}[]} curves as they are drawn
 * @returns {{x: number[], y: number[], low: number[], high: number[], step: number[], behind: "band"}} low and high are the mean ∓ the deviation
 */
export function meanCurve(curves) {
  const places = placesOf(curves);
  const columns = curves.map((curve) => along(curve, places));
  const found = { x: places, step: places, y: [], low: [], high: [], behind: "band" };
  places.forEach((_, i) => {
    const sum = meanAndSpread(columns.map((column) => column[i]));
    const spread = sum?.spread ?? 0;
    found.y.push(sum?.mean ?? NaN);
    found.low.push((sum?.mean ?? NaN) - spread);
    found.high.push((sum?.mean ?? NaN) + spread);
  });
  return found;
}

/**
 * Lines of one group, metric and rank become one, with the group's name and its first run's colour.
 * @param {{run: {id: string}, curve: {metric: string, rank: number}, shown: {x: number[], y: number[]}}[]} lines
 * @param {Map<string, string>} groups run id → name of its group
 */
export function groupLines(lines, groups) {
  const found = new Map();
  for (const line of lines) {
    const group = groups.get(line.run.id) ?? line.run.name;
    const key = `${group}\n${line.curve.metric}\n${line.curve.rank}`;
    if (!found.has(key)) found.set(key, { group, lines: [] });
    found.get(key).lines.push(line);
  }
  return [...found.values()].map(({ group, lines: own }) =>
    own.length === 1 ? own[0] : { ...own[0], run: { ...own[0].run, name: group }, shown: meanCurve(own.map(({ shown }) => shown)) },
  );
}
