/** A run's alerts, the newest first; new ones come by the socket. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { getAlerts } from "../api.js";
import { ago, moment, number } from "../format.js";
import { onAlerts, onReconnect } from "../live.js";
import { now } from "../state.js";
import { Empty, Failed, Waiting } from "./empty.js";

const KIND = { error: "bad", warning: "warn", info: "plain" };

/** All alerts of a run. @param {string} id */
export function useAlerts(id) {
  const [state, setState] = useState({ alerts: null, error: null });
  useEffect(() => {
    const load = () => getAlerts(id).then(({ alerts }) => setState({ alerts, error: null }), (error) => setState((old) => ({ ...old, error })));
    load();
    const deaf = [onAlerts((news) => news.some((one) => one.run === id) && load()), onReconnect(load)];
    return () => deaf.forEach((end) => end());
  }, [id]);
  return state;
}

/** @param {{alerts: object[]|null, error: Error|null}} props */
export function Alerts({ alerts, error }) {
  if (error && !alerts) return html`<${Failed} error=${error} />`;
  if (!alerts) return html`<${Waiting} what="alerts" />`;
  if (!alerts.length) return html`<${Empty} title="No alerts in this run" command=${'run.alert("plateau", "no progress for 5 epochs", level="warning")'}>What a script or the server wants somebody to know stands here.<//>`;
  return html`<ol class="alerts">${[...alerts].reverse().map((one) => html`<li key=${one.id} class="card">
    <div class="alert-head"><h2><span class=${`status ${KIND[one.level] || "plain"}`}><i class="dot"></i>${one.level}</span> ${one.title}</h2><time class="dim" title=${moment(number(one.time))}>${ago(number(one.time), now.value)}</time></div>
    ${one.text ? html`<p>${one.text}</p>` : null}
  </li>`)}</ol>`;
}
