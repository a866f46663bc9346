/** One line over the charts: which charts, which axis, how smooth, which scale. All of it in the URL. */
import { html } from "htm/preact";
import { param, setParams } from "../router.js";

const AXES = ["step", "epoch", "time", "relative"];
const MOST_SMOOTHING = 0.99;

/** The chart settings as the URL has them. */
export function chartSettings() {
  const x = param("x", "step");
  const smooth = Number(param("smooth", "0"));
  return {
    x: AXES.includes(x) ? x : "step",
    weight: smooth > 0 && smooth <= MOST_SMOOTHING ? smooth : 0,
    log: param("scale") === "log",
    flipped: new Set(param("flip").split("\n").filter(Boolean)),
    paired: param("pair", "1") !== "0",
    search: param("charts"),
  };
}

/** @returns the line of controls */
export function ChartControls() {
  const { x, weight, log, paired, search } = chartSettings();
  return html`<div class="controls" role="toolbar" aria-label="Chart settings">
    <input class="field" type="search" aria-label="Find charts" placeholder="find charts" value=${search} onInput=${(e) => setParams({ charts: e.target.value || null })} />
    <label class="control">x
      <select value=${x} onChange=${(e) => setParams({ x: e.target.value === "step" ? null : e.target.value })}>
        ${AXES.map((axis) => html`<option value=${axis}>${axis}</option>`)}
      </select>
    </label>
    <label class="control">smoothing
      <input type="range" min="0" max=${MOST_SMOOTHING} step="0.01" value=${weight} onInput=${(e) => setParams({ smooth: Number(e.target.value) || null })} />
      <output>${weight.toFixed(2)}</output>
    </label>
    <label class="control"><input type="checkbox" checked=${log} onChange=${(e) => setParams({ scale: e.target.checked ? "log" : null, flip: null })} />log scale</label>
    <label class="control"><input type="checkbox" checked=${paired} onChange=${(e) => setParams({ pair: e.target.checked ? null : "0" })} />train with val</label>
  </div>`;
}
