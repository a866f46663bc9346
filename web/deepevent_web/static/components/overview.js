/** A run's facts: times, tags, notes, command, commit, config as a searchable tree, summary, metrics, environment. */
import { html } from "htm/preact";
import { ago, count, duration, moment, number, value } from "../format.js";
import { now } from "../state.js";
import { useArtifacts } from "./artifacts.js";
import { CommandCard, EnvironmentCards, GitCard } from "./environment.js";
import { Name } from "./name.js";
import { Tree } from "./tree.js";

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
  const metrics = Object.values(run.metrics || {}).filter((m) => !m.name.startsWith("system/")).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (!metrics.length) return null;
  return html`<section class="card wide-card"><h2>Metrics</h2><div class="scroll-x" tabindex="0" role="region" aria-label="Metrics"><table class="plain"><thead><tr><th scope="col">Name</th><th scope="col" class="number">last</th><th scope="col" class="number">min</th><th scope="col" class="number">max</th><th scope="col" class="number">points</th><th scope="col" class="number">non-finite</th></tr></thead>
    <tbody>${metrics.map((m) => {
      const odd = (m.n_nan || 0) + (m.n_positive_infinity || 0) + (m.n_negative_infinity || 0);
      const at = (step) => (step === null || step === undefined ? null : html` <small>@${value(step)}</small>`);
      return html`<tr key=${m.name}><td><${Name} text=${m.name} most=${48} /></td><td class="number">${value(m.last)}</td><td class="number">${value(m.min)}${at(m.min_step)}</td><td class="number">${value(m.max)}${at(m.max_step)}</td><td class="number">${count(m.n)}</td><td class=${`number ${odd ? "bad" : ""}`}>${odd || "–"}</td></tr>`;
    })}</tbody></table></div></section>`;
}

/** @param {{run: object}} props */
export function Overview({ run }) {
  const { artifacts } = useArtifacts(run);
  return html`<div class="overview">
    ${run.traceback ? html`<section class="card wide-card traceback"><h2 class="bad">Traceback</h2><pre tabindex="0" aria-label="Traceback">${run.traceback}</pre></section>` : null}
    <${Facts} run=${run} />
    <${Tree} title="Config" values=${run.config} empty="The script gave no config: deepevent.start(config={…})." />
    <${Tree} title="Summary" values=${run.summary} empty="" />
    <${GitCard} environment=${run.environment} artifacts=${artifacts || []} />
    <${CommandCard} environment=${run.environment} />
    <${Metrics} run=${run} />
    <${EnvironmentCards} environment=${run.environment} />
  </div>`;
}
