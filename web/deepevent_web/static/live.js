/**
 * The socket: watches runs, hands what arrives to state and curves, and says how the connection is.
 * WebSocket only. After a reconnect the server names what changed since our revision, and only that is fetched.
 */
import { io } from "socket.io-client";
import * as curves from "./curves.js";
import { getSession } from "./api.js";
import { placed } from "./base.js";
import { goToSignIn } from "./router.js";
import { applyPoints, applyRuns, catchUp, loadRuns } from "./run_list.js";
import { mergeSparks } from "./sparks.js";
import { connection, lastPoint, opened, openRun } from "./state.js";

/** Loopback: page and script share one clock, so a point's own time tells how long it took. */
const SAME_CLOCK = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
const MOST_WATCHED = 200;

let socket = null;
let watched = [];
let revision = null;
let firstWatch = () => {};
const mediaListeners = new Set();
const logListeners = new Set();
const alertListeners = new Set();
const queueListeners = new Set();
const reconnectListeners = new Set();

const seconds = () => Date.now() / 1000;

/** Open the socket; it then reconnects by itself for as long as the page is open. */
export function connect() {
  if (socket) return;
  curves.holdUntil(new Promise((resolve) => (firstWatch = resolve)));
  socket = io({ path: placed("/socket.io"), transports: ["websocket"], reconnectionDelay: 300, reconnectionDelayMax: 4000, randomizationFactor: 0.5 });
  socket.on("connect", () => {
    connection.value = { phase: "live", since: seconds() };
    sendWatch(true);
    for (const listener of reconnectListeners) listener(); // at the first time too: what happened since the page loaded was told to nobody
  });
  socket.on("disconnect", (reason) => {
    connection.value = { phase: "lost", since: seconds() };
    if (reason === "io server disconnect") socket?.connect(); // the client comes back by itself from all but this
  });
  socket.on("closing", ({ reason }) => {
    if (reason !== "signed out") return;
    disconnect();
    goToSignIn();
  });
  socket.on("resync", (event) => {
    saw(event.revision);
    loadRuns({ quiet: true });
    for (const id of opened.value.keys()) openRun(id).catch(() => {}); // a run that is gone keeps what is shown of it
    curves.refetchAll();
    for (const listener of reconnectListeners) listener();
  });
  socket.on("connect_error", () => {
    if (connection.value.phase !== "lost") connection.value = { phase: "lost", since: seconds() };
    if (!socket.active) getSession().catch(() => {}); // refused by the server: a session that is over leads to sign-in
  });
  socket.on("points", takePoints);
  socket.on("run", (event) => {
    saw(event.revision);
    applyRuns(event);
  });
  // These go to everybody and say nothing about points: the cursor of what is watched stays where it is.
  for (const name of ["job", "agents", "sweep"]) {
    socket.on(name, (event) => {
      for (const listener of queueListeners) listener(name, event);
    });
  }
  socket.on("logs", (event) => {
    for (const listener of logListeners) listener(event.logs);
  });
  socket.on("alert", (event) => {
    for (const listener of alertListeners) listener(event.alerts);
  });
  socket.on("media", (event) => {
    saw(event.revision);
    for (const listener of mediaListeners) listener(event.media);
  });
}

/** Close the socket for good (signed out). */
export function disconnect() {
  socket?.disconnect();
  socket = null;
}

/**
 * Watch these runs, and nothing else, from now on.
 * @param {string[]} runs
 */
export function watch(runs) {
  const next = runs.slice(0, MOST_WATCHED);
  if (next.join() === watched.join()) return;
  curves.forget(watched.filter((id) => !next.includes(id)));
  watched = next;
  if (socket?.connected) curves.holdUntil(sendWatch());
}

/** Hear of jobs, agents and sweeps. @param {(name: "job"|"agents"|"sweep", event: object) => void} listener @returns {() => void} */
export function onQueue(listener) {
  queueListeners.add(listener);
  return () => queueListeners.delete(listener);
}

/** Hear of new media of watched runs. @param {(media: object[]) => void} listener @returns {() => void} */
export function onMedia(listener) {
  mediaListeners.add(listener);
  return () => mediaListeners.delete(listener);
}

/** Hear how many lines watched runs have printed. @param {(logs: {run: string, n: number}[]) => void} listener @returns {() => void} */
export function onLogs(listener) {
  logListeners.add(listener);
  return () => logListeners.delete(listener);
}

/** Hear of alerts of all runs. @param {(alerts: object[]) => void} listener @returns {() => void} */
export function onAlerts(listener) {
  alertListeners.add(listener);
  return () => alertListeners.delete(listener);
}

/** Hear that what was loaded may be old: the connection was made, or too much has changed. @param {() => void} listener @returns {() => void} */
export function onReconnect(listener) {
  reconnectListeners.add(listener);
  return () => reconnectListeners.delete(listener);
}

function saw(newest) {
  if (newest !== undefined && (revision === null || newest > revision)) revision = newest;
}

/** @param {boolean} [anew] whether the socket has just been opened @returns {Promise<void>} fulfilled once the server watches */
function sendWatch(anew = false) {
  const after = revision;
  return new Promise((resolve) => {
    socket.emit("watch", { runs: watched, metrics: null, after }, (answer) => {
      resolve();
      firstWatch();
      if (!answer || answer.revision === undefined) return;
      saw(answer.revision);
      if (anew) catchUp(answer.revision);
      // Curves that were fetched before this watch began may miss points: those that changed are read again.
      if (after !== null) curves.refetch(answer.changed || []);
      else curves.refetchAll();
    });
  });
}

function takePoints(header, data) {
  saw(header.revision);
  // A view over the bytes as they came, copied only where they are not aligned for float64.
  const buffer = data instanceof ArrayBuffer ? data : data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
  const numbers = new Float64Array(buffer, 0, Math.floor(buffer.byteLength / 8));
  curves.merge(header.series, numbers);
  applyPoints(header.series, numbers);
  mergeSparks(header.series, numbers);
  let newest = 0;
  let offset = 0;
  for (const { n } of header.series) {
    for (let i = offset + n; i < offset + 2 * n; i += 1) newest = Math.max(newest, numbers[i]);
    offset += 3 * n;
  }
  const delay = Math.round((seconds() - newest) * 1000);
  lastPoint.value = { at: seconds(), delay: SAME_CLOCK && delay >= 0 && delay < 5000 ? delay : null };
}
