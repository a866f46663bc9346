/** The Detections page: the viewer for any run that logged detections, chosen by name. */
import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import { param, setParams } from "../router.js";
import { loadRuns } from "../run_list.js";
import { findRun, list } from "../state.js";
import { cut } from "../format.js";
import { Detections } from "./detections.js";
import { Empty, Waiting } from "./empty.js";

/** @returns the page at `/detections` */
export function DetectionsPage() {
  useEffect(() => {
    if (list.value.rows.length === 0) loadRuns();
  }, []);
  const { rows, loading } = list.value;
  const withMedia = rows.filter((run) => run.n_media > 0);
  const run = param("run") || withMedia[0]?.id || rows[0]?.id;
  const options = rows.filter((row) => row.n_media > 0 || row.id === run);
  useEffect(() => {
    if (run && !param("run")) setParams({ run }); // so that the socket watches it
  }, [run]);
  if (!run) {
    return html`<main class="content">${loading ? html`<${Waiting} what="runs" />` : html`<${Empty} title="No run yet" command="deepevent demo">The demonstration trains a face detector and logs what each stage keeps.<//>`}</main>`;
  }
  return html`<header class="bar"><h1>Detections</h1>
      <label class="control which">run <select value=${run} onChange=${(e) => setParams({ run: e.target.value, photo: null, epoch: null, stage: null }, { push: true })}>
        ${options.length === 0 || !findRun(run) ? html`<option value=${run}>${run}</option>` : null}
        ${options.map((row) => html`<option value=${row.id}>${cut(row.name, 50)}</option>`)}
      </select></label>
      <a class="button" href=${`/runs/${encodeURIComponent(run)}`}>Open the run</a>
    </header>
    <main class="fill"><${Detections} key=${run} run=${run} /></main>`;
}
