/** One line over the charts: which charts, which axis, how smooth, which scale. All of it in the URL. */
import { html } from "htm/preact";
import { AXES, MOST_WEIGHT, WINDOWS, chartSettings, firstOf, writeSmoothing } from "../chart_view.js";
import { setParams } from "../router.js";
import { ViewsMenu } from "./views_menu.js";

const KINDS = [["none", "none"], ["ema", "exponential"], ["mean", "rolling mean"], ["median", "rolling median"]];

function Smoothing({ smoothing }) {
  const write = (next) => setParams({ smooth: writeSmoothing(next) });
  const kind = smoothing?.kind ?? "none";
  return html`<span class="control">
    <label class="control">smoothing
      <select value=${kind} onChange=${(e) => write(firstOf(e.target.value))}>${KINDS.map(([key, text]) => html`<option value=${key}>${text}</option>`)}</select>
    </label>
    ${kind === "ema" ? html`<input type="range" aria-label="weight of the past" min="0.01" max=${MOST_WEIGHT} step="0.01" value=${smoothing.weight} onInput=${(e) => write({ kind, weight: Number(e.target.value) })} /><output>${smoothing.weight.toFixed(2)}</output>` : null}
    ${kind === "mean" || kind === "median" ? html`<label class="control"><select aria-label="points in the window" value=${smoothing.window} onChange=${(e) => write({ kind, window: Number(e.target.value) })}>
      ${[...new Set([...WINDOWS, smoothing.window])].sort((a, b) => a - b).map((n) => html`<option value=${n}>${n}</option>`)}</select> points</label>` : null}
  </span>`;
}

/** @param {{views?: boolean}} props `views`: whether the saved views stand at its end */
export function ChartControls({ views = true }) {
  const { x, smoothing, log, paired, search, clip, linked } = chartSettings();
  const box = (text, on, changes, title) => html`<label class="control" title=${title}><input type="checkbox" checked=${on} onChange=${(e) => setParams(changes(e.target.checked))} />${text}</label>`;
  return html`<div class="controls" role="toolbar" aria-label="Chart settings">
    <input class="field" type="search" aria-label="Find charts" placeholder="find charts" value=${search} onInput=${(e) => setParams({ charts: e.target.value || null })} />
    <label class="control">x
      <select value=${x} onChange=${(e) => setParams({ x: e.target.value === "step" ? null : e.target.value, zoom: null })}>
        ${AXES.map((axis) => html`<option value=${axis}>${axis}</option>`)}
      </select>
    </label>
    <${Smoothing} smoothing=${smoothing} />
    ${box("log scale", log, (on) => ({ scale: on ? "log" : null, flip: null, zoom: null }))}
    ${box("clip outliers", clip, (on) => ({ clip: on ? "1" : null }), "leave out what spoils the range of y; each chart says how much")}
    ${box("zoom together", linked, (on) => ({ link: on ? "1" : null, zoom: null }), "a range that is dragged in one chart holds for all")}
    ${box("train with val", paired, (on) => ({ pair: on ? null : "0" }))}
    ${views ? html`<${ViewsMenu} />` : null}
  </div>`;
}
