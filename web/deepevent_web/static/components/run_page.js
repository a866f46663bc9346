/** One run: its head, and tabs for all that it logged. Tab and settings are in the URL. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { useComputed } from "@preact/signals";
import { change, mayChange, undo } from "../actions.js";
import { getMetrics, listJobs, stopRun } from "../api.js";
import { assign } from "../colours.js";
import { duration, number } from "../format.js";
import { bindKeys } from "../keys.js";
import { onReconnect } from "../live.js";
import { href, param, route } from "../router.js";
import { now, openRun, opened, session } from "../state.js";
import { Alerts, useAlerts } from "./alerts.js";
import { Artifacts } from "./artifacts.js";
import { ChartControls } from "./chart_controls.js";
import { ChartGrid } from "./chart_grid.js";
import { Detections } from "./detections.js";
import { Empty, Failed, Waiting } from "./empty.js";
import { Logs } from "./logs.js";
import { Media } from "./media.js";
import { Name } from "./name.js";
import { Notes } from "./notes.js";
import { Overview } from "./overview.js";
import { RunName } from "./run_name.js";
import { Status } from "./status.js";

const TABS = [
  ["charts", "Charts"], ["overview", "Overview"], ["detections", "Detections"], ["media", "Media"],
  ["logs", "Logs"], ["system", "System"], ["artifacts", "Artifacts"], ["alerts", "Alerts"],
];
const isSystem = ({ name }) => name.startsWith("system/");

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

/** Where the run is a job's: the way to the job, and to another one like it. */
function ItsJob({ id, status }) {
  const [job, setJob] = useState(null);
  useEffect(() => {
    let current = true;
    listJobs({ run: id, limit: 1 }).then(({ jobs }) => current && setJob(jobs[0] || null), () => {});
    return () => (current = false);
  }, [id, status]);
  if (!job) return null;
  return html`<a class="button" href=${href("/jobs", { job: job.id })} title="attempts, history and all parameters">Job ${job.id}</a>
    ${mayChange() && job.recipe ? html`<a class="button" href=${href("/jobs", { clone: job.id })} title="a new job with these parameters, to be changed">Clone and change…</a>` : null}`;
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

/** Archive and delete, or, for a run in the trash, restore. */
function Tidy({ run }) {
  if (!mayChange()) return null;
  if (run.trashed) return html`<button class="button" onClick=${() => change([{ id: run.id, trashed: false }], "Restored the run")}>Restore</button>`;
  return html`<button class="button" onClick=${() => change([{ id: run.id, archived: !run.archived }], run.archived ? "Took the run out of the archive" : "Archived the run")}>${run.archived ? "Unarchive" : "Archive"}</button>
    <button class="button danger" title="into the trash, for a week" onClick=${() => change([{ id: run.id, trashed: true }], "Deleted the run")}>Delete</button>`;
}

function Charts({ run, series, colours }) {
  return html`<${ChartControls} /><${ChartGrid} runs=${[run]} colours=${colours} series=${series} />`;
}

function System({ run, series, colours }) {
  if (!series.length) return html`<${Empty} title="No figures of the machine">The client samples CPU, memory, disk, network and GPUs every few seconds; this run was too short, or it was switched off.<//>`;
  return html`<${Charts} run=${run} series=${series} colours=${colours} />`;
}

const BODY = {
  overview: ({ run }) => html`<${Notes} run=${run} /><${Overview} run=${run} />`,
  charts: ({ run, series, colours }) => html`<${Notes} run=${run} /><${Charts} run=${run} series=${series.filter((one) => !isSystem(one))} colours=${colours} />`,
  detections: ({ run }) => html`<${Detections} run=${run.id} />`,
  media: ({ run }) => html`<${Media} run=${run.id} />`,
  logs: ({ run }) => html`<${Logs} run=${run} />`,
  system: ({ run, series, colours }) => html`<${System} run=${run} series=${series.filter(isSystem)} colours=${colours} />`,
  artifacts: ({ run }) => html`<${Artifacts} run=${run} />`,
  alerts: ({ alerts }) => html`<${Alerts} ...${alerts} />`,
};

/** The bar of tabs: arrow keys move along it, as screen readers announce. */
function Tabs({ id, tab, counts }) {
  const { params } = route.value;
  const key = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const all = [...event.currentTarget.querySelectorAll("a")];
    all[(all.indexOf(document.activeElement) + by + all.length) % all.length].focus();
  };
  return html`<div class="tabs" role="tablist" aria-label="Parts of the run" onKeyDown=${key}>
    ${TABS.map(([name, text]) => html`<a role="tab" id=${`tab-${name}`} key=${name} aria-selected=${tab === name} aria-controls="run-part" tabindex=${tab === name ? 0 : -1} href=${href(`/runs/${encodeURIComponent(id)}`, { ...params, tab: name === "charts" ? null : name })}>${text}${counts[name] ? html` <small>${counts[name]}</small>` : null}</a>`)}
  </div>`;
}

/** @param {{id: string}} props */
export function RunPage({ id }) {
  const [error, setError] = useState(null);
  const load = () => openRun(id).then(() => setError(null), setError);
  useEffect(() => {
    load();
    return onReconnect(load);
  }, [id]);
  useEffect(() => bindKeys({ u: () => undo() }), []);
  const run = opened.value.get(id);
  const known = useSeries(id, run);
  const alerts = useAlerts(id);
  const colours = useComputed(() => assign([id]));
  if (!run) return html`<main class="content">${error?.status === 404 ? html`<${Empty} title="There is no such run">It was deleted, or the address is not whole. <a href="/">All runs</a> are here.<//>` : error ? html`<${Failed} error=${error} retry=${load} />` : html`<${Waiting} what="the run" />`}</main>`;

  const tab = TABS.some(([key]) => key === param("tab")) ? param("tab") : "charts";
  const series = known || Object.keys(run.metrics || {}).map((name) => ({ name, rank: 0 }));
  const length = run.status === "running" && run.started ? now.value - number(run.started) : run.duration_s;
  return html`
    <header class="bar run-bar">
      <${RunName} run=${run} />
      <${Status} status=${run.status} />
      <span class="dim"><${Name} text=${run.project} /> · ${duration(length)}</span>
      <span class="grow"></span>
      <${StopButton} run=${run} />
      <${ItsJob} id=${id} status=${run.status} />
      <a class="button" href=${href("/compare", { runs: id })}>Compare</a>
      <${Tidy} run=${run} />
    </header>
    ${run.trashed ? html`<p class="banner warn" role="status">This run is in the trash. It is deleted for good a week after it was put there.</p>` : run.archived ? html`<p class="banner" role="status">This run is archived: the usual list leaves it out.</p>` : null}
    <${Tabs} id=${id} tab=${tab} counts=${{ alerts: alerts.alerts?.length || 0 }} />
    <main class=${tab === "detections" ? "fill" : "content"}>
      <div class=${`part ${tab === "logs" ? "tall" : ""}`} id="run-part" role="tabpanel" aria-labelledby=${`tab-${tab}`}><${BODY[tab]} key=${tab} run=${run} series=${series} colours=${colours.value} alerts=${alerts} /></div>
    </main>
  `;
}
