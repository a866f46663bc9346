/**
 * Groups of runs: for each the number of runs and, of every metric column, mean ± deviation over its runs.
 * A group opens to its runs, which the server finds by the group's own filter.
 */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { groupRuns, listRuns } from "../api.js";
import { columns, metricColumn } from "../columns.js";
import { count, cut, plain, value } from "../format.js";
import { onReconnect } from "../live.js";
import { param, setParams } from "../router.js";
import { list, shown } from "../state.js";
import { Failed, Waiting } from "./empty.js";
import { Name } from "./name.js";
import { Row } from "./run_row.js";
import { Swatch } from "./swatch.js";

const MOST_OPENED = 200;
const MOST_DRAWN = 20;
const REFRESH_MS = 3000;

function useGroups(by, metrics) {
  const [state, setState] = useState({ answer: null, error: null });
  const filter = param("filter");
  const among = param("among", "active");
  const key = JSON.stringify([by, metrics, filter, among]);
  // Numbers that move in the list (a total, a finished run) are a reason to look again, but not at every point.
  const rows = list.value.rows;
  const [moment, setMoment] = useState(0);
  useEffect(() => {
    const timer = setTimeout(() => setMoment((n) => n + 1), REFRESH_MS);
    return () => clearTimeout(timer);
  }, [rows]);
  useEffect(() => {
    const stop = new AbortController();
    const load = () =>
      groupRuns({ by, metrics, filter, among }, stop.signal).then(
        (answer) => setState({ answer, error: null }),
        (error) => error.name !== "AbortError" && setState((old) => ({ ...old, error })),
      );
    load();
    const deaf = onReconnect(load);
    return () => {
      deaf();
      stop.abort();
    };
  }, [key, moment]);
  return state;
}

function Members({ group, colours, chosen }) {
  const [runs, setRuns] = useState(null);
  const filter = param("filter");
  useEffect(() => {
    const stop = new AbortController();
    const both = filter ? `(${filter}) and ${group.filter}` : group.filter;
    listRuns({ filter: both, sort: param("sort"), among: param("among", "active"), limit: MOST_OPENED }, stop.signal).then((answer) => setRuns(answer.runs), () => {});
    return () => stop.abort();
  }, [group.filter, group.n, filter, param("sort")]);
  if (runs === null) return html`<tr class="inside"><td class="run-name dim" colspan=${chosen.length + 2}>loading …</td></tr>`;
  const known = new Map(list.value.rows.map((run) => [run.id, run]));
  return html`${runs.map((run, i) => html`<${Row} key=${run.id} run=${known.get(run.id) || run} colour=${colours.get(run.id)} chosen=${[{ id: "", kind: "field", key: "status" }, ...chosen]} index=${i} inside />`)}`;
}

function Spread({ found }) {
  if (!found || found.mean === null) return html`<td class="number dim">–</td>`;
  const title = `${count(found.n)} runs, ${value(found.min)} to ${value(found.max)}${found.n_nonfinite ? `; ${found.n_nonfinite} not finite` : ""}`;
  return html`<td class="number" title=${title}>${value(found.mean)}${found.deviation === null ? null : html`<span class="deviation"> ± ${value(found.deviation)}</span>`}${found.n_nonfinite ? html` <span class="bad">(${found.n_nonfinite} NaN)</span>` : null}</td>`;
}

function GroupRow({ group, colours, chosen, open, onOpen }) {
  const text = group.key === null ? "none" : plain(group.key);
  const drawn = group.runs.slice(0, MOST_DRAWN);
  const on = drawn.length > 0 && drawn.every((id) => shown.value.includes(id));
  const draw = () => {
    const others = shown.value.filter((id) => !drawn.includes(id));
    const ids = on ? others : [...others, ...drawn];
    setParams({ show: ids.length ? ids.join(",") : "none" });
  };
  const statuses = Object.entries(group.statuses).map(([status, n]) => `${n} ${status}`).join(", ");
  return html`<tr class=${`group-row ${on ? "on" : ""}`}>
    <td class="run-name"><button class="mark" aria-pressed=${on} aria-label=${`${on ? "Hide" : "Draw"} the runs of ${text}`} onClick=${draw}><${Swatch} colour=${on ? colours.get(drawn[0]) : null} off=${!on} /></button>
      <button class="group-name" aria-expanded=${open} onClick=${onOpen}><span class="caret" aria-hidden="true">${open ? "▾" : "▸"}</span><${Name} text=${text} most=${28} /></button></td>
    <td class="number" title=${statuses}>${count(group.n)}</td>
    ${chosen.map((column) => html`<${Spread} key=${column.id} found=${group.metrics.find((one) => one.metric === column.key && one.what === column.stored)} />`)}
  </tr>`;
}

/** @param {{by: string, colours: Map<string, object>}} props */
export function GroupTable({ by, colours }) {
  const [open, setOpen] = useState(new Set());
  const [order, setOrder] = useState(null);
  const chosen = columns(list.value.rows).filter((column) => column.kind === "metric");
  const metrics = chosen.map((column) => metricColumn(column.key, column.stored));
  const { answer, error } = useGroups(by, metrics);
  if (error && !answer) return html`<${Failed} error=${error} />`;
  if (!answer) return html`<${Waiting} what="groups" />`;
  const flip = (name) => setOrder(order?.name === name ? { name, down: !order.down } : { name, down: false });
  const keyOf = { n: (group) => group.n };
  for (const column of chosen) keyOf[column.id] = (group) => group.metrics.find((one) => one.metric === column.key && one.what === column.stored)?.mean ?? null;
  const groups = order ? [...answer.groups].sort((a, b) => compare(keyOf[order.name]?.(a) ?? null, keyOf[order.name]?.(b) ?? null, order.down)) : answer.groups;
  const head = (name, text) => html`<th scope="col" class="number" aria-sort=${order?.name === name ? (order.down ? "descending" : "ascending") : "none"}><button onClick=${() => flip(name)}>${text}<span class="arrow" aria-hidden="true">${order?.name === name ? (order.down ? "↓" : "↑") : ""}</span></button></th>`;
  const toggle = (key) => setOpen((old) => new Set(old.has(key) ? [...old].filter((one) => one !== key) : [...old, key]));
  return html`<div class="table-scroll" tabindex="0" role="region" aria-label="Groups of runs">
    <table class="runs groups">
      <thead><tr><th scope="col"><button onClick=${() => setOrder(null)}>${cut(by, 30)}</button></th>${head("n", "Runs")}${chosen.map((column) => head(column.id, html`${cut(column.label, 20)} <small>${column.what}, mean ± sd</small>`))}</tr></thead>
      <tbody>${groups.map((group) => {
        const key = JSON.stringify(group.key);
        return html`<${GroupRow} key=${key} group=${group} colours=${colours} chosen=${chosen} open=${open.has(key)} onOpen=${() => toggle(key)} />${open.has(key) ? html`<${Members} key=${`${key} runs`} group=${group} colours=${colours} chosen=${chosen} />` : null}`;
      })}</tbody>
    </table>
    <p class="table-foot">${count(answer.n_groups)} ${answer.n_groups === 1 ? "group" : "groups"} of ${count(answer.n_runs)} runs${answer.truncated ? ", the newest" : ""}${answer.n_groups > answer.groups.length ? `; the first ${answer.groups.length} are shown` : ""} · sd: sample deviation over a group's runs</p>
  </div>`;
}

function compare(a, b, down) {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return down ? b - a : a - b;
}
