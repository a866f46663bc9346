/**
 * The Runs page: one line of controls, the table, and beside it the live charts of the runs that are shown.
 */
import { html } from "htm/preact";
import { useEffect, useLayoutEffect } from "preact/hooks";
import { useComputed } from "@preact/signals";
import { assign } from "../colours.js";
import { bindKeys } from "../keys.js";
import { href, navigate, param, setParams } from "../router.js";
import { cursor, list, loadRuns, shown } from "../state.js";
import { ChartControls } from "./chart_controls.js";
import { ChartGrid } from "./chart_grid.js";
import { Divider } from "./divider.js";
import { Empty, Failed, Waiting } from "./empty.js";
import { FilterLine } from "./filter_line.js";
import { RunTable } from "./run_table.js";

const FIRST_RUN = `import deepevent

with deepevent.start(name="first") as run:
    for step in range(100):
        run.log({"train/loss": 1 / (step + 1)}, step=step)`;

/** Put a run into the charts or take it out; the URL then names all that are shown. @param {string} id */
export function toggleShown(id) {
  const ids = shown.value.includes(id) ? shown.value.filter((other) => other !== id) : [...shown.value, id];
  setParams({ show: ids.length ? ids.join(",") : "none" });
}

function move(by) {
  const { rows } = list.value;
  if (!rows.length) return;
  const at = rows.findIndex((run) => run.id === cursor.value);
  cursor.value = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))].id;
}

const PAGE_KEYS = {
  "/": () => document.getElementById("filter")?.focus(),
  j: () => move(1),
  k: () => move(-1),
  x: () => cursor.value && toggleShown(cursor.value),
  o: () => cursor.value && navigate(`/runs/${cursor.value}`),
  Enter: () => cursor.value && navigate(`/runs/${cursor.value}`),
};

/** @returns the page at `/` */
export function RunsPage() {
  const filter = param("filter");
  const sort = param("sort");
  useEffect(() => void loadRuns(), [filter, sort]);
  useLayoutEffect(() => bindKeys(PAGE_KEYS), []);
  const colours = useComputed(() => assign(shown.value));
  const { rows, loading, error, total } = list.value;
  const visible = rows.filter((run) => shown.value.includes(run.id));
  const nothing = !loading && !error && rows.length === 0;

  if (nothing && !filter) {
    return html`<main class="content">
      <${Empty} title="No run yet" command=${FIRST_RUN}>A script on this machine needs no set-up; its run appears here as soon as it logs.<//>
      <${Empty} title="From a shell script" command=${'deepevent log --run first train/loss=0.31'} />
    </main>`;
  }
  return html`
    <header class="bar">
      <${FilterLine} />
    </header>
    <main class="split">
      <section class="table-pane" aria-label="Runs">
        ${error && rows.length === 0 && error.status !== 422 ? html`<${Failed} error=${error} retry=${() => loadRuns()} />` : null}
        ${loading && rows.length === 0 ? html`<${Waiting} what="runs" />` : null}
        ${error?.status === 422 && rows.length === 0 ? html`<${Empty} title="The filter is not understood" below>The place is marked above. <a href=${href("/", { sort })}>Show all runs</a><//>` : null}
        ${nothing ? html`<${Empty} title="No run matches">The filter leaves none. <a href=${href("/", { sort })}>Show all runs</a><//>` : null}
        ${rows.length ? html`<${RunTable} rows=${rows} colours=${colours.value} />` : null}
      </section>
      <${Divider} />
      <section class="charts-pane" aria-label="Charts of the shown runs">
        ${rows.length ? html`<${ChartControls} />` : null}
        ${rows.length && visible.length === 0
          ? html`<${Empty} title="No run is shown">Press the coloured mark beside a run, or <kbd>x</kbd>, to draw it here.<//>`
          : html`<${ChartGrid} runs=${visible} colours=${colours.value} total=${total} />`}
      </section>
    </main>
  `;
}
