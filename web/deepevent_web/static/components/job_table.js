/** The list of jobs: state, what runs where and how long, and what can be done to it. */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { ago, cut, duration, moment, number, plain } from "../format.js";
import { applyJob, isWorking } from "../queue.js";
import { param, setParams } from "../router.js";
import { now } from "../state.js";
import { JobDetails } from "./job_details.js";
import { Name } from "./name.js";

const KIND = { queued: "plain", claimed: "warn", running: "ok", completed: "plain", failed: "bad", stopped: "plain", lost: "warn" };
const MEANING = {
  queued: "It waits for an agent.",
  claimed: "An agent has taken it and is starting it.",
  running: "Its process runs.",
  completed: "It ended well.",
  failed: "It ended with an error.",
  stopped: "It was stopped.",
  lost: "Its agent was not heard from any more.",
};
const MOST_PARAMETERS = 3;

/** Why a job is where it is, where there is more to say than the state. */
function because(job, at) {
  if (job.stop_requested && isWorking(job)) return "stopping …";
  if (job.state === "queued") {
    const waiting = (job.after || []).filter(({ state }) => state !== "completed").map(({ id }) => `#${id}`);
    if (waiting.length) return `after ${waiting.join(", ")}`;
    if (number(job.not_before) <= at) return "";
    return [`again in ${duration(number(job.not_before) - at)}`, job.reason].filter(Boolean).join(": ");
  }
  if (job.sweep?.pruned) return "pruned by its sweep";
  // One that was stopped ended by the stop; how exactly is in its details.
  return job.reason || (job.exit_code && job.state !== "stopped" ? `exit code ${job.exit_code}` : "");
}

/** What a job runs, in a few words, with all of it in the title. */
function what(job) {
  if (job.command) return { head: job.command.join(" "), rest: "", all: job.command.join(" ") };
  const pairs = Object.entries(job.parameters || {}).map(([key, v]) => `${key}=${plain(v)}`);
  const more = pairs.length - MOST_PARAMETERS;
  return { head: job.recipe, rest: pairs.slice(0, MOST_PARAMETERS).map((pair) => cut(pair, 28)).join(" ") + (more > 0 ? ` +${more}` : ""), all: [job.recipe, ...pairs].join("\n") };
}

function length(job, at) {
  if (!job.started) return "–";
  return duration(number(job.finished ?? at) - number(job.started));
}

function Actions({ job, onClone }) {
  const [problem, setProblem] = useState("");
  const act = (request) => request(job.id).then((changed) => { applyJob(changed); setProblem(""); }, (error) => setProblem(error.message));
  return html`<td class="actions">
    ${isWorking(job)
      ? html`<button class="button small" disabled=${job.stop_requested} aria-label=${`Stop job ${job.id}`} onClick=${() => act(api.stopJob)}>Stop</button>`
      : html`<button class="button small" aria-label=${`Requeue job ${job.id}`} title="queue it again, in the same run" onClick=${() => act(api.requeueJob)}>Requeue</button>`}
    ${job.recipe ? html`<button class="button small" aria-label=${`Clone job ${job.id}`} title="a new job with these parameters" onClick=${() => onClone(job)}>Clone…</button>` : null}
    ${problem ? html`<p class="bad" role="alert">${problem}</p>` : null}
  </td>`;
}

function Row({ job, mayAct, onClone }) {
  const { head, rest, all } = what(job);
  const reason = because(job, now.value);
  const open = param("job") === String(job.id);
  const toggle = () => setParams({ job: open ? null : job.id });
  return html`<tr class=${open ? "at" : ""}>
    <td class="number"><button class="quiet" aria-expanded=${open} aria-label=${`Details of job ${job.id}`} title="attempts, history and all parameters" onClick=${toggle}>${job.id}</button></td>
    <td class="job-state"><span class=${`status ${KIND[job.state] || "plain"}`} title=${MEANING[job.state] || ""}><i class="dot"></i>${job.state}</span>${reason ? html`<small title=${reason}>${cut(reason, 48)}</small>` : null}</td>
    <td class="job-what" title=${all}>${job.name ? html`<${Name} text=${job.name} most=${32} /><small>${job.name === head ? rest : `${cut(head, 28)} ${rest}`}</small>` : html`<bdi class="name">${cut(head, 40)}</bdi><small>${rest}</small>`}</td>
    <td>${job.sweep ? html`<a href=${`/sweeps/${job.sweep.id}?trial=${job.sweep.trial}`}>trial</a> · ` : null}${job.run && job.attempt ? html`<a href=${`/runs/${encodeURIComponent(job.run)}`}>run</a>` : html`<span class="dim">–</span>`}</td>
    <td>${job.agent ? html`<${Name} text=${job.agent} most=${20} />` : html`<span class="dim">–</span>`}</td>
    <td class="number">${job.attempt || "–"}</td>
    <td class="number">${job.priority}</td>
    <td class="number" title=${moment(number(job.created))}>${ago(number(job.created), now.value)}</td>
    <td class="number">${length(job, now.value)}</td>
    ${mayAct ? html`<${Actions} job=${job} onClone=${onClone} />` : null}
  </tr>
  ${open ? html`<tr class="details"><td colspan=${mayAct ? 10 : 9}><${JobDetails} job=${job} mayAct=${mayAct} /></td></tr>` : null}`;
}

/** @param {{jobs: object[], mayAct: boolean, onClone: (job: object) => void}} props */
export function JobTable({ jobs, mayAct, onClone }) {
  return html`<div class="card jobs-scroll"><table class="plain jobs job-list">
    <thead><tr><th class="number">#</th><th>State</th><th>Job</th><th>Run</th><th>Agent</th><th class="number">Attempt</th><th class="number">Priority</th><th class="number">Created</th><th class="number">Duration</th>${mayAct ? html`<th><span class="unseen">Actions</span></th>` : null}</tr></thead>
    <tbody>${jobs.map((job) => html`<${Row} key=${job.id} job=${job} mayAct=${mayAct} onClone=${onClone} />`)}</tbody>
  </table></div>`;
}
