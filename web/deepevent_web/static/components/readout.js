/**
 * What a chart says under the shared cursor: a line at its place, and the runs' values there, with differences.
 * The chart that is pointed at lists its lines; the others say what they have at the same place.
 */
import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import { pointer, valuesAt, withDifferences } from "../cursor.js";
import { count, duration, moment, value } from "../format.js";
import { param } from "../router.js";
import { hovered } from "../state.js";
import { Name } from "./name.js";
import { Swatch } from "./swatch.js";

const MOST_ROWS = 12;
const MOST_ROWS_ELSEWHERE = 3;
/** A line this near to the pointer is the one that is meant. */
const NEAR_PX = 28;
/** A run counts as pointed at after so long. */
const REST_MS = 70;
/** What a readout with names and differences needs; with less to its right it stands to the left of the cursor. */
const ROOM_PX = 400;
/** The short ones stay within their chart. */
const NARROW_PX = 170;

const place = { step: (x) => `step ${count(Math.round(x))}`, epoch: (x) => `epoch ${value(x)}`, time: (x) => moment(x / 1000), relative: (x) => `${duration(x)} after the start` };
const signed = (v) => (v > 0 ? `+${value(v)}` : value(v));

/** The rows to show: the first so many, the one that is meant always among them. */
function chosen(rows, lit, most) {
  if (rows.length <= most) return rows;
  const shown = rows.slice(0, most);
  const mine = rows.find(({ line }) => line === lit);
  return !mine || shown.includes(mine) ? shown : [...shown.slice(0, most - 1), mine];
}

/** @param {{chart: string, axis: string, handle: {current: object}, drawn: {current: object[]}, several: boolean, colours: Map<string, object>}} props */
export function Readout({ chart, axis, handle, drawn, several, colours }) {
  const at = pointer.value;
  const own = at?.chart === chart;
  const px = at && at.axis === axis && handle.current?.visible() ? handle.current.place(at.x) : null;
  const rows = px === null ? [] : valuesAt(drawn.current, at.x, handle.current.toPixel);
  const near = own
    ? rows.reduce((best, row) => {
        const away = Math.abs(handle.current.height(row.value) - at.y);
        return away <= NEAR_PX && (!best || away < best.away) ? { line: row.line, away } : best;
      }, null)
    : null;
  const lit = near?.line ?? (own ? null : rows.find(({ line }) => line.run.id === hovered.value)?.line) ?? null;
  const run = near?.line.run.id ?? null;
  useEffect(() => {
    if (!own) return undefined;
    // Fading lines repaints every chart: only for a line that the pointer stays on.
    const timer = setTimeout(() => (hovered.value = run), REST_MS);
    return () => clearTimeout(timer);
  }, [own, run]);
  if (px === null) return null;

  const baseline = param("base", null);
  const shown = chosen(withDifferences(rows, baseline, lit), lit, own ? MOST_ROWS : MOST_ROWS_ELSEWHERE);
  const differs = own && shown.some(({ difference }) => difference !== null);
  const room = handle.current.room(px);
  const left = own ? room.right < ROOM_PX && room.left > room.right : px > NARROW_PX;
  return html`<div class="cursor-line" style=${{ transform: `translateX(${px}px)` }}></div>
    ${shown.length ? html`<div class=${`readout ${own ? "own" : ""} ${left ? "at-left" : ""}`} style=${{ "--at": `${px}px` }}>
      ${own ? html`<p class="dim">${place[axis](at.x)}</p>` : null}
      <table>${shown.map(({ line, value: v, low, high, difference }) => html`<tr key=${`${line.run.id}\n${line.metric}\n${line.rank}`} class=${line === lit ? "lit" : ""}>
        <td><${Swatch} colour=${colours.get(line.run.id)} /></td>
        ${own ? html`<td class="readout-name"><${Name} text=${line.run.name} most=${24} />${several || line.role === "train" ? html` <small>${line.metric}</small>` : null}${line.rank ? html` <small>rank ${line.rank}</small>` : null}</td>` : null}
        <td class="number"><b>${value(v)}</b>${own && low !== undefined && low < high ? html`<small> ${value(low)} … ${value(high)}</small>` : null}</td>
        ${differs ? html`<td class="number dim">${difference === null ? (line === lit || line.run.id === baseline ? "±" : "") : signed(difference)}</td>` : null}
      </tr>`)}</table>
      ${own && rows.length > shown.length ? html`<p class="dim">and ${rows.length - shown.length} more</p>` : null}
      ${differs ? html`<p class="dim">± from ${baseline ? "the baseline" : "the line pointed at"}</p>` : null}
    </div>` : null}`;
}
