/**
 * Runs or groups of runs beside each other: what differs between them, and their metrics with the difference from a
 * chosen baseline. A column is a run, or a group with mean and spread.
 */
import { html } from "htm/preact";
import { metricNames } from "../columns.js";
import { cut, number, plain, value } from "../format.js";
import { columnsOf, meanAndSpread } from "../groups.js";
import { direction } from "../metrics.js";
import { setParams } from "../router.js";
import { Name } from "./name.js";
import { Swatch } from "./swatch.js";

const PARTS = [["config", "Config that differs"], ["git", "Git"], ["command", "Command"], ["packages", "Packages"]];
/** So many differing packages are shown before somebody asks for all. */
const MOST_SHOWN = 12;
const WHAT = { best: "best where the name says which way is better, else last", last: "last", min: "lowest", max: "highest" };

function Head({ columns, colours, ids, baseline }) {
  const drop = (column) => setParams({ runs: ids.filter((id) => !column.runs.some((run) => run.id === id)).join(",") || null });
  return html`<tr><th><span class="unseen">what</span></th>${columns.map((column) => {
    const single = column.runs.length === 1 && column.runs[0].id === column.id;
    const isBase = column.id === baseline;
    return html`<th class="number" key=${column.id}><span class="compare-head">
      ${single ? html`<${Swatch} colour=${colours.get(column.id)} /><a href=${`/runs/${encodeURIComponent(column.id)}`}><${Name} text=${column.label} most=${20} /></a>` : html`<span title=${column.label}>${cut(column.label, 32)}</span> <small>${column.runs.length} ${column.runs.length === 1 ? "run" : "runs"}</small>`}
      <button class="quiet" aria-pressed=${isBase} aria-label=${`Baseline: ${column.label}`} title="show differences from this one" onClick=${() => setParams({ base: isBase ? null : column.id })}>±</button>
      <button class="quiet" aria-label=${`Leave ${column.label} out`} title="leave out" onClick=${() => drop(column)}>×</button>
    </span></th>`;
  })}</tr>`;
}

/** The distinct values of a column's runs, for a group as a list. */
function Setting({ column, values }) {
  const texts = [...new Set(column.runs.map((run) => (run.id in values && values[run.id] !== null ? plain(values[run.id]) : "–")))];
  const text = texts.join(", ");
  return html`<td class="number" key=${column.id}><span title=${text}>${cut(text, 28)}</span></td>`;
}

function Part({ title, entries, columns, part, all }) {
  if (entries.length === 0) return null;
  const shown = all ? entries : entries.slice(0, MOST_SHOWN);
  return html`<tr class="group"><th colspan=${columns.length + 1}>${title}</th></tr>
    ${shown.map(([key, values]) => html`<tr key=${key}><th scope="row"><${Name} text=${key} most=${32} /></th>${columns.map((column) => html`<${Setting} column=${column} values=${values} />`)}</tr>`)}
    ${shown.length < entries.length ? html`<tr><td colspan=${columns.length + 1}><button class="quiet" onClick=${() => setParams({ all: part })}>and ${entries.length - shown.length} more</button></td></tr>` : null}`;
}

function bestOf(values, better) {
  const finite = values.filter((v) => v !== null && Number.isFinite(v));
  if (finite.length < 2 || !better) return null;
  return better === "min" ? Math.min(...finite) : Math.max(...finite);
}

/** A difference with its sign, and how it was judged. */
function Difference({ from, to, better }) {
  if (from === null || to === null || !Number.isFinite(to - from)) return null;
  const d = to - from;
  const good = better === null || d === 0 ? "" : (d < 0) === (better === "min") ? "ok" : "bad";
  const percent = Math.abs((100 * d) / from);
  const part = d !== 0 && from !== 0 ? ` (${d > 0 ? "+" : "−"}${percent >= 10 ? percent.toFixed(0) : percent.toPrecision(2)} %)` : "";
  return html`<small class=${`difference ${good}`}>${d > 0 ? "+" : ""}${value(d)}${part}</small>`;
}

function MetricRow({ name, what, columns, base }) {
  const better = direction(name);
  const from = what === "best" ? better || "last" : what;
  const cells = columns.map((column) => meanAndSpread(column.runs.map((run) => number(run.metrics?.[name]?.[from]))));
  const raw = columns.map((column) => (column.runs.length === 1 ? number(column.runs[0].metrics?.[name]?.[from]) : null));
  const top = bestOf(cells.map((cell) => cell?.mean ?? null), better);
  const baseCell = base < 0 ? null : cells[base];
  return html`<tr><th scope="row"><${Name} text=${name} most=${32} /> <small>${from}</small></th>${cells.map((cell, i) => html`<td key=${columns[i].id} class=${`number ${cell && top !== null && cell.mean === top ? "top" : ""}`}>
    ${cell ? html`${value(cell.mean)}${cell.spread !== null ? html` <small title=${`standard deviation over ${cell.n} runs`}>± ${value(cell.spread)}</small>` : null}` : value(raw[i])}
    ${baseCell && cell && i !== base ? html`<${Difference} from=${baseCell.mean} to=${cell.mean} better=${better} />` : null}
  </td>`)}</tr>`;
}

/**
 * @param {{runs: object[], ids: string[], colours: Map<string, object>, differences: Record<string, Record<string, object>>, by: string, baseline: string|null, what: string, all: string}} props
 */
export function CompareTable({ runs, ids, colours, differences, by, baseline, what, all }) {
  const columns = columnsOf(runs, by, differences.config || {});
  const base = columns.findIndex(({ id }) => id === baseline);
  const nothing = PARTS.every(([part]) => Object.keys(differences[part] || {}).length === 0);
  return html`<div class="scroll-x card compare-card"><table class="plain compare">
    <thead><${Head} columns=${columns} colours=${colours} ids=${ids} baseline=${baseline} /></thead>
    <tbody>
      ${nothing ? html`<tr><td colspan=${columns.length + 1} class="dim">Nothing differs in config, packages, git and command.</td></tr>` : null}
      ${PARTS.slice(0, 1).map(([part, title]) => html`<${Part} key=${part} part=${part} title=${title} entries=${Object.entries(differences[part] || {})} columns=${columns} all=${all === part} />`)}
      <tr class="group"><th colspan=${columns.length + 1}>Metrics, ${WHAT[what]}${by ? ", mean ± standard deviation" : ""}</th></tr>
      ${metricNames(runs).map((name) => html`<${MetricRow} key=${name} name=${name} what=${what} columns=${columns} base=${base} />`)}
      ${PARTS.slice(1).map(([part, title]) => html`<${Part} key=${part} part=${part} title=${title} entries=${Object.entries(differences[part] || {})} columns=${columns} all=${all === part} />`)}
    </tbody></table></div>`;
}
