/** One run: its head, and tabs for overview, charts, detections, media and logs. Tab and settings are in the URL. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { useComputed } from "@preact/signals";
import { getMetrics, stopRun } from "../api.js";
import { assign } from "../colours.js";
import { duration, number } from "../format.js";
import { onReconnect } from "../live.js";
import { href, param, route } from "../router.js";
import { now, openRun, opened, session } from "../state.js";
import { ChartControls } from "./chart_controls.js";
import { ChartGrid } from "./chart_grid.js";
import { Detections } from "./detections.js";
import { Failed, Waiting } from "./empty.js";
import { Logs } from "./logs.js";
import { Media } from "./media.js";
import { Name } from "./name.js";
import { Notes, Overview } from "./overview.js";
import { Status } from "./status.js";

const TABS = [["charts", "Charts"], ["overview", "Overview"], ["detections", "Detections"], ["media", "Media"], ["logs", "Logs"]];

function StopButton({ run }) {
  const [phase, setPhase] = useState("");
  if (run.status !== "running" || session.value?.role !== "operator") return null;
  const stop = async () => {
    try {
      await stopRun(run.id);
      setPhase("asked to stop");
    } catch (error) {
      setPhase(error.message);
    }
  };
  return phase ? html`<span class="dim" role="status">${phase}</span>` : html`<button class="button" onClick=${stop} title="run.should_stop becomes true in the script">Stop</button>`;
}

/** Every metric and rank of the run; asked again when the list of names that live points brought grew. */
function useSeries(id, run) {
  const [series, setSeries] = useState(null);
  const known = run ? Object.keys(run.metrics || {}).sort().join("\n") : null;
  useEffect(() => {
    if (known === null) return undefined;
    let current = true;
    const load = () => getMetrics(id).then(({ metrics }) => current && setSeries(metrics.map(({ name, rank }) => ({ name, rank }))), () => {});
    load();
    const deaf = onReconnect(load);
    return () => {
      current = false;
      deaf();
    };
  }, [id, known]);
  return series;
}

/** @param {{id: string}} props */
export function RunPage({ id }) {
  const [error, setError] = useState(null);
  const load = () => openRun(id).then(() => setError(null), setError);
  useEffect(() => {
    load();
    return onReconnect(load);
  }, [id]);
  const run = opened.value.get(id);
  const series = useSeries(id, run);
  const colours = useComputed(() => assign([id]));
  if (!run) return html`<main class="content">${error ? html`<${Failed} error=${error} retry=${load} />` : html`<${Waiting} what="the run" />`}</main>`;

  const tab = TABS.some(([key]) => key === param("tab")) ? param("tab") : "charts";
  const { params } = route.value;
  const length = run.status === "running" && run.started ? now.value - number(run.started) : run.duration_s;
  return html`
    <header class="bar run-bar">
      <h1><${Name} text=${run.name} most=${48} /></h1>
      <${Status} status=${run.status} />
      <span class="dim"><${Name} text=${run.project} /> · ${duration(length)}</span>
      <span class="grow"></span>
      <${StopButton} run=${run} />
      <a class="button" href=${href("/compare", { runs: id })}>Compare</a>
    </header>
    <div class="tabs" role="tablist" aria-label="Parts of the run">
      ${TABS.map(([key, text]) => html`<a role="tab" aria-selected=${tab === key} href=${href(`/runs/${encodeURIComponent(id)}`, { ...params, tab: key === "charts" ? null : key })}>${text}</a>`)}
    </div>
    ${tab === "detections"
      ? html`<main class="fill"><${Detections} run=${id} /></main>`
      : html`<main class="content">
          ${tab === "charts" || tab === "overview" ? html`<${Notes} run=${run} />` : null}
          ${tab === "charts" ? html`<${ChartControls} /><${ChartGrid} runs=${[run]} colours=${colours.value} series=${series || Object.keys(run.metrics || {}).map((name) => ({ name, rank: 0 }))} />` : null}
          ${tab === "overview" ? html`<${Overview} run=${run} />` : null}
          ${tab === "media" ? html`<${Media} run=${id} />` : null}
          ${tab === "logs" ? html`<${Logs} run=${run} />` : null}
        </main>`}
  `;
}
