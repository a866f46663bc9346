/** A run's facts: times, tags, notes, config as a searchable tree, summary, metrics, environment, artifacts. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { blobURL, getArtifacts } from "../api.js";
import { ago, bytes, count, duration, moment, number, value } from "../format.js";
import { now } from "../state.js";
import { Name } from "./name.js";
import { Tree } from "./tree.js";

/** What the script's author says of the run, first of all and as text. @param {{run: object}} props */
export function Notes({ run }) {
  return run.notes ? html`<p class="notes">${run.notes}</p>` : null;
}

const CLOCK_NOTICED_S = 2; // the way of a batch alone is shorter than that

/** How far the clocks of the run's processes are from the server's, or "" if they agree. */
function clocks(run) {
  const offsets = (run.writers || []).map((writer) => number(writer.clock_offset_s)).filter((s) => Math.abs(s) >= CLOCK_NOTICED_S);
  if (!offsets.length) return "";
  const most = offsets.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
  return `${duration(Math.abs(most))} ${most > 0 ? "behind" : "ahead of"} the server's; points keep the script's own times`;
}

function Facts({ run }) {
  const clock = clocks(run);
  const rows = [
    ["Created", moment(number(run.created))],
    ["Started", moment(number(run.started))],
    run.finished ? ["Finished", moment(number(run.finished))] : ["Heard from", ago(number(run.heartbeat), now.value)],
    ["Duration", duration(run.status === "running" && run.started ? now.value - number(run.started) : run.duration_s)],
    ["Host", run.host || "–"],
    ["Group", run.group || "–"],
    ["Id", html`<code>${run.id}</code>`],
    ...(clock ? [["Clock", clock]] : []),
    ...(run.n_dropped ? [["Not kept", html`<span class="bad">${count(run.n_dropped)} values: no room on the script's disk, or damaged there</span>`]] : []),
  ];
  return html`<section class="card facts"><h2>Run</h2><dl>${rows.map(([name, text]) => html`<div><dt>${name}</dt><dd>${text}</dd></div>`)}</dl>
    ${run.tags?.length ? html`<p class="tags">${run.tags.map((tag) => html`<span class="tag"><${Name} text=${tag} /></span>`)}</p>` : null}</section>`;
}

function Metrics({ run }) {
  const metrics = Object.values(run.metrics || {}).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (!metrics.length) return null;
  return html`<section class="card wide"><h2>Metrics</h2><div class="scroll-x"><table class="plain"><thead><tr><th>Name</th><th class="number">last</th><th class="number">min</th><th class="number">max</th><th class="number">points</th><th class="number">non-finite</th></tr></thead>
    <tbody>${metrics.map((m) => {
      const odd = (m.n_nan || 0) + (m.n_positive_infinity || 0) + (m.n_negative_infinity || 0);
      return html`<tr><td><${Name} text=${m.name} most=${48} /></td><td class="number">${value(m.last)}</td><td class="number" title=${`step ${m.min_step}`}>${value(m.min)}</td><td class="number" title=${`step ${m.max_step}`}>${value(m.max)}</td><td class="number">${count(m.n)}</td><td class=${`number ${odd ? "bad" : ""}`}>${odd || "–"}</td></tr>`;
    })}</tbody></table></div></section>`;
}

function Artifacts({ run }) {
  const [artifacts, setArtifacts] = useState([]);
  useEffect(() => void getArtifacts(run.id).then((answer) => setArtifacts(answer.artifacts), () => {}), [run.id]);
  if (!artifacts.length) return null;
  return html`<section class="card wide"><h2>Artifacts</h2><table class="plain"><tbody>
    ${artifacts.map((a) => html`<tr><td>${a.blob ? html`<a href=${blobURL(a.blob)} download=${a.name}><${Name} text=${a.name} most=${48} /></a>` : html`<${Name} text=${a.name} />`}</td><td>${a.kind}</td><td class="number">${a.size_bytes === null ? "–" : bytes(a.size_bytes)}</td></tr>`)}
  </tbody></table></section>`;
}

/** @param {{run: object}} props */
export function Overview({ run }) {
  return html`<div class="overview">
    <${Facts} run=${run} />
    <${Tree} title="Config" values=${run.config} empty="The script gave no config: deepevent.start(config={…})." />
    <${Tree} title="Summary" values=${run.summary} empty="" />
    <${Tree} title="Environment" values=${run.environment} empty="" />
    <${Metrics} run=${run} />
    <${Artifacts} run=${run} />
  </div>`;
}
