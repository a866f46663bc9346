/**
 * Alerts of all runs: the newest from the server, then what the socket brings; which were seen, kept by this browser;
 * and a notification of the browser for each new one, where it is allowed.
 */
import { computed, signal } from "@preact/signals";
import * as api from "./api.js";
import { BASE } from "./base.js";
import * as live from "./live.js";
import { opened, list } from "./state.js";

const SEEN = "deepevent.alerts.seen";
const NOTIFY = "deepevent.alerts.notify";
const MOST = 50;

/** The newest alerts, newest first. */
export const alerts = signal([]);
const seen = signal(Number(localStorage.getItem(SEEN)) || 0);
/** How many came since the list was last open. */
export const unseen = computed(() => alerts.value.filter(({ id }) => id > seen.value).length);
/** Whether this browser notifies: "on", "off", or "refused" by the browser. */
export const notifying = signal(state());

function state() {
  if (!("Notification" in globalThis) || Notification.permission === "denied") return "refused";
  return Notification.permission === "granted" && localStorage.getItem(NOTIFY) === "on" ? "on" : "off";
}

/** Ask the browser for notifications, or let them be. @param {boolean} wanted */
export async function setNotifying(wanted) {
  if (wanted && "Notification" in globalThis && Notification.permission === "default") await Notification.requestPermission();
  localStorage.setItem(NOTIFY, wanted ? "on" : "off");
  notifying.value = state();
}

/** What is listed now is no longer new. */
export function markSeen() {
  const newest = Math.max(0, ...alerts.value.map(({ id }) => id));
  if (newest <= seen.value) return;
  seen.value = newest;
  localStorage.setItem(SEEN, String(newest));
}

function add(news) {
  const known = new Map(alerts.value.map((alert) => [alert.id, alert]));
  const fresh = news.filter(({ id }) => !known.has(id));
  for (const alert of news) known.set(alert.id, { ...known.get(alert.id), ...alert });
  alerts.value = [...known.values()].sort((a, b) => b.id - a.id).slice(0, MOST);
  return fresh;
}

function notify(alert) {
  if (notifying.value !== "on") return;
  const run = opened.value.get(alert.run) || list.value.rows.find(({ id }) => id === alert.run);
  const note = new Notification(alert.title, { body: [run?.name, alert.text].filter(Boolean).join(": "), tag: `deepevent-${alert.id}`, icon: `${BASE}/static/favicon.svg` });
  note.onclick = () => {
    focus();
    location.assign(`${BASE}/runs/${alert.run}`);
  };
}

async function load() {
  try {
    add((await api.getAllAlerts(MOST)).alerts);
  } catch {
    // Without a connection the bell shows what it has; it is filled when the socket is back.
  }
}

/** Load, and follow the socket. @returns {() => void} stops following */
export function startAlerts() {
  load();
  const stops = [live.onAlerts((news) => add(news).forEach(notify)), live.onReconnect(load)];
  return () => stops.forEach((stop) => stop());
}
