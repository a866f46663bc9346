/**
 * The run table. Sorted, filtered and paged by the server; only the rows in view are in the document, each at
 * its place in the whole list, so that the scrollbar is honest.
 */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { mayChange } from "../actions.js";
import { columns } from "../columns.js";
import { count, cut } from "../format.js";
import { param, setParams } from "../router.js";
import { holdRows, loadRange, loadRuns } from "../run_list.js";
import { tickAll } from "../selection.js";
import { list, selected, shown } from "../state.js";
import { Blank, Row } from "./run_row.js";

const SPARE_ROWS = 10;

/** A heading that sorts. */
export function Heading({ column }) {
  const { label, sort, what, key } = column;
  const active = param("sort", "-created");
  const down = active === `-${sort}`;
  const up = active === sort;
  const next = down ? sort : up ? `-${sort}` : `${column.falls ? "-" : ""}${sort}`;
  const text = html`${cut(label, 20)}${what ? html` <small>${what}</small>` : null}`;
  return html`<th scope="col" class=${column.numeric ? "number" : ""} aria-sort=${!sort ? undefined : up ? "ascending" : down ? "descending" : "none"} title=${what ? `${key}, ${what}` : label}>
    ${sort ? html`<button onClick=${() => setParams({ sort: next === "-created" ? null : next })}>${text}<span class="arrow" aria-hidden="true">${up ? "↑" : down ? "↓" : ""}</span></button>` : html`<span>${text}</span>`}
  </th>`;
}

function All({ rows }) {
  const ids = rows.map((run) => run.id);
  const n = ids.filter((id) => selected.value.has(id)).length;
  const box = useRef(null);
  useEffect(() => {
    box.current.indeterminate = n > 0 && n < ids.length;
  });
  return html`<label class="tick"><input ref=${box} type="checkbox" aria-label=${`Select the ${ids.length} loaded runs`} checked=${n > 0 && n === ids.length} onClick=${() => tickAll(ids)} /></label>`;
}

/** The first column's heading, with the tick for all. @param {{rows: object[]}} props */
export function NameHeading({ rows }) {
  const active = param("sort", "-created");
  const sort = active === "name" ? "ascending" : active === "-name" ? "descending" : "none";
  return html`<th scope="col" class="name-heading" aria-sort=${sort}><span>${mayChange() ? html`<${All} rows=${rows} />` : null}<button onClick=${() => setParams({ sort: active === "name" ? "-name" : "name" })}>Run<span class="arrow" aria-hidden="true">${{ ascending: "↑", descending: "↓", none: "" }[sort]}</span></button></span></th>`;
}

/** @param {{colours: Map<string, object>}} props */
export function RunTable({ colours }) {
  const pane = useRef(null);
  const [view, setView] = useState({ top: 0, height: 900, row: 34 });
  const { rows, slots, total, fresh } = list.value;
  const measure = () => {
    if (!pane.current) return;
    const { scrollTop, clientHeight } = pane.current;
    const row = parseFloat(getComputedStyle(pane.current).getPropertyValue("--row")) || 34;
    setView({ top: scrollTop, height: clientHeight, row });
    const first = Math.max(0, Math.floor(scrollTop / row) - SPARE_ROWS);
    loadRange(first, Math.ceil((scrollTop + clientHeight) / row) + SPARE_ROWS);
    holdRows(scrollTop > row || pane.current.matches(":hover"));
  };
  useEffect(() => {
    measure();
    const sized = new ResizeObserver(measure);
    sized.observe(pane.current);
    return () => {
      sized.disconnect();
      holdRows(false);
    };
  }, []);
  const question = `${param("sort")}\n${param("filter")}\n${param("among")}`;
  useEffect(() => void (pane.current.scrollTop = 0), [question]);
  useEffect(measure, [total]);
  const chosen = columns(rows);
  const first = Math.min(total, Math.max(0, Math.floor(view.top / view.row) - SPARE_ROWS));
  const last = Math.min(total, Math.ceil((view.top + view.height) / view.row) + SPARE_ROWS);
  const width = 1 + chosen.length;
  const nShown = rows.filter((run) => shown.value.includes(run.id)).length;
  const showFresh = () => {
    pane.current.scrollTop = 0;
    loadRuns({ quiet: true });
  };
  const body = [];
  for (let at = first; at < last; at += 1) {
    const run = slots.get(at);
    body.push(run ? html`<${Row} key=${run.id} run=${run} colour=${colours.get(run.id)} chosen=${chosen} index=${at} />` : html`<${Blank} key=${`blank ${at}`} width=${width} index=${at} />`);
  }
  const space = (n, key) => (n > 0 ? html`<tr key=${key} class="space" aria-hidden="true"><td colspan=${width} style=${{ height: `${n * view.row}px` }}></td></tr>` : null);

  return html`${fresh ? html`<button class="button small fresh" onClick=${showFresh}>${count(fresh)} new ${fresh === 1 ? "run" : "runs"}</button>` : null}
  <div class="table-scroll" ref=${pane} tabindex="0" role="region" aria-label="Run table" onScroll=${measure} onPointerEnter=${() => holdRows(true)} onPointerLeave=${() => holdRows(pane.current.scrollTop > view.row)}>
    <table class="runs" aria-rowcount=${total + 1}>
      <thead><tr aria-rowindex="1">
        <${NameHeading} rows=${rows} />
        ${chosen.map((column) => html`<${Heading} key=${column.id} column=${column} />`)}
      </tr></thead>
      <tbody>${space(first, "above")}${body}${space(total - last, "below")}</tbody>
    </table>
    <p class="table-foot">${count(total)} ${total === 1 ? "run" : "runs"} · ${nShown} shown in charts</p>
  </div>`;
}
