/** The history of the best: each trial's value, and the best so far as a line. One picture; the table has the numbers. */
import { html } from "htm/preact";
import { number, value } from "../format.js";
import { bestSoFar } from "../sweeps.js";
import { ticks, tickText } from "../ticks.js";
import { useWidth } from "../width.js";

const HEIGHT = 200;
const TOP = 10;
const BOTTOM = 26;
const LEFT = 48;
const RIGHT = 12;

/** @param {{row: object, selected: number|null, onSelect: (trial: number|null) => void}} props */
export function BestHistory({ row, selected, onSelect }) {
  const [box, width] = useWidth(420, 200);
  const shown = row.trials.filter((trial) => trial.value !== null && Number.isFinite(number(trial.value)));
  const values = shown.map((trial) => number(trial.value));
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (low === high) [low, high] = [low - Math.abs(low || 1) * 0.05, high + Math.abs(high || 1) * 0.05];
  const last = Math.max(row.trials.length - 1, 1);
  const x = (n) => LEFT + (n / last) * (width - LEFT - RIGHT);
  const y = (v) => TOP + (1 - (v - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const steps = bestSoFar(row.trials, row.direction);
  const path = steps.map((step, i) => `${i ? "H" : "M"}${x(step.number)}${i ? "V" : ","}${y(step.value)}`).join("") + (steps.length ? `H${x(last)}` : "");
  const best = steps.at(-1);
  return html`<section class="card"><header><h2>History of the best</h2>${best ? html`<small>best ${value(best.value)} · trial ${best.number}</small>` : null}</header>
    <div ref=${box}>${shown.length === 0 ? html`<p class="dim">No trial has logged ${row.metric} yet.</p>` : html`<svg class="history" role="img" aria-label=${`Values of ${row.metric} by trial; best ${best ? value(best.value) : "none yet"}`} width=${width} height=${HEIGHT}>
      ${ticks(low, high, 4).map((v) => html`<g key=${`y${v}`}><line class="rule" x1=${LEFT} x2=${width - RIGHT} y1=${y(v)} y2=${y(v)} /><text class="tick" text-anchor="end" x=${LEFT - 6} y=${y(v) + 3.5}>${tickText(v)}</text></g>`)}
      ${ticks(0, last, Math.min(8, last), true).map((n) => html`<text key=${`x${n}`} class="tick" text-anchor="middle" x=${x(n)} y=${HEIGHT - 8}>${n}</text>`)}
      <path class="best-line" d=${path} />
      ${shown.map((trial) => html`<circle key=${trial.number} class=${`trial ${trial.state} ${trial.number === selected ? "selected" : ""}`} cx=${x(trial.number)} cy=${y(number(trial.value))} r=${trial.number === best?.number ? 5 : 3.5} onClick=${() => onSelect(trial.number === selected ? null : trial.number)}><title>trial ${trial.number}, ${trial.state}: ${value(trial.value)}</title></circle>`)}
    </svg>`}</div>
  </section>`;
}
