/** Chooses the columns of the run table: what every run has, config keys, and of each metric its course and values. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { listNames } from "../api.js";
import { FIELDS, columns, columnsParam, configColumn, metricColumn, metricNames, readColumn, sparkColumn, summaryColumn } from "../columns.js";
import { setParams } from "../router.js";
import { list } from "../state.js";
import { Name } from "./name.js";
import { Popover } from "./popover.js";

const WHAT = [["last", "last"], ["min", "min"], ["max", "max"], ["best", "best"]];

function Choice() {
  const [search, setSearch] = useState("");
  const [names, setNames] = useState({ config: [], summary: [], metrics: [] });
  useEffect(() => void listNames().then(setNames, () => {}), []); // the metrics of the loaded runs are offered all the same

  const chosen = columns(list.value.rows);
  const has = (id) => chosen.some((column) => column.id === id);
  const toggle = (id) => {
    const next = has(id) ? chosen.filter((column) => column.id !== id) : [...chosen, readColumn(id)];
    setParams({ cols: columnsParam(next) });
  };
  const shift = (id, by) => {
    const ids = chosen.map((column) => column.id);
    const at = ids.indexOf(id);
    const to = at + by;
    if (to < 0 || to >= ids.length) return;
    [ids[at], ids[to]] = [ids[to], ids[at]];
    setParams({ cols: columnsParam(ids.map(readColumn)) });
  };
  const low = search.toLowerCase();
  const fits = (text) => text.toLowerCase().includes(low);
  const metrics = [...new Set([...metricNames(list.value.rows), ...names.metrics])].filter((name) => name !== "epoch" && fits(name)).sort();
  const settings = [...names.config.map((key) => [key, configColumn(key), "config"]), ...names.summary.map((key) => [key, summaryColumn(key), "summary"])].filter(([key]) => fits(key));
  const fields = FIELDS.filter(([, label]) => fits(label));
  const press = (id, text, label) => html`<button class="toggle" aria-pressed=${has(id)} aria-label=${label} onClick=${() => toggle(id)}>${text}</button>`;

  return html`
    <input class="field" placeholder="find a metric or a config key" aria-label="Find a column" value=${search} onInput=${(e) => setSearch(e.target.value)} autofocus />
    <div class="column-list" tabindex="0" role="region" aria-label="Columns to choose from">
      ${!low && chosen.length ? html`<h3>Order</h3>${chosen.map((column, i) => html`<div class="column-row" key=${column.id}><${Name} text=${column.label} most=${24} />${column.what || column.kind === "spark" ? html` <small>${column.what || "course"}</small>` : null}<span class="grow"></span>
        <span class="toggles"><button class="toggle" disabled=${i === 0} aria-label=${`Move ${column.label} left`} onClick=${() => shift(column.id, -1)}>←</button><button class="toggle" disabled=${i === chosen.length - 1} aria-label=${`Move ${column.label} right`} onClick=${() => shift(column.id, 1)}>→</button><button class="toggle" aria-label=${`Remove ${column.label}`} onClick=${() => toggle(column.id)}>×</button></span></div>`)}` : null}
      ${fields.length ? html`<h3>Every run</h3><div class="column-fields">${fields.map(([id, label]) => press(id, label, label))}</div>` : null}
      ${metrics.length ? html`<h3>Metrics</h3>` : null}
      ${metrics.map((metric) => html`<div class="column-row" key=${metric}><${Name} text=${metric} most=${24} />
        <span class="toggles">${press(sparkColumn(metric), "course", `${metric}, its course`)}${WHAT.map(([what, word]) => press(metricColumn(metric, what), word, `${metric}, ${word}`))}</span></div>`)}
      ${settings.length ? html`<h3>Config and summary</h3>` : null}
      ${settings.map(([key, id, source]) => html`<div class="column-row" key=${id}><${Name} text=${key} most=${30} /><span class="toggles">${press(id, source, `${source} ${key}`)}</span></div>`)}
      ${!metrics.length && !settings.length && !fields.length ? html`<p class="dim">Nothing of that name.</p>` : null}
    </div>
    <button class="quiet" onClick=${() => setParams({ cols: null })}>as it was</button>`;
}

/** @returns a button that opens the choice */
export const ColumnMenu = () => html`<${Popover} text="Columns" label="Columns" wide>${() => html`<${Choice} />`}<//>`;
