/** A sweep's trials as a table; a click on a row, or Enter, chooses it for the drawings. */
import { html } from "htm/preact";
import { cut, duration, number, plain, value } from "../format.js";
import { param, setParams } from "../router.js";
import { now } from "../state.js";
import { better, isOpen } from "../sweeps.js";

const KIND = { waiting: "plain", running: "ok", completed: "plain", pruned: "warn", failed: "bad", stopped: "plain" };
const MEANING = {
  waiting: "Its job waits in the queue.",
  running: "Its job is at work.",
  completed: "It ran to its end.",
  pruned: "It was stopped for being weak.",
  failed: "Its job failed, was lost, or never logged the metric.",
  stopped: "It was stopped by a person.",
};

function note(trial) {
  if (trial.stopping) return "stopping …";
  if (trial.state === "pruned") return `after ${trial.pruned_at} of its values`;
  return trial.reason;
}

function Head({ by, title, sort, children }) {
  const on = sort === by;
  return html`<th class="number" aria-sort=${on ? (by === "value" ? "other" : "ascending") : undefined}><button title=${title} onClick=${() => setParams({ sort: by === "number" ? null : by })}>${children}${on ? " ▾" : ""}</button></th>`;
}

function Row({ trial, names, best, selected, onSelect }) {
  const chosen = trial.number === selected;
  const said = note(trial);
  const length = trial.started ? number(trial.finished ?? now.value) - number(trial.started) : null;
  const choose = (event) => {
    if (!event.target.closest("a")) onSelect(chosen ? null : trial.number);
  };
  return html`<tr class=${chosen ? "at" : ""} onClick=${choose}>
    <td class="number"><button class="quiet" aria-pressed=${chosen} aria-label=${`Choose trial ${trial.number}`}>${trial.number}</button></td>
    <td class="job-state"><span class=${`status ${KIND[trial.state] || "plain"}`} title=${MEANING[trial.state] || ""}><i class="dot"></i>${trial.state}</span>${said ? html`<small title=${said}>${cut(said, 34)}</small>` : null}</td>
    <td class=${`number ${best ? "top" : ""}`}>${value(trial.value)}${best ? html`<span class="unseen"> (best)</span>` : null}</td>
    ${names.map((name) => html`<td key=${name} class="number" title=${plain(trial.parameters[name])}>${typeof trial.parameters[name] === "number" ? value(trial.parameters[name]) : cut(plain(trial.parameters[name] ?? "–"), 20)}</td>`)}
    <td class="number">${trial.n_values}</td>
    <td class="number">${duration(length)}</td>
    <td>${trial.run ? html`<a href=${`/runs/${encodeURIComponent(trial.run)}`} aria-label=${`Run of trial ${trial.number}`}>run</a>` : html`<span class="dim">–</span>`}${trial.source === "person" ? html` <span class="tag" title="added by a person">added</span>` : null}</td>
  </tr>`;
}

/** @param {{row: object, selected: number|null, onSelect: (trial: number|null) => void}} props */
export function TrialTable({ row, selected, onSelect }) {
  const names = Object.keys(row.space);
  const sort = param("sort") === "value" ? "value" : "number";
  const rank = (trial) => (trial.value === null || trial.state === "failed" ? null : number(trial.value));
  const trials = [...row.trials].sort((a, b) => {
    if (sort === "number") return b.number - a.number;
    const [x, y] = [rank(a), rank(b)];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    return x === y ? a.number - b.number : better(x, y, row.direction) ? -1 : 1;
  });
  if (trials.length === 0) return html`<p class="dim">The first trials are queued within a second.</p>`;
  return html`<div class="card jobs-scroll"><table class="plain jobs trials" aria-label="Trials">
    <thead><tr><${Head} by="number" sort=${sort} title="the newest first">trial<//><th>State</th><${Head} by="value" sort=${sort} title="the best first">${cut(row.metric, 22)}<//>${names.map((name) => html`<th key=${name} class="number" title=${name}>${cut(name, 20)}</th>`)}<th class="number" title="how often the metric was logged">Values</th><th class="number">Duration</th><th>Run</th></tr></thead>
    <tbody>${trials.map((trial) => html`<${Row} key=${trial.number} trial=${trial} names=${names} best=${trial.number === row.best?.number} selected=${selected} onSelect=${onSelect} />`)}</tbody>
  </table></div>`;
}

/** The trials in numbers. @param {Record<string, number>} counts @param {number} wanted */
export function totals(counts, wanted) {
  const ended = Object.entries(counts).reduce((sum, [state, n]) => sum + (isOpen({ state }) ? 0 : n), 0);
  const parts = ["running", "waiting", "pruned", "failed"].filter((state) => counts[state]).map((state) => `${counts[state]} ${state}`);
  return [`${ended} of ${wanted} trials ended`, ...parts].join(" · ");
}
