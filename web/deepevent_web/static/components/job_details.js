/** All of one job: what it runs, its attempts, who did what to it, and its priority. Read again when the job changes. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api.js";
import { actor, ago, bytes, duration, moment, number, plain } from "../format.js";
import { applyJob, isWorking } from "../queue.js";
import { now } from "../state.js";
import { Name } from "./name.js";

const MEBIBYTE = 1024 * 1024;

function needs({ cpus, gpus, memory_mb, time_limit_s }) {
  const parts = [`${cpus} ${cpus === 1 ? "CPU" : "CPUs"}`];
  if (gpus) parts.push(`${gpus} ${gpus === 1 ? "GPU" : "GPUs"}`);
  if (memory_mb) parts.push(bytes(memory_mb * MEBIBYTE));
  if (time_limit_s) parts.push(`at most ${duration(number(time_limit_s))}`);
  return parts.join(" · ");
}

function Attempts({ attempts }) {
  if (attempts.length === 0) return html`<p class="dim">No agent has taken it yet.</p>`;
  return html`<div class="scroll-x"><table class="plain" aria-label="Attempts">
    <thead><tr><th class="number">Attempt</th><th>State</th><th>Agent</th><th class="number">Taken</th><th class="number">Duration</th><th class="number">Exit code</th><th>Reason</th></tr></thead>
    <tbody>${attempts.map((one) => html`<tr key=${one.fence}><td class="number">${one.attempt}</td><td>${one.state}</td><td><${Name} text=${one.agent} most=${20} /></td><td class="number" title=${moment(number(one.claimed))}>${ago(number(one.claimed), now.value)}</td><td class="number">${one.started ? duration(number(one.finished ?? now.value) - number(one.started)) : "–"}</td><td class="number">${one.exit_code ?? "–"}</td><td class="wrap">${one.reason}</td></tr>`)}</tbody>
  </table></div>`;
}

function Priority({ job }) {
  const [problem, setProblem] = useState("");
  const send = (event) => {
    event.preventDefault();
    const text = new FormData(event.currentTarget).get("priority");
    const wanted = text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
    api.patchJob(job.id, { priority: wanted }).then((changed) => { applyJob(changed); setProblem(""); }, (error) => setProblem(error.message));
  };
  return html`<form class="inline" aria-label="Priority" onSubmit=${send} novalidate><input class="field shorter" name="priority" aria-label="priority" inputmode="numeric" autocomplete="off" defaultValue=${String(job.priority)} /><button class="button small">Set</button>${problem ? html`<span class="bad" role="alert">${problem}</span>` : null}</form>`;
}

/** @param {{job: object, mayAct: boolean}} props */
export function JobDetails({ job, mayAct }) {
  const [whole, setWhole] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let current = true;
    api.getJob(job.id).then((found) => current && (setWhole(found), setProblem("")), (error) => current && setProblem(error.message));
    return () => (current = false);
  }, [job]);
  if (!whole) return html`<p class=${problem ? "bad" : "dim"} role=${problem ? "alert" : undefined}>${problem || "Loading …"}</p>`;
  const pairs = Object.entries(whole.parameters).map(([key, v]) => `${key}=${plain(v)}`);
  return html`<div class="job-details">
    <dl class="sweep-facts">
      <div class="wide"><dt>${whole.command ? "Command" : "Recipe"}</dt><dd><code>${whole.command ? whole.command.join(" ") : [whole.recipe, ...pairs].join(" ")}</code></dd></div>
      ${whole.folder ? html`<div class="wide"><dt>Folder</dt><dd><code>${whole.folder}</code></dd></div>` : null}
      <div><dt>Needs</dt><dd>${needs(whole.resources)}</dd></div>
      <div><dt>Retries left</dt><dd>${whole.retries_left} of ${whole.max_retries}</dd></div>
      <div><dt>Project</dt><dd>${whole.project}</dd></div>
      ${whole.after.length ? html`<div><dt>After</dt><dd>${whole.after.map(({ id, state }) => `#${id} (${state})`).join(", ")}</dd></div>` : null}
      ${whole.group ? html`<div><dt>Group</dt><dd>${whole.group}</dd></div>` : null}
      ${mayAct && isWorking(whole) ? html`<div><dt>Priority</dt><dd><${Priority} job=${whole} /></dd></div>` : null}
      ${whole.reason ? html`<div class="wide"><dt>Reason</dt><dd>${whole.reason}</dd></div>` : null}
    </dl>
    <${Attempts} attempts=${whole.attempts} />
    <ol class="history-list" aria-label="History">${whole.history.map((entry) => html`<li key=${entry.id}><span class="dim" title=${moment(number(entry.time))}>${ago(number(entry.time), now.value)}</span> ${entry.action}${entry.detail ? html` <span class="dim">${entry.detail}</span>` : null}${entry.actor ? html` <span class="dim">by ${actor(entry.actor)}</span>` : null}</li>`)}</ol>
  </div>`;
}
