/**
 * The run table. Sorted and paged by the server; only the rows in view are in the document.
 */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { columns, sortKey } from "../columns.js";
import { ago, duration, moment, number, value } from "../format.js";
import { param, setParams } from "../router.js";
import { cursor, hovered, list, loadMore, now, shown } from "../state.js";
import { cut } from "../format.js";
import { Name } from "./name.js";
import { toggleShown } from "./runs_page.js";
import { Status } from "./status.js";
import { Swatch } from "./swatch.js";

const ROW_PX = 34;
const SPARE_ROWS = 12;
const WORD = { min: "min", max: "max", last: "last" };

function Heading({ label, sort, title, numeric = false, first = "" }) {
  const active = param("sort", "-created");
  const down = active === `-${sort}`;
  const up = active === sort;
  const next = down ? sort : up ? `-${sort}` : `${first}${sort}`;
  return html`<th class=${numeric ? "number" : ""} aria-sort=${up ? "ascending" : down ? "descending" : "none"} title=${title}>
    <button onClick=${() => setParams({ sort: next === "-created" ? null : next })}>${label}<span class="arrow">${up ? "↑" : down ? "↓" : ""}</span></button>
  </th>`;
}

function Row({ run, colour, chosen, several }) {
  const on = shown.value.includes(run.id);
  const at = cursor.value === run.id;
  const row = useRef(null);
  useEffect(() => {
    if (at) row.current?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const length = run.status === "running" && run.started ? now.value - number(run.started) : run.duration_s;
  return html`<tr ref=${row} class=${`${on ? "on" : ""} ${at ? "at" : ""} ${hovered.value === run.id ? "hovered" : ""}`}
      onMouseEnter=${() => on && (hovered.value = run.id)} onMouseLeave=${() => (hovered.value = null)}>
    <td class="run-name"><button class="mark" aria-pressed=${on} aria-label=${`${on ? "Hide" : "Draw"} ${run.name} in the charts`} title=${on ? "hide in the charts" : "draw in the charts"} onClick=${() => toggleShown(run.id)}><${Swatch} colour=${colour} off=${!on} /></button>
      <a href=${`/runs/${encodeURIComponent(run.id)}`}><${Name} text=${run.name} most=${24} /></a></td>
    <td><${Status} status=${run.status} /></td>
    ${chosen.map(({ metric, what }) => {
      const v = run.metrics?.[metric]?.[what];
      const text = value(v);
      return html`<td class=${`number ${text === "NaN" || text.endsWith("Inf") ? "bad" : ""}`}>${text}</td>`;
    })}
    ${several ? html`<td><${Name} text=${run.project} most=${18} /></td>` : null}
    <td class="number" title=${moment(run.created)}>${ago(number(run.created), now.value)}</td>
    <td class="number">${duration(length)}</td>
    <td class="number" title="points of the longest metric">${longest(run)}</td>
  </tr>`;
}

function longest(run) {
  const counts = Object.values(run.metrics || {}).map((metric) => metric.n || 0);
  return counts.length ? Math.max(...counts).toLocaleString("en-GB") : "–";
}

/** @param {{rows: object[], colours: Map<string, object>}} props */
export function RunTable({ rows, colours }) {
  const pane = useRef(null);
  const [view, setView] = useState({ top: 0, height: 900 });
  const measure = () => {
    if (!pane.current) return;
    const { scrollTop, clientHeight, scrollHeight } = pane.current;
    setView({ top: scrollTop, height: clientHeight });
    if (scrollTop + clientHeight > scrollHeight - 20 * ROW_PX) loadMore();
  };
  useEffect(() => {
    measure();
    const sized = new ResizeObserver(measure);
    sized.observe(pane.current);
    return () => sized.disconnect();
  }, []);
  useEffect(() => void (pane.current.scrollTop = 0), [param("sort"), param("filter")]);
  const chosen = columns(rows);
  const several = new Set(rows.map((run) => run.project)).size > 1;
  const first = Math.max(0, Math.floor(view.top / ROW_PX) - SPARE_ROWS);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / ROW_PX) + SPARE_ROWS);
  const width = 5 + chosen.length + (several ? 1 : 0);
  const { total, next, loading } = list.value;
  const nShown = rows.filter((run) => shown.value.includes(run.id)).length;

  return html`<div class="table-scroll" ref=${pane} onScroll=${measure}>
    <table class="runs" aria-rowcount=${total ?? rows.length}>
      <thead><tr>
        <${Heading} label="Run" sort="name" />
        <${Heading} label="Status" sort="status" />
        ${chosen.map((column) => html`<${Heading} numeric first=${column.what === "min" ? "" : "-"} sort=${sortKey(column)} title=${`${column.metric}, ${column.what}`} label=${html`${cut(column.metric, 22)} <small>${WORD[column.what]}</small>`} />`)}
        ${several ? html`<${Heading} label="Project" sort="project" />` : null}
        <${Heading} label="Created" sort="created" numeric first="-" />
        <${Heading} label="Duration" sort="duration" numeric first="-" />
        <th class="number" title="points of the longest metric">n</th>
      </tr></thead>
      <tbody>
        ${first ? html`<tr class="space" aria-hidden="true"><td colspan=${width} style=${{ height: `${first * ROW_PX}px` }}></td></tr>` : null}
        ${rows.slice(first, last).map((run) => html`<${Row} key=${run.id} run=${run} colour=${colours.get(run.id)} chosen=${chosen} several=${several} />`)}
        ${last < rows.length ? html`<tr class="space" aria-hidden="true"><td colspan=${width} style=${{ height: `${(rows.length - last) * ROW_PX}px` }}></td></tr>` : null}
      </tbody>
    </table>
    <p class="table-foot">${rows.length} of ${total} runs · ${nShown} shown in charts${next ? (loading ? " · loading more …" : html` · <button class="quiet" onClick=${loadMore}>load more</button>`) : ""}</p>
  </div>`;
}
