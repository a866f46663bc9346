/** A scatter plot of runs over any two config keys or metrics; a dragged rectangle selects runs. Draws SVG. */
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";
import { brushOf, scaleOf, valueOn } from "../relations.js";
import { cut } from "../format.js";
import { hovered } from "../state.js";
import { useWidth } from "../width.js";

const HEIGHT = 320;
const MARGIN = { left: 64, right: 20, top: 16, bottom: 34 };
const LEAST_BRUSH_PX = 5;
/** Room around the outermost points, as a part of the picture. */
const INSET = 0.05;

/**
 * @param {{runs: object[], chosen: Set<string>, x: string, y: string, label: string, colours: Map<string, {token: string}>, brush: Record<string, unknown[]>,
 *   onBrush: (parts: Record<string, unknown[]|null>) => void}} props
 */
export function Scatter({ runs, chosen, x, y, label, colours, brush, onBrush }) {
  const [node, width] = useWidth();
  const start = useRef(null);
  const [drag, setDrag] = useState(null);
  const [sx, sy] = [x, y].map((key) => scaleOf(runs.map((run) => valueOn(run, key))));
  const inner = { width: Math.max(60, width - MARGIN.left - MARGIN.right), height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const px = (part) => MARGIN.left + (INSET + part * (1 - 2 * INSET)) * inner.width;
  const py = (part) => MARGIN.top + (1 - INSET - part * (1 - 2 * INSET)) * inner.height;
  const partX = (at) => ((at - MARGIN.left) / inner.width - INSET) / (1 - 2 * INSET);
  const partY = (at) => (1 - INSET - (at - MARGIN.top) / inner.height) / (1 - 2 * INSET);
  const at = (event) => {
    const frame = event.currentTarget.ownerSVGElement.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  };
  const down = (event) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    start.current = at(event);
  };
  const move = (event) => start.current && setDrag([start.current, at(event)]);
  const up = (event) => {
    if (!start.current) return;
    const [[ax, ay], [bx, by]] = [start.current, at(event)];
    start.current = null;
    setDrag(null);
    if (Math.hypot(ax - bx, ay - by) < LEAST_BRUSH_PX) onBrush({ [x]: null, [y]: null });
    else onBrush({ [x]: brushOf(sx, partX(ax), partX(bx)), [y]: brushOf(sy, partY(ay), partY(by)) });
  };
  const stretch = (scale, part, place) => {
    const ends = part.map((v) => place(scale.at(v)));
    const room = scale.numeric ? 0 : 10;
    return [Math.min(...ends) - room, Math.max(...ends) + room];
  };
  const [left, right] = brush[x]?.length ? stretch(sx, brush[x], px) : [MARGIN.left, MARGIN.left + inner.width];
  const [top, bottom] = brush[y]?.length ? stretch(sy, brush[y], py) : [MARGIN.top, MARGIN.top + inner.height];
  const box = drag ? { x: Math.min(drag[0][0], drag[1][0]), y: Math.min(drag[0][1], drag[1][1]), width: Math.abs(drag[0][0] - drag[1][0]), height: Math.abs(drag[0][1] - drag[1][1]) }
    : brush[x]?.length || brush[y]?.length ? { x: left, y: top, width: right - left, height: bottom - top } : null;
  const placed = runs.map((run) => ({ run, a: sx.at(valueOn(run, x)), b: sy.at(valueOn(run, y)) })).filter(({ a, b }) => a !== null && b !== null);
  const lit = hovered.value;
  const shown = placed.find(({ run }) => run.id === lit);
  const left_ = shown && px(shown.a) > width / 2;
  return html`<div class="relation" ref=${node}>
    ${width ? html`<svg class="scatter" width=${width} height=${HEIGHT} role="img" aria-label=${label}>
      <g class="axis">
        ${sx.ticks.map((tick) => html`<g key=${tick.text} transform=${`translate(${px(tick.at)},0)`}><line class="grid" y1=${MARGIN.top} y2=${MARGIN.top + inner.height} /><text y=${HEIGHT - 14} text-anchor="middle">${cut(tick.text, 12)}</text></g>`)}
        ${sy.ticks.map((tick) => html`<g key=${tick.text} transform=${`translate(0,${py(tick.at)})`}><line class="grid" x1=${MARGIN.left} x2=${MARGIN.left + inner.width} /><text x=${MARGIN.left - 8} dy="4" text-anchor="end">${cut(tick.text, 9)}</text></g>`)}
      </g>
      ${box ? html`<rect class="brush" ...${box} />` : null}
      <rect class="brush-area" x=${MARGIN.left} y=${MARGIN.top} width=${inner.width} height=${inner.height} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} />
      ${placed.map(({ run, a, b }) => html`<circle key=${run.id} class=${`dot ${chosen.has(run.id) ? "" : "out"} ${run.id === lit ? "lit" : ""}`} data-run=${run.id} cx=${px(a)} cy=${py(b)} r=${run.id === lit ? 7 : 5} style=${{ "--run": `var(${colours.get(run.id)?.token || "--r0"})` }}
        onPointerEnter=${() => (hovered.value = run.id)} onPointerLeave=${() => (hovered.value = null)}><title>${run.name}</title></circle>`)}
      ${shown ? html`<text class="dot-name" x=${px(shown.a) + (left_ ? -11 : 11)} y=${py(shown.b) + 4} text-anchor=${left_ ? "end" : "start"}>${cut(shown.run.name, 36)}</text>` : null}
    </svg>` : null}
    ${placed.length < runs.length ? html`<p class="dim">${runs.length - placed.length} of ${runs.length} runs have no value on one of the axes.</p>` : null}
  </div>`;
}
