/** The newest sweeps, on the Jobs page. */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { ago, number, value } from "../format.js";
import { now } from "../state.js";
import { Name } from "./name.js";
import { totals } from "./trial_table.js";

const FEW = 5;

export const SWEEP_KIND = { running: "ok", completed: "plain", stopped: "plain", failed: "bad" };

/** @param {{rows: object[]}} props */
export function SweepList({ rows }) {
  const [all, setAll] = useState(false);
  const shown = all ? rows : rows.filter((row, i) => i < FEW || row.state === "running");
  const more = rows.length - shown.length;
  return html`<section class="card jobs-scroll" aria-label="Sweeps"><table class="plain jobs">
    <thead><tr><th>Sweep</th><th>State</th><th>Trials</th><th class="number">Best</th><th>Metric</th><th class="number">Created</th></tr></thead>
    <tbody>${shown.map((row) => html`<tr key=${row.id}>
      <td><a href=${`/sweeps/${row.id}`}><${Name} text=${row.name} most=${32} /></a> <span class="dim">sweep ${row.id}</span></td>
      <td><span class=${`status ${SWEEP_KIND[row.state] || "plain"}`}><i class="dot"></i>${row.state}</span></td>
      <td>${totals(row.counts, row.n_trials)}</td>
      <td class="number">${row.best ? value(row.best.value) : "–"}</td>
      <td>${row.direction === "max" ? "highest" : "lowest"} <${Name} text=${row.metric} most=${28} /></td>
      <td class="number">${ago(number(row.created), now.value)}</td>
    </tr>`)}</tbody>
  </table>${more ? html`<button class="quiet" onClick=${() => setAll(true)}>${more} more</button>` : null}</section>`;
}
