/** Compare: chosen runs side by side: the config keys that differ, final metrics, charts over each other. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { useComputed } from "@preact/signals";
import { compareRuns } from "../api.js";
import { assign } from "../colours.js";
import { metricNames } from "../columns.js";
import { cut, number, plain, value } from "../format.js";
import { direction } from "../metrics.js";
import { param, setParams } from "../router.js";
import { list, loadRuns, opened, shown } from "../state.js";
import { ChartControls } from "./chart_controls.js";
import { ChartGrid } from "./chart_grid.js";
import { Empty, Failed, Waiting } from "./empty.js";
import { Name } from "./name.js";
import { Swatch } from "./swatch.js";

function Picker({ ids }) {
  const rest = list.value.rows.filter((run) => !ids.includes(run.id));
  const add = (event) => {
    if (event.target.value) setParams({ runs: [...ids, event.target.value].join(",") }, { push: true });
    event.target.value = "";
  };
  return html`<label class="control">add a run <select onChange=${add}><option value="">choose …</option>${rest.map((run) => html`<option value=${run.id}>${cut(run.name, 50)}</option>`)}</select></label>`;
}

function Head({ runs, colours, ids }) {
  const drop = (id) => setParams({ runs: ids.filter((other) => other !== id).join(",") || null });
  return html`<tr><th></th>${runs.map((run) => html`<th class="number"><${Swatch} colour=${colours.get(run.id)} /><a href=${`/runs/${encodeURIComponent(run.id)}`}><${Name} text=${run.name} most=${20} /></a> <button class="quiet" aria-label=${`Leave ${run.name} out`} title="leave out" onClick=${() => drop(run.id)}>×</button></th>`)}</tr>`;
}

function bestOf(values, better) {
  const finite = values.filter((v) => v !== null && Number.isFinite(v));
  if (finite.length < 2 || !better) return null;
  return better === "min" ? Math.min(...finite) : Math.max(...finite);
}

function Table({ runs, colours, ids, differences }) {
  const names = metricNames(runs);
  return html`<div class="scroll-x card"><table class="plain compare">
    <thead><${Head} runs=${runs} colours=${colours} ids=${ids} /></thead>
    <tbody>
      <tr class="group"><th colspan=${runs.length + 1}>Config that differs</th></tr>
      ${Object.keys(differences).length === 0 ? html`<tr><td colspan=${runs.length + 1} class="dim">Nothing differs.</td></tr>` : null}
      ${Object.entries(differences).map(([key, values]) => html`<tr><td><${Name} text=${key} most=${40} /></td>${runs.map((run) => html`<td class="number">${run.id in values && values[run.id] !== null ? html`<span title=${plain(values[run.id])}>${cut(plain(values[run.id]), 24)}</span>` : "–"}</td>`)}</tr>`)}
      <tr class="group"><th colspan=${runs.length + 1}>Metrics, best where the name says which way is better, else last</th></tr>
      ${names.map((name) => {
        const better = direction(name);
        const values = runs.map((run) => number(run.metrics?.[name]?.[better || "last"]));
        const top = bestOf(values, better);
        return html`<tr><td><${Name} text=${name} most=${40} /> <small>${better || "last"}</small></td>${values.map((v) => html`<td class=${`number ${top !== null && v === top ? "top" : ""}`}>${value(v)}</td>`)}</tr>`;
      })}
    </tbody></table></div>`;
}

/** @returns the page at `/compare` */
export function ComparePage() {
  const ids = shown.value;
  const [state, setState] = useState({ differences: {}, error: null, loading: true });
  const colours = useComputed(() => assign(shown.value));
  useEffect(() => {
    if (list.value.rows.length === 0) loadRuns();
  }, []);
  useEffect(() => {
    if (ids.length === 0) return;
    compareRuns(ids).then(
      (answer) => {
        const next = new Map(opened.value);
        for (const run of answer.runs) next.set(run.id, run);
        opened.value = next;
        setState({ differences: answer.differences.config || {}, error: null, loading: false });
      },
      (error) => setState({ differences: {}, error, loading: false }),
    );
  }, [param("runs")]);
  const runs = ids.map((id) => opened.value.get(id)).filter(Boolean);
  return html`<header class="bar"><h1>Compare</h1><${Picker} ids=${ids} /></header>
    <main class="content">
      ${ids.length === 0 ? html`<${Empty} title="Nothing to compare yet" command="deepevent compare RUN RUN">Add runs above. Their differing settings, best values and curves then stand side by side; in a terminal likewise:<//>` : null}
      ${state.error ? html`<${Failed} error=${state.error} />` : null}
      ${ids.length && state.loading ? html`<${Waiting} what="the runs" />` : null}
      ${runs.length ? html`<${Table} runs=${runs} colours=${colours.value} ids=${ids} differences=${state.differences} /><${ChartControls} /><${ChartGrid} runs=${runs} colours=${colours.value} />` : null}
    </main>`;
}
