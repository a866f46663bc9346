/**
 * Parallel coordinates: one line a run over any config keys and metrics; a stretch dragged on an axis selects runs.
 * Draws SVG from pure functions (relations.js).
 */
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";
import { brushOf, scaleOf, valueOn } from "../relations.js";
import { cut } from "../format.js";
import { hovered } from "../state.js";
import { useWidth } from "../width.js";

const HEIGHT = 320;
const TOP = 34;
const BOTTOM = 34;
const SIDE = 64;
const LEAST_SPACING = 96;
const LABEL_PX = 7;
/** A press that moves less takes the brush away. */
const LEAST_BRUSH_PX = 4;

const yOf = (part) => TOP + (1 - part) * (HEIGHT - TOP - BOTTOM);
const partOf = (y) => Math.min(1, Math.max(0, 1 - (y - TOP) / (HEIGHT - TOP - BOTTOM)));
/** Where a run stands that has no value on an axis. */
const NONE_Y = HEIGHT - 10;

function Axis({ axis, scale, x, spacing, brush, onBrush }) {
  const start = useRef(null);
  const [drag, setDrag] = useState(null);
  const at = (event) => event.clientY - event.currentTarget.ownerSVGElement.getBoundingClientRect().top;
  const down = (event) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    start.current = at(event);
    setDrag([start.current, start.current]);
  };
  const move = (event) => start.current !== null && setDrag([start.current, at(event)]);
  const up = (event) => {
    if (start.current === null) return;
    const [a, b] = [start.current, at(event)];
    start.current = null;
    setDrag(null);
    onBrush(Math.abs(a - b) < LEAST_BRUSH_PX ? null : brushOf(scale, partOf(a), partOf(b)));
  };
  const kept = brush && brush.length ? (scale.numeric ? brush.map((v) => yOf(scale.at(v))) : brush.map((v) => yOf(scale.at(v)))) : null;
  const ends = drag ?? (kept && [Math.min(...kept) - (scale.numeric ? 0 : 8), Math.max(...kept) + (scale.numeric ? 0 : 8)]);
  const most = Math.max(6, Math.floor(spacing / LABEL_PX) - 1);
  return html`<g class="axis" transform=${`translate(${x},0)`}>
    <text class="axis-name" y="16" text-anchor="middle"><title>${axis.label}</title>${cut(axis.label, most)}</text>
    <line y1=${TOP} y2=${HEIGHT - BOTTOM} />
    ${scale.ticks.map((tick) => html`<g key=${tick.text} transform=${`translate(0,${yOf(tick.at)})`}><line x1="-4" x2="0" /><text x="-7" dy="4" text-anchor="end">${cut(tick.text, 10)}</text></g>`)}
    ${ends ? html`<rect class="brush" x="-9" width="18" y=${Math.min(...ends)} height=${Math.max(2, Math.abs(ends[1] - ends[0]))} />` : null}
    <rect class="brush-area" x="-16" width="32" y=${TOP - 6} height=${HEIGHT - TOP - BOTTOM + 12} data-axis=${axis.key} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} />
  </g>`;
}

/**
 * @param {{runs: object[], chosen: Set<string>, axes: {key: string, label: string}[], colours: Map<string, {token: string}>, brush: Record<string, unknown[]>,
 *   onBrush: (axis: string, part: unknown[]|null) => void}} props `chosen`: ids of the runs that the brush selects
 */
export function Parallel({ runs, chosen, axes, colours, brush, onBrush }) {
  const [node, width] = useWidth();
  const total = Math.max(width, 2 * SIDE + (axes.length - 1) * LEAST_SPACING);
  const spacing = axes.length > 1 ? (total - 2 * SIDE) / (axes.length - 1) : 0;
  const scales = axes.map(({ key }) => scaleOf(runs.map((run) => valueOn(run, key))));
  const path = (run) =>
    axes.map(({ key }, i) => {
      const part = scales[i].at(valueOn(run, key));
      const [x, y] = [SIDE + i * spacing, part === null ? NONE_Y : yOf(part)];
      if (i === 0) return `M${x},${y}`;
      return `S${x - spacing / 3},${y} ${x},${y}`;
    }).join("");
  const lit = hovered.value;
  // What is selected is drawn over the rest, and what is pointed at over all.
  const weight = (run) => (run.id === lit ? 2 : chosen.has(run.id) ? 1 : 0);
  const order = [...runs].sort((a, b) => weight(a) - weight(b));
  const missing = axes.some(({ key }) => runs.some((run) => valueOn(run, key) === null));
  return html`<div class="relation scroll-x" ref=${node}>
    ${width && axes.length ? html`<svg class="parallel" width=${total} height=${HEIGHT} role="img" aria-label=${`Parallel coordinates of ${runs.length} runs over ${axes.map(({ label }) => label).join(", ")}`}>
      ${order.map((run) => html`<g key=${run.id} class=${`line ${chosen.has(run.id) ? "" : "out"} ${run.id === lit ? "lit" : ""}`} data-run=${run.id} style=${{ "--run": `var(${colours.get(run.id)?.token || "--r0"})` }}
        onPointerEnter=${() => (hovered.value = run.id)} onPointerLeave=${() => (hovered.value = null)}>
        <title>${run.name}</title><path class="hit" d=${path(run)} /><path d=${path(run)} /></g>`)}
      ${axes.map((axis, i) => html`<${Axis} key=${axis.key} axis=${axis} scale=${scales[i]} x=${SIDE + i * spacing} spacing=${spacing || total} brush=${brush[axis.key]} onBrush=${(part) => onBrush(axis.key, part)} />`)}
      ${missing ? html`<text class="none" x="4" y=${NONE_Y + 4}>no value</text>` : null}
    </svg>` : null}
  </div>`;
}
