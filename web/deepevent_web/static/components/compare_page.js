/**
 * Compare: chosen runs side by side. A table of what differs and of metrics with differences from a baseline, charts
 * over each other, relations with brushing, and the same photograph of all runs. All that is chosen is in the URL.
 */
import { html } from "htm/preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { useComputed } from "@preact/signals";
import { compareRuns } from "../api.js";
import { assign } from "../colours.js";
import { cut } from "../format.js";
import { columnsOf, groupings } from "../groups.js";
import { onReconnect } from "../live.js";
import { selected } from "../relations.js";
import { href, param, route, setParams } from "../router.js";
import { list, loadRuns, opened, shown } from "../state.js";
import { ChartControls } from "./chart_controls.js";
import { ChartGrid } from "./chart_grid.js";
import { ComparePhotographs } from "./compare_photographs.js";
import { CompareTable } from "./compare_table.js";
import { Empty, Failed, Waiting } from "./empty.js";
import { Relations, brushParam } from "./relations.js";
import { ViewsMenu } from "./views_menu.js";

const TABS = [["", "Table and charts"], ["relations", "Relations"], ["photographs", "Photographs"]];
const WHAT = [["best", "best"], ["last", "last"], ["min", "lowest"], ["max", "highest"]];
const MOST_RUNS = 100;

function Picker({ ids }) {
  const rest = list.value.rows.filter((run) => !ids.includes(run.id));
  const add = (event) => {
    if (event.target.value) setParams({ runs: [...ids, event.target.value].join(",") }, { push: true });
    event.target.value = "";
  };
  return html`<label class="control">add a run <select onChange=${add} disabled=${ids.length >= MOST_RUNS}><option value="">choose …</option>${rest.map((run) => html`<option value=${run.id}>${cut(run.name, 50)}</option>`)}</select></label>`;
}

function TableControls({ runs, differing, by, baseline, what }) {
  const ways = groupings(runs, differing);
  const columns = columnsOf(runs, by, differing);
  return html`<div class="controls" role="toolbar" aria-label="Comparison">
    <label class="control">baseline <select value=${baseline ?? ""} onChange=${(e) => setParams({ base: e.target.value || null })}><option value="">none</option>${columns.map(({ id, label }) => html`<option value=${id}>${cut(label, 50)}</option>`)}</select></label>
    <label class="control">value <select value=${what} onChange=${(e) => setParams({ value: e.target.value === "best" ? null : e.target.value })}>${WHAT.map(([key, text]) => html`<option value=${key}>${text}</option>`)}</select></label>
    ${ways.length ? html`<label class="control">group by <select value=${by} onChange=${(e) => setParams({ by: e.target.value || null, base: null })}><option value="">nothing</option>${ways.map(({ key, label }) => html`<option value=${key}>${label}</option>`)}</select></label>` : null}
  </div>`;
}

/** The runs of the URL with what differs between them, kept up by the socket. */
function useCompared(ids) {
  const [state, setState] = useState({ differences: {}, error: null, loading: true });
  const load = () => {
    if (ids.length === 0) return;
    compareRuns(ids).then(
      (answer) => {
        const next = new Map(opened.value);
        for (const run of answer.runs) next.set(run.id, run);
        opened.value = next;
        setState({ differences: answer.differences, error: null, loading: false });
      },
      (error) => setState({ differences: {}, error, loading: false }),
    );
  };
  useEffect(() => {
    load();
    return onReconnect(load);
  }, [ids.join()]);
  return state;
}

/** @returns the page at `/compare` */
export function ComparePage() {
  const ids = shown.value;
  const { differences, error, loading } = useCompared(ids);
  const colours = useComputed(() => assign(shown.value));
  useEffect(() => {
    if (list.value.rows.length === 0) loadRuns();
  }, []);
  const runs = ids.map((id) => opened.value.get(id)).filter(Boolean);
  const differing = differences.config || {};
  const brush = brushParam();
  const chosen = Object.keys(brush).length ? runs.filter((run) => selected(run, brush)) : runs;
  const tab = TABS.some(([key]) => key === param("tab")) ? param("tab") : "";
  const by = groupings(runs, differing).some(({ key }) => key === param("by")) ? param("by") : "";
  const what = WHAT.some(([key]) => key === param("value")) ? param("value") : "best";
  const { params } = route.value;
  const view = { runs, differing, by, baseline: param("base", null), what };
  const groups = useMemo(() => {
    const columns = by ? columnsOf(chosen, by, differing) : [];
    return by ? new Map(columns.flatMap(({ label, runs: own }) => own.map((run) => [run.id, label]))) : null;
  }, [by, chosen.map(({ id }) => id).join(), differences]);
  const charts = html`<${ChartControls} views=${false} /><${ChartGrid} runs=${chosen} colours=${colours.value} groups=${groups} />`;
  return html`<header class="bar run-bar"><h1>Compare</h1>${runs.length ? html`<span class="dim">${chosen.length < runs.length ? `${chosen.length} of ` : ""}${runs.length} runs</span>` : null}<${Picker} ids=${ids} /><span class="grow"></span><${ViewsMenu} /></header>
    <nav aria-label="Comparison"><div class="tabs" role="tablist" aria-label="Parts of the comparison">${TABS.map(([key, text]) => html`<a role="tab" aria-selected=${tab === key} href=${href("/compare", { ...params, tab: key })}>${text}</a>`)}</div></nav>
    <main class="content">
      ${ids.length === 0 ? html`<${Empty} title="Nothing to compare yet" command="deepevent compare RUN RUN">Add runs above. Their differing settings, best values and curves then stand side by side; in a terminal likewise:<//>` : null}
      ${error ? html`<${Failed} error=${error} />` : null}
      ${ids.length && loading && !error ? html`<${Waiting} what="the runs" />` : null}
      ${runs.length && tab === "" ? html`<${TableControls} ...${view} /><${CompareTable} ...${view} runs=${chosen} ids=${ids} colours=${colours.value} differences=${differences} all=${param("all")} />${charts}` : null}
      ${runs.length && tab === "relations" ? html`<${Relations} runs=${runs} chosen=${chosen} ids=${ids} colours=${colours.value} differing=${differing} />${charts}` : null}
      ${runs.length && tab === "photographs" ? html`<${ComparePhotographs} runs=${chosen} colours=${colours.value} />` : null}
    </main>`;
}
