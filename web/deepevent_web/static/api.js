/**
 * Every HTTP request of the dashboard. The only module that calls fetch().
 * It knows paths, headers and the shape of errors, and nothing of what is shown.
 */
import { placed } from "./base.js";

const BASE = placed("/api/v1");
let unauthorised = () => {};

/** An RFC 9457 answer of the server, or a server that did not answer (`status` 0). */
export class Problem extends Error {
  /** @param {{status: number, title?: string, detail?: string, errors?: {field: string, detail: string}[]}} body */
  constructor(body) {
    super(body.detail || body.title || "The request failed");
    this.status = body.status;
    this.title = body.title || "";
    this.errors = body.errors || [];
    this.body = body;
  }
}

/**
 * Set what happens when the session is missing or over.
 * @param {() => void} handler
 */
export function onUnauthorised(handler) {
  unauthorised = handler;
}

async function request(method, path, { body, accept = "application/json", signal } = {}) {
  const headers = { Accept: accept };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-CSRF-Token"] = document.querySelector('meta[name="csrf-token"]').content;
  let answer;
  try {
    answer = await fetch(BASE + path, {
      method,
      headers,
      signal,
      credentials: "same-origin",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    const again = method === "GET" || path === "/curves" ? " The page tries again by itself." : "";
    throw new Problem({ status: 0, title: "No answer", detail: `The server does not answer.${again}` });
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({ title: answer.statusText }));
  const error = new Problem({ ...problem, status: answer.status });
  if (answer.status === 401 && path !== "/session") unauthorised();
  if (answer.status === 401 && path === "/session" && method === "GET") unauthorised();
  throw error;
}

const json = async (...args) => (await request(...args)).json();

function query(values) {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== "") search.set(key, value);
  }
  const text = search.toString();
  return text ? `?${text}` : "";
}

const id = encodeURIComponent;

/** @returns {Promise<{role: string, name: string, expires: number}>} who is signed in */
export const getSession = () => json("GET", "/session");
/** Turn a one-time code into a session cookie. @param {string} code */
export const signIn = (code) => request("POST", "/session", { body: { code } });
/** The newest lines of the audit log first. @param {{limit?: number, before?: number}} values */
export const getAudit = (values) => json("GET", `/audit${query(values)}`);
/** End the session. */
export const signOut = () => request("DELETE", "/session");
/** @returns {Promise<{code: string, url: string, expires: number}>} a new sign-in link */
export const newSignInLink = () => json("POST", "/session/codes");

/**
 * One page of the run list.
 * @param {{filter?: string, sort?: string, limit?: number, offset?: number, among?: string, metrics?: string}} values
 */
export const listRuns = (values, signal) => json("GET", `/runs${query(values)}`, { signal });
/** @param {string} run */
export const getRun = (run) => json("GET", `/runs/${id(run)}`);
/** @param {string} run @param {object} changes */
export const patchRun = (run, changes) => json("PATCH", `/runs/${id(run)}`, { body: changes });
/**
 * Change many runs, all or none.
 * @param {object[]} changes of each run its id and any of name, tags, notes, group, archived, trashed
 */
export const changeRuns = (changes) => json("PATCH", "/runs", { body: { changes } });
/** Delete a run for good. @param {string} run */
export const deleteRun = (run) => request("DELETE", `/runs/${id(run)}`);
/**
 * Groups of runs with mean and spread.
 * @param {{by: string, metrics: string[], filter?: string, among?: string}} values
 */
export const groupRuns = (values, signal) =>
  json("GET", `/groups${query({ ...values, metrics: JSON.stringify(values.metrics) })}`, { signal });
/** What a filter can name. @returns {Promise<{config: string[], summary: string[], metrics: string[], tags: string[], projects: string[], groups: string[]}>} */
export const listNames = () => json("GET", "/names");
/** Values that a field has. @param {string} field */
export const listValues = (field, signal) => json("GET", `/values${query({ of: field })}`, { signal });
/** @param {string} run */
export const stopRun = (run) => request("POST", `/runs/${id(run)}/stop`);
/** @param {string} run */
export const getMetrics = (run) => json("GET", `/runs/${id(run)}/metrics`);
/** @param {string[]} runs */
export const compareRuns = (runs) => json("GET", `/compare${query({ runs: runs.join(",") })}`);
/** @param {string} run @param {{kind?: string, name?: string, blob?: string, until?: number, order?: "newest", limit?: number, cursor?: string}} values */
export const getMedia = (run, values, signal) => json("GET", `/runs/${id(run)}/media${query(values)}`, { signal });
/** @param {string} run @param {{after?: number, limit?: number, search?: string}} values */
export const getLogs = (run, values, signal) => json("GET", `/runs/${id(run)}/logs${query(values)}`, { signal });
/** @param {string} run */
/** Alerts of all runs, newest first. */
export const getAllAlerts = (limit) => json("GET", `/alerts?limit=${limit}`);
export const getAlertRules = () => json("GET", "/alert-rules");
export const createAlertRule = (rule) => json("POST", "/alert-rules", { body: rule });
export const deleteAlertRule = (rule) => request("DELETE", `/alert-rules/${rule}`);
export const getWebhooks = () => json("GET", "/webhooks");
export const createWebhook = (webhook) => json("POST", "/webhooks", { body: webhook });
export const deleteWebhook = (webhook) => request("DELETE", `/webhooks/${webhook}`);
export const getAlerts = (run) => json("GET", `/runs/${id(run)}/alerts`);
/** The content of an uploaded file as text. @param {string} sha256 */
export const getText = async (sha256, signal) => (await request("GET", `/blobs/${id(sha256)}`, { accept: "*/*", signal })).text();
/** @param {string} run */
export const getArtifacts = (run) => json("GET", `/runs/${id(run)}/artifacts`);

