/** The agents: whether each is there, and which of its slots are taken. */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { ago, bytes, number } from "../format.js";
import { now } from "../state.js";
import { Name } from "./name.js";

const MEBIBYTE = 1024 * 1024;
const MOST_SLOTS = 32;

function state(agent) {
  if (agent.left) return { word: "left", kind: "plain" };
  if (!agent.alive) return { word: "silent", kind: "warn" };
  return agent.draining ? { word: "draining", kind: "warn" } : { word: "ready", kind: "ok" };
}

function Slots({ total, taken }) {
  const drawn = Math.min(total, MOST_SLOTS);
  return html`<p class="slots" role="img" aria-label=${`${taken} of ${total} slots taken`}>${Array.from({ length: drawn }, (_, i) => html`<i key=${i} class=${i < taken ? "taken" : ""}></i>`)}<span>${taken} of ${total} taken</span></p>`;
}

/** The server tells every page of the change, this one too. */
function Drain({ agent }) {
  const [problem, setProblem] = useState("");
  const turn = () => api.drainAgent(agent.id, !agent.draining).then(() => setProblem(""), (error) => setProblem(error.message));
  return html`<button class="quiet" aria-label=${`${agent.draining ? "Let take jobs" : "Drain"} ${agent.name}`} title=${agent.draining ? "let it take jobs again" : "it finishes what it runs and takes nothing new"} onClick=${turn}>${agent.draining ? "take jobs again" : "drain"}</button>${problem ? html`<span class="bad" role="alert">${problem}</span>` : null}`;
}

/** @param {{agents: object[], jobs: object[], mayAct: boolean}} props */
export function AgentCards({ agents, jobs, mayAct }) {
  const shown = agents.filter((agent) => !agent.left);
  return html`<section class="agents" aria-label="Agents">${shown.map((agent) => {
    const { word, kind } = state(agent);
    const taken = jobs.filter((job) => job.agent === agent.name && ["claimed", "running"].includes(job.state)).length;
    const gpus = Array.isArray(agent.gpus) ? agent.gpus.length : Number(agent.gpus) || 0;
    return html`<article key=${agent.id} class="card agent">
      <h2><${Name} text=${agent.name} most=${28} /><span class=${`status ${kind}`} title=${`heard from ${ago(number(agent.last_seen), now.value)}`}><i class="dot"></i>${word}</span></h2>
      <${Slots} total=${agent.slots} taken=${taken} />
      <p class="dim">${agent.cpus} ${agent.cpus === 1 ? "CPU" : "CPUs"} · ${gpus ? `${gpus} ${gpus === 1 ? "GPU" : "GPUs"}` : "no GPU"}${agent.memory_mb ? ` · ${bytes(agent.memory_mb * MEBIBYTE)}` : ""}${mayAct && agent.alive ? html` · <${Drain} agent=${agent} />` : null}</p>
    </article>`;
  })}</section>`;
}
