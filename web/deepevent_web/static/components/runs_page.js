/**
 * The Runs page: one line of controls, the table, and beside it the live charts of the runs that are shown.
 */
import { html } from "htm/preact";
import { useEffect, useLayoutEffect } from "preact/hooks";
import { useComputed } from "@preact/signals";
import { assign } from "../colours.js";
import { bindKeys } from "../keys.js";
import { href, navigate, param, route, setParams } from "../router.js";
import { change, mayChange, runsText, undo } from "../actions.js";
import { loadRuns } from "../run_list.js";
import { tick } from "../selection.js";
import { cursor, list, openRun, opened, selected, shown } from "../state.js";
import { BulkBar } from "./bulk_bar.js";
import { ChartControls } from "./chart_controls.js";
import { ChartGrid } from "./chart_grid.js";
import { Divider } from "./divider.js";
import { Empty, Failed, Waiting } from "./empty.js";
import { FilterLine } from "./filter_line.js";
import { GroupTable } from "./group_table.js";
import { RunTable } from "./run_table.js";

const FIRST_RUN = `import deepevent

with deepevent.start(name="first") as run:
    for step in range(100):
        run.log({"train/loss": 1 / (step + 1)}, step=step)`;

const MOST_FETCHED = 50;

/** Put a run into the charts or take it out; the URL then names all that are shown. @param {string} id */
export function toggleShown(id) {
  const ids = shown.value.includes(id) ? shown.value.filter((other) => other !== id) : [...shown.value, id];
  setParams({ show: ids.length ? ids.join(",") : "none" });
}

function move(by) {
  const { slots, total } = list.value;
  if (!total) return;
  const found = [...slots].find(([, run]) => run.id === cursor.value);
  const next = slots.get(found ? Math.min(total - 1, Math.max(0, found[0] + by)) : 0);
  if (next) cursor.value = next.id;
}

/** Put the ticked runs, or the one at the cursor, into the trash. */
function remove() {
  const ids = selected.value.size ? [...selected.value] : cursor.value ? [cursor.value] : [];
  if (!ids.length || !mayChange() || param("among") === "trash") return;
  change(ids.map((id) => ({ id, trashed: true })), `Deleted ${runsText(ids.length)}`).then((done) => {
    if (done) selected.value = new Set();
  });
}

const PAGE_KEYS = {
  "/": () => document.getElementById("filter")?.focus(),
  j: () => move(1),
  k: () => move(-1),
  x: () => cursor.value && toggleShown(cursor.value),
  s: () => cursor.value && mayChange() && tick(cursor.value),
  u: () => undo(),
  Delete: remove,
  o: () => cursor.value && navigate(`/runs/${cursor.value}`),
  Enter: () => cursor.value && navigate(`/runs/${cursor.value}`),
};

const NOTHING = {
  active: ["No run matches", "The filter leaves none."],
  archived: ["No run is archived", "Archiving takes a run out of the usual list and keeps all of it."],
  trash: ["The trash is empty", "Deleted runs lie here for a week and can be restored."],
  all: ["No run matches", "The filter leaves none."],
};

/** Runs that the URL shows and the list does not hold, loaded one by one. */
function useShownRuns(rows) {
  const here = new Set(rows.map((run) => run.id));
  const away = shown.value.filter((id) => !here.has(id) && !opened.value.has(id)).slice(0, MOST_FETCHED);
  const key = away.join();
  useEffect(() => {
    if (key) for (const id of key.split(",")) openRun(id).catch(() => {}); // a run that is gone is left out
  }, [key]);
  return shown.value.map((id) => rows.find((run) => run.id === id) || opened.value.get(id)).filter(Boolean);
}

/** @returns the page at `/` */
export function RunsPage() {
  const filter = param("filter");
  const sort = param("sort");
  const among = param("among", "active");
  const by = param("group");
  useEffect(() => void loadRuns(), [filter, sort, among]);
  useLayoutEffect(() => bindKeys(PAGE_KEYS), []);
  const colours = useComputed(() => assign(shown.value));
  const { rows, loading, error, total } = list.value;
  const visible = useShownRuns(rows);
  const nothing = !loading && !error && rows.length === 0;
  const listed = route.value.params;

  if (nothing && !filter && among === "active" && !by) {
    return html`<main class="content">
      <${Empty} title="No run yet" command=${FIRST_RUN}>A script on this machine needs no set-up; its run appears here as soon as it logs.<//>
      <${Empty} title="From a shell script" command=${'deepevent log --run first train/loss=0.31'} />
    </main>`;
  }
  return html`
    <header class="bar">
      <h1 class="unseen">Runs</h1>
      <${FilterLine} />
    </header>
    <main class="split">
      <section class="table-pane" aria-label="Runs">
        ${error && rows.length === 0 && error.status !== 422 ? html`<${Failed} error=${error} retry=${() => loadRuns()} />` : null}
        ${loading && rows.length === 0 ? html`<${Waiting} what="runs" />` : null}
        ${error?.status === 422 && rows.length === 0 ? html`<${Empty} title="The filter is not understood" below>The place is marked above. <a href=${href("/", { sort })}>Show all runs</a><//>` : null}
        ${nothing ? html`<${Empty} title=${NOTHING[filter ? "active" : among]?.[0]}>${NOTHING[filter ? "active" : among]?.[1]} <a href=${href("/", { ...listed, filter: null, among: null })}>Show all runs</a><//>` : null}
        ${rows.length && !by ? html`<${RunTable} colours=${colours.value} />` : null}
        ${rows.length && by ? html`<${GroupTable} key=${by} by=${by} colours=${colours.value} />` : null}
        <${BulkBar} />
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