/** Saved views by name. */
export const listViews = () => json("GET", "/views");
/** @param {{name: string, address: string}} view @returns {Promise<object>} the View */
export const createView = (view) => json("POST", "/views", { body: view });
/** @param {string} view @param {{name?: string, address?: string}} changes */
export const patchView = (view, changes) => json("PATCH", `/views/${id(view)}`, { body: changes });
/** @param {string} view */
export const deleteView = (view) => request("DELETE", `/views/${id(view)}`);

/** The newest jobs first. @param {{state?: string, limit?: number, before?: number}} values */
export const listJobs = (values) => json("GET", `/jobs${query(values)}`);
/** One job with its attempts and history. @param {number} job */
export const getJob = (job) => json("GET", `/jobs/${id(job)}`);
/** @param {number} job @param {{priority: number}} changes @returns {Promise<object>} the Job */
export const patchJob = (job, changes) => json("PATCH", `/jobs/${id(job)}`, { body: changes });
/** @param {object} job recipe, parameters and what else docs/api.md names @returns {Promise<object>} the Job */
export const createJob = (job) => json("POST", "/jobs", { body: job });
/** @param {number} job @returns {Promise<object>} the Job */
export const stopJob = (job) => json("POST", `/jobs/${id(job)}/stop`);
/** @param {number} job @returns {Promise<object>} the Job */
export const requeueJob = (job) => json("POST", `/jobs/${id(job)}/requeue`);
/** @param {boolean} paused */
export const setPaused = (paused) => json("PUT", "/queue", { body: { paused } });
/** The newest sweeps first. @param {{limit?: number, before?: number}} values */
export const listSweeps = (values) => json("GET", `/sweeps${query(values)}`);
/** One sweep with its trials. @param {string|number} sweep */
export const getSweep = (sweep) => json("GET", `/sweeps/${id(sweep)}`);
/** @param {string|number} sweep @returns {Promise<{importance: Record<string, number>}>} */
export const getImportance = (sweep) => json("GET", `/sweeps/${id(sweep)}/importance`);
/** @param {object} body as docs/api.md names @returns {Promise<object>} the Sweep */
export const createSweep = (body) => json("POST", "/sweeps", { body });
/** @param {number} sweep @param {{n_trials?: number, concurrency?: number}} changes */
export const patchSweep = (sweep, changes) => json("PATCH", `/sweeps/${id(sweep)}`, { body: changes });
/** @param {number} sweep */
export const stopSweep = (sweep) => json("POST", `/sweeps/${id(sweep)}/stop`);
/** @param {number} sweep @param {object} parameters @returns {Promise<object>} the Trial */
export const addTrial = (sweep, parameters) => json("POST", `/sweeps/${id(sweep)}/trials`, { body: { parameters } });
/** @param {string} agent @param {boolean} draining whether it shall take no new jobs @returns {Promise<object>} the Agent */
export const drainAgent = (agent, draining) => json("PATCH", `/agents/${id(agent)}`, { body: { draining } });
export const listAgents = () => json("GET", "/agents");
export const listRecipes = () => json("GET", "/recipes");

/** Where an uploaded file is shown from. @param {string} sha256 @param {string} [mime] */
export const blobURL = (sha256, mime) => `${BASE}/blobs/${id(sha256)}${query({ type: mime })}`;

/** Where a file is downloaded from. @param {string} sha256 @param {string} name what the browser shall call it */
export const downloadURL = (sha256, name) => `${BASE}/blobs/${id(sha256)}${query({ name: name.split(/[\\/]/).pop().replace(/^\.+/, "") || sha256 })}`;

/**
 * Read many curves at once as typed arrays.
 * @param {{queries: {run: string, metric: string, rank?: number}[], x: string, from?: number, to?: number,
 *          pixels?: number, smoothing?: {kind: "ema", weight: number}|{kind: "mean"|"median", window: number}}} question
 * @returns {Promise<{revision: number, curves: object[]}>} each curve with its columns as Float64Arrays by name
 */
export async function readCurves(question) {
  const answer = await request("POST", "/curves", { body: question, accept: "application/octet-stream" });
  const buffer = await answer.arrayBuffer();
  const headerLength = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerLength)));
  let offset = Math.ceil((4 + headerLength) / 8) * 8;
  for (const curve of header.curves) {
    curve.data = {};
    for (const column of curve.columns) {
      curve.data[column] = new Float64Array(buffer, offset, curve.length);
      offset += curve.length * 8;
    }
  }
  return header;
}

/**
 * Points as they were logged, in order of arrival.
 * @param {string} run @param {string} metric @param {number} rank @param {number} after leave out so many
 * @returns {Promise<{step: BigInt64Array, time: Float64Array, value: Float64Array}>}
 */
export async function readPoints(run, metric, rank, after) {
  const answer = await request("GET", `/runs/${id(run)}/points${query({ metric, rank, after })}`, { accept: "application/octet-stream" });
  const buffer = await answer.arrayBuffer();
  const headerLength = new DataView(buffer).getUint32(0, true);
  const { length } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerLength)));
  const offset = Math.ceil((4 + headerLength) / 8) * 8;
  return {
    step: new BigInt64Array(buffer, offset, length),
    time: new Float64Array(buffer, offset + 8 * length, length),
    value: new Float64Array(buffer, offset + 16 * length, length),
  };
}
