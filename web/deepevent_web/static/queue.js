/**
 * The training server's queue as the page knows it: jobs, agents, recipes, and whether it is paused.
 * Loaded while the Jobs page is open, then kept up by the socket. It draws nothing.
 */
import { signal } from "@preact/signals";
import * as api from "./api.js";
import { onQueue, onReconnect } from "./live.js";

const NEWEST = 100;
const WORKING = "queued,claimed,running";
const MOST_WORKING = 200;

/** jobs: newest first; next: where older ones begin, or null. */
export const queue = signal({ jobs: [], agents: [], recipes: [], paused: false, next: null, loading: true, error: null });

/** States in which a job is at work or will be. */
export const isWorking = (job) => WORKING.split(",").includes(job.state);

function join(before, news) {
  const byId = new Map(before.map((job) => [job.id, job]));
  for (const job of news) byId.set(job.id, job);
  return [...byId.values()].sort((a, b) => Number(b.id) - Number(a.id));
}

const update = (changes) => (queue.value = { ...queue.value, ...changes });

/** Load all anew. */
export async function loadQueue() {
  try {
    const [newest, working, { agents }, { recipes }] = await Promise.all([
      api.listJobs({ limit: NEWEST }), api.listJobs({ state: WORKING, limit: MOST_WORKING }), api.listAgents(), api.listRecipes(),
    ]);
    update({ jobs: join(working.jobs, newest.jobs), agents, recipes, paused: newest.paused, next: newest.next, loading: false, error: null });
  } catch (error) {
    update({ loading: false, error });
  }
}

/** Load the jobs before the oldest of the list. */
export async function loadOlder() {
  const older = await api.listJobs({ limit: NEWEST, before: queue.value.next });
  update({ jobs: join(queue.value.jobs, older.jobs), next: older.next });
}

/** Put a job that an answer brought in its place. @param {object} job */
export const applyJob = (job) => update({ jobs: join(queue.value.jobs, [job]) });

/** Follow the queue. @returns {() => void} ends it */
export function followQueue() {
  loadQueue();
  const deaf = onQueue((name, event) => {
    if (name === "job") return update({ jobs: join(queue.value.jobs, event.jobs) });
    if (name !== "agents") return undefined;
    update({ agents: event.agents, paused: event.paused });
    return api.listRecipes().then(({ recipes }) => update({ recipes }), () => {}); // the next event asks again
  });
  const deafToo = onReconnect(loadQueue);
  return () => {
    deaf();
    deafToo();
  };
}
