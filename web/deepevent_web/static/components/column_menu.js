/** Chooses the metric columns of the run table: last, lowest or highest value of each metric. */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { columns, columnsParam, metricNames } from "../columns.js";
import { setParams } from "../router.js";
import { list } from "../state.js";
import { Name } from "./name.js";

const WHAT = [["last", "last"], ["min", "lowest"], ["max", "highest"]];

/** @returns a button that opens the choice */
export function ColumnMenu() {
  const [open, setOpen] = useState(false);
  const [search, setSearch] = useState("");
  const box = useRef(null);
  useEffect(() => {
    if (!open) return undefined;
    const away = (event) => {
      if (event.type === "keydown" ? event.key === "Escape" : !box.current.contains(event.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", away);
    document.addEventListener("keydown", away);
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("keydown", away);
    };
  }, [open]);

  const chosen = columns(list.value.rows);
  const has = (metric, what) => chosen.some((column) => column.metric === metric && column.what === what);
  const toggle = (metric, what) => {
    const next = has(metric, what) ? chosen.filter((c) => c.metric !== metric || c.what !== what) : [...chosen, { metric, what }];
    setParams({ cols: columnsParam(next) });
  };
  const names = metricNames(list.value.rows).filter((name) => name.toLowerCase().includes(search.toLowerCase()));

  return html`<div class="menu" ref=${box}>
    <button class="button" aria-expanded=${open} aria-haspopup="true" onClick=${() => setOpen(!open)}>Columns</button>
    ${open
      ? html`<div class="popover" role="group" aria-label="Metric columns">
          <input class="field" placeholder="find a metric" aria-label="Find a metric" value=${search} onInput=${(e) => setSearch(e.target.value)} autofocus />
          <div class="column-list">
            ${names.length === 0 ? html`<p class="dim">No such metric in these runs.</p>` : null}
            ${names.map((metric) => html`<div class="column-row"><${Name} text=${metric} most=${26} />
              <span class="toggles">${WHAT.map(([what, word]) => html`<button class="toggle" aria-pressed=${has(metric, what)} onClick=${() => toggle(metric, what)}>${word}</button>`)}</span></div>`)}
          </div>
          <button class="quiet" onClick=${() => setParams({ cols: null })}>as it was</button>
        </div>`
      : null}
  </div>`;
}
