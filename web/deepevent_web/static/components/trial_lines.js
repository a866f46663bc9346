/**
 * Parallel coordinates: a line for each row through an axis for each key. Knows nothing of what the rows are.
 * A line under the pointer stands out and a click chooses it; a drag along an axis keeps only what passes there.
 * What lines say stands in a table beside it: to a reader of the page this is one picture.
 */
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";
import { cut, value } from "../format.js";
import { logTicks, ticks, tickText } from "../ticks.js";
import { useWidth } from "../width.js";

const HEIGHT = 260;
const TOP = 34;
const BOTTOM = 14;
const LEFT = 52;
const RIGHT = 64;
const NARROWEST = 96;
const SHORTEST_DRAG = 4;
/** A line is found this near to the pointer. */
const REACH = 10;
const TITLE_MOST = 18;
const LETTER_PX = 7.4;

/** From a value to its height on an axis, 0 (below) to 1; null if it has none. */
export function place(axis, raw) {
  if (raw === null || raw === undefined) return null;
  if (axis.choices) {
    const i = axis.choices.indexOf(String(raw));
    return i < 0 ? null : axis.choices.length === 1 ? 0.5 : i / (axis.choices.length - 1);
  }
  const v = Number(raw);
  if (!Number.isFinite(v) || (axis.log && v <= 0)) return null;
  if (axis.high === axis.low) return 0.5;
  const at = (x) => (axis.log ? Math.log(x) : x);
  return Math.min(1, Math.max(0, (at(v) - at(axis.low)) / (at(axis.high) - at(axis.low))));
}

const y = (share) => TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);

function labels(axis) {
  if (axis.choices) return axis.choices.map((choice) => ({ at: place(axis, choice), text: cut(choice, 10) }));
  const found = axis.log ? logTicks(axis.low, axis.high) : ticks(axis.low, axis.high, axis.whole ? 8 : 4, axis.whole);
  return found.map((v) => ({ at: place(axis, v), text: tickText(v) }));
}

function points(axes, row, x) {
  return axes.map((axis, i) => [x(i), place(axis, row.values[axis.key])]).filter(([, share]) => share !== null).map(([px, share]) => [px, y(share)]);
}

/** The distance of a point from a bent line. */
function distance(line, px, py) {
  let least = Infinity;
  for (let i = 1; i < line.length; i += 1) {
    const [ax, ay] = line[i - 1];
    const [bx, by] = line[i];
    const t = Math.min(1, Math.max(0, ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2 || 1)));
    least = Math.min(least, Math.hypot(px - ax - t * (bx - ax), py - ay - t * (by - ay)));
  }
  return least;
}

function Axis({ axis, x, most, range, onStart }) {
  const shown = labels(axis);
  return html`<g class="axis" onPointerDown=${onStart}>
    <title>${axis.title}</title>
    <text class="axis-title" x=${x} y="14" text-anchor="middle">${cut(axis.title, most)}${axis.goal ? (axis.goal === "max" ? " ↑" : " ↓") : ""}</text>
    <line x1=${x} x2=${x} y1=${y(1)} y2=${y(0)} />
    ${shown.map(({ at, text }) => html`<g key=${text}><line x1=${x - 3} x2=${x + 3} y1=${y(at)} y2=${y(at)} /><text class="tick" x=${x + 6} y=${y(at) + 3.5}>${text}</text></g>`)}
    <rect class="grip" x=${x - 12} y=${TOP - 8} width="24" height=${HEIGHT - TOP - BOTTOM + 16} />
    ${range ? html`<rect class="brush" x=${x - 7} y=${y(range[1])} width="14" height=${Math.max(2, y(range[0]) - y(range[1]))} />` : null}
  </g>`;
}

/**
 * @param {{axes: {key: string, title: string, low?: number, high?: number, log?: boolean, whole?: boolean, choices?: string[], goal?: string}[],
 *          rows: {key: string|number, title: string, values: Record<string, unknown>, weight: number|null, token?: string}[],
 *          selected: string|number|null, onSelect: (key: string|number|null) => void, label: string}} props
 *   weight: 0 to 1 draws a line fainter or stronger, null dashed; token: a colour of its own
 */
