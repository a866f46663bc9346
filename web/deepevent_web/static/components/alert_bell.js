/** The alerts of all runs, newest first, with what came since the list was last opened; and browser notifications. */
import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import { ago } from "../format.js";
import { alerts, markSeen, startAlerts, unseen } from "../alerts.js";
import { now } from "../state.js";
import { Popover } from "./popover.js";

function Entry({ alert }) {
  return html`<li class=${`alert-entry ${alert.level}`}>
    <a href=${`/runs/${alert.run}`}><b>${alert.title}</b>${alert.text ? html`<span>${alert.text}</span>` : null}<span class="dim">${alert.run_name ? `${alert.run_name}, ` : ""}${ago(alert.time, now.value)}</span></a>
  </li>`;
}

/** @returns the button with its list */
export function AlertBell() {
  useEffect(startAlerts, []);
  const n = unseen.value;
  const text = html`Alerts${n ? html`<span class="badge">${n > 99 ? "99+" : n}</span>` : null}`;
  return html`<${Popover} text=${text} quiet wide title="Alerts" label=${n ? `Alerts, ${n} new` : "Alerts"}>
    ${() => html`<${List} />`}
  <//>`;
}

function List() {
  useEffect(() => markSeen(), [alerts.value]);
  return html`<h2 class="popover-title">Alerts</h2>
    ${alerts.value.length
      ? html`<ul class="alert-list">${alerts.value.map((alert) => html`<${Entry} key=${alert.id} alert=${alert} />`)}</ul>`
      : html`<p class="dim">None yet. Scripts raise them with <code>run.alert(…)</code>, and <a href="/settings">alert rules</a> do.</p>`}`;
}
