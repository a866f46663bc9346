/** The Jobs page: agents and their slots, the queue, and a form for a new job. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api.js";
import { count } from "../format.js";
import { param, setParams } from "../router.js";
import { followQueue, loadOlder, loadQueue, queue } from "../queue.js";
import { session } from "../state.js";
import { followSweeps, sweeps } from "../sweeps.js";
import { AgentCards } from "./agent_cards.js";
import { Empty, Failed, Waiting } from "./empty.js";
import { JobForm } from "./job_form.js";
import { JobTable } from "./job_table.js";
import { SweepForm } from "./sweep_form.js";
import { SweepList } from "./sweep_list.js";

const FIRST_AGENT = "deepevent agent --slots 2 --recipes .";
const FIRST_JOB = "deepevent submit train-det12 learning_rate=0.05";

function totals(jobs) {
  const n = (...states) => jobs.filter((job) => states.includes(job.state)).length;
  return `${count(n("running", "claimed"))} running · ${count(n("queued"))} queued`;
}

/** @returns the page at `/jobs` */
export function JobsPage() {
  const [form, setForm] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(followQueue, []);
  useEffect(followSweeps, []);
  const { jobs, agents, recipes, paused, next, loading, error } = queue.value;
  const mayAct = session.value?.role === "operator";
  const fail = (why) => setProblem(why.message);
  const pause = () => api.setPaused(!paused).then(() => { queue.value = { ...queue.value, paused: !paused }; setProblem(""); }, fail);
  const older = () => loadOlder().then(() => setProblem(""), fail);
  const { rows, available } = sweeps.value;
  const close = () => setForm(null);
  const open = (kind, from = null) => {
    setForm({ kind, from });
    document.querySelector(".jobs-page").scrollTop = 0;
  };
  const asked = param("clone", null);
  useEffect(() => {
    if (asked === null || loading) return;
    setParams({ clone: null });
    api.getJob(asked).then((job) => open("job", job), fail);
  }, [asked, loading]);
  if (loading) return html`<main class="content"><${Waiting} what="jobs" /></main>`;
  if (error && jobs.length === 0) return html`<main class="content"><${Failed} error=${error} retry=${loadQueue} /></main>`;

  const alive = agents.some((agent) => agent.alive && !agent.left);
  return html`
    <header class="bar">
      <h1>Jobs</h1>
      <span class="bar-count">${totals(jobs)}</span>
      ${paused ? html`<span class="status warn" title="No job begins until the queue goes on."><i class="dot"></i>queue paused</span>` : null}
      <span class="grow"></span>
      ${mayAct ? html`<button class="button" title=${paused ? "let waiting jobs begin" : "no job begins while the queue is paused; those that run go on"} onClick=${pause}>${paused ? "Go on" : "Pause queue"}</button>` : null}
      ${mayAct && recipes.length && available ? html`<button class="button" aria-expanded=${form?.kind === "sweep"} title="search over a recipe's parameters" onClick=${() => open("sweep")}>New sweep</button>` : null}
      ${mayAct && recipes.length ? html`<button class="button primary" aria-expanded=${form?.kind === "job"} onClick=${() => open("job")}>New job</button>` : null}
    </header>
    <main class="content jobs-page">
      ${problem ? html`<p class="problem" role="alert">${problem}</p>` : null}
      ${alive ? null : html`<${Empty} title="No agent is there" command=${FIRST_AGENT}>Agents take jobs from the queue and run them. Start one on any machine that reaches this server, with the folder of a deepevent.toml.<//>`}
      ${agents.length ? html`<${AgentCards} agents=${agents} jobs=${jobs} mayAct=${mayAct} />` : null}
      ${form?.kind === "job" && recipes.length ? html`<${JobForm} key=${form.from?.id ?? "new"} recipes=${recipes} jobs=${jobs} from=${form.from} onDone=${close} />` : null}
      ${form?.kind === "sweep" && recipes.length ? html`<${SweepForm} recipes=${recipes} jobs=${jobs} onDone=${close} />` : null}
      ${rows.length ? html`<${SweepList} rows=${rows} />` : null}
      ${jobs.length ? html`<${JobTable} jobs=${jobs} mayAct=${mayAct} onClone=${(job) => open("job", job)} />` : null}
      ${!jobs.length && alive && !form ? html`<${Empty} title="No job yet" command=${FIRST_JOB}>Press <b>New job</b>, or queue one from a terminal.<//>` : null}
      ${next ? html`<button class="button" onClick=${older}>Older jobs</button>` : null}
    </main>
  `;
}
