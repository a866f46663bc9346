/** A logged table: sorted by a press on a heading, searched, and shown a page at a time. */
import { html } from "htm/preact";
import { useMemo, useState } from "preact/hooks";
import { count, plain } from "../format.js";
import { Name } from "./name.js";
import { StepOf, useSteps } from "./step_slider.js";

const FIRST_ROWS = 50;
const MORE_ROWS = 200;
const SEARCH_FROM = 10;

const isNumber = (cell) => typeof cell === "number" || cell === "NaN" || cell === "Infinity" || cell === "-Infinity";

function before(a, b) {
  if (isNumber(a) && isNumber(b)) return Number(a) - Number(b);
  return plain(a ?? "").localeCompare(plain(b ?? ""), "en", { numeric: true });
}

/** @param {{name: string, items: object[]}} props */
export function DataTable({ name, items }) {
  const { item, slider } = useSteps(items, name);
  const [sort, setSort] = useState(null);
  const [search, setSearch] = useState("");
  const [most, setMost] = useState(FIRST_ROWS);
  const columns = Array.isArray(item.data?.columns) ? item.data.columns : [];
  const all = Array.isArray(item.data?.rows) ? item.data.rows : [];
  const rows = useMemo(() => {
    const low = search.trim().toLowerCase();
    const found = low ? all.filter((row) => row.some((cell) => plain(cell ?? "").toLowerCase().includes(low))) : [...all];
    if (sort) found.sort((a, b) => before(a[sort.column], b[sort.column]) * (sort.down ? -1 : 1));
    return found;
  }, [item, search, sort]);
  const flip = (column) => setSort(sort?.column === column ? (sort.down ? null : { column, down: true }) : { column, down: false });
  return html`<article class="card media-card wide-card">
    <header><h3><${Name} text=${name} most=${40} /></h3>${all.length >= SEARCH_FROM ? html`<input class="field" type="search" placeholder="search" aria-label=${`Search ${name}`} value=${search} onInput=${(e) => setSearch(e.target.value)} />` : null}<${StepOf} item=${item} /></header>
    <div class="scroll-x data-table" tabindex="0" role="region" aria-label=${`Table ${name}`}><table class="plain">
      <thead><tr>${columns.map((column, i) => html`<th scope="col" aria-sort=${sort?.column === i ? (sort.down ? "descending" : "ascending") : "none"}><button onClick=${() => flip(i)}><${Name} text=${column} most=${30} /><span class="arrow" aria-hidden="true">${sort?.column === i ? (sort.down ? "↓" : "↑") : ""}</span></button></th>`)}</tr></thead>
      <tbody>${rows.slice(0, most).map((row) => html`<tr>${columns.map((_, i) => html`<td class=${isNumber(row[i]) ? "number" : ""}>${row[i] === null || row[i] === undefined ? html`<span class="dim">–</span>` : html`<${Name} text=${plain(row[i])} most=${60} />`}</td>`)}</tr>`)}</tbody>
    </table></div>
    ${slider}
    <footer><span class="dim">${rows.length === all.length ? `${count(all.length)} rows` : `${count(rows.length)} of ${count(all.length)} rows`}</span>${rows.length > most ? html`<button class="quiet" onClick=${() => setMost(most + MORE_ROWS)}>show ${Math.min(MORE_ROWS, rows.length - most)} more</button>` : null}</footer>
  </article>`;
}