export function TrialLines({ axes, rows, selected, onSelect, label }) {
  const [box, outer] = useWidth(640, 200);
  const [hover, setHover] = useState(null);
  const [ranges, setRanges] = useState({});
  const drag = useRef(null);
  const width = Math.max(outer, LEFT + RIGHT + NARROWEST * (axes.length - 1));
  const x = (i) => (axes.length === 1 ? width / 2 : LEFT + (i * (width - LEFT - RIGHT)) / (axes.length - 1));
  const most = axes.length === 1 ? TITLE_MOST : Math.min(TITLE_MOST, Math.floor((x(1) - x(0)) / LETTER_PX) - 2);
  const passes = (row) => axes.every((axis) => {
    const range = ranges[axis.key];
    const share = range ? place(axis, row.values[axis.key]) : 0;
    return !range || (share !== null && share >= range[0] && share <= range[1]);
  });
  const kept = rows.filter(passes);
  const lines = rows.map((row) => ({ row, line: points(axes, row, x), kept: kept.includes(row) }));
  // The best are drawn last, over the others; above all what is chosen or pointed at.
  const order = ({ row, kept: on }) => (row.key === hover ? 4 : row.key === selected ? 3 : 0) + (on ? 1 + (row.weight ?? -0.5) : 0);
  lines.sort((a, b) => order(a) - order(b));

  const at = (event) => {
    const frame = event.currentTarget.closest("svg").getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  };
  const share = (py) => Math.min(1, Math.max(0, 1 - (py - TOP) / (HEIGHT - TOP - BOTTOM)));
  const start = (axis) => (event) => {
    drag.current = { key: axis.key, from: at(event)[1], moved: false };
    event.currentTarget.closest("svg").setPointerCapture(event.pointerId);
  };
  const move = (event) => {
    const [px, py] = at(event);
    if (drag.current) {
      const { key, from } = drag.current;
      if (Math.abs(py - from) < SHORTEST_DRAG) return;
      drag.current.moved = true;
      setRanges((old) => ({ ...old, [key]: [Math.min(share(from), share(py)), Math.max(share(from), share(py))] }));
      return;
    }
    const near = lines.filter((one) => one.kept).map((one) => [distance(one.line, px, py), one.row.key]).sort((a, b) => a[0] - b[0])[0];
    setHover(near && near[0] <= REACH ? near[1] : null);
  };
  const end = () => {
    const { key, moved } = drag.current || {};
    drag.current = null;
    if (key !== undefined && !moved) setRanges(({ [key]: _, ...rest }) => rest);
    else if (key === undefined) onSelect(hover === selected ? null : hover);
  };
  const told = rows.find((row) => row.key === (hover ?? selected));
  return html`<div class="trial-lines" ref=${box}>
    <div class="trial-lines-scroll"><svg role="img" aria-label=${label} width=${width} height=${HEIGHT} onPointerMove=${move} onPointerUp=${end} onPointerLeave=${() => setHover(null)}>
      ${lines.map(({ row, line, kept: on }) => html`<polyline key=${row.key} class=${["line", row.weight === null ? "open" : "", on ? "" : "off", row.key === selected ? "selected" : "", row.key === hover ? "hover" : ""].join(" ")} stroke=${row.token ? `var(${row.token})` : undefined} stroke-opacity=${on && row.key !== hover && row.key !== selected ? (row.weight === null ? 0.4 : 0.25 + 0.75 * row.weight ** 2) : undefined} points=${line.map((p) => p.join()).join(" ")} />`)}
      ${axes.map((axis, i) => html`<${Axis} key=${axis.key} axis=${axis} x=${x(i)} most=${most} range=${ranges[axis.key]} onStart=${start(axis)} />`)}
    </svg></div>
    <p class="trial-lines-note">${told
      ? html`<b>${told.title}</b> ${axes.map((axis) => html`<span key=${axis.key}>${cut(axis.title, 24)} <b>${axis.choices ? String(told.values[axis.key] ?? "–") : value(told.values[axis.key])}</b></span>`)}`
      : html`<span class="dim">${kept.length < rows.length ? `${kept.length} of ${rows.length} pass. A click on an axis lets all pass again.` : "Drag along an axis to keep what passes there."}</span>`}</p>
  </div>`;
}
