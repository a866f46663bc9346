/**
 * Distributions over time: a heat map with a column for each step and a row for each bin, and below it the
 * histogram of one step. Drawn on a canvas from the counts as they were logged; bins of other edges are laid
 * onto common ones by their overlap, so no count is lost.
 */
import { html } from "htm/preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { count, value } from "../format.js";
import { shownTheme, token } from "../theme.js";
import { Name } from "./name.js";
import { StepOf, useSteps } from "./step_slider.js";

const ROWS = 64;
const HEAT_PX = 150;
const BARS_PX = 84;
const LEAST_ALPHA = 0.06;

const numbers = (list) => (Array.isArray(list) ? list.map(Number) : []);

/** Edges and counts as they can be drawn; null for what is none. */
function read(item) {
  const edges = numbers(item.data?.edges);
  const counts = numbers(item.data?.counts);
  return counts.length > 0 && edges.length === counts.length + 1 && [...edges, ...counts].every(Number.isFinite) ? { edges, counts } : null;
}

/** Counts laid onto equal rows between two values. */
function onto({ edges, counts }, low, high) {
  const rows = new Float64Array(ROWS);
  const size = (high - low) / ROWS || 1;
  counts.forEach((n, i) => {
    if (!n) return;
    const [from, to] = [edges[i], edges[i + 1]];
    const first = Math.max(0, Math.min(ROWS - 1, Math.floor((from - low) / size)));
    const last = Math.max(first, Math.min(ROWS - 1, Math.ceil((to - low) / size) - 1));
    for (let row = first; row <= last; row += 1) {
      const part = to > from ? Math.max(0, Math.min(to, low + (row + 1) * size) - Math.max(from, low + row * size)) / (to - from) : 1 / (last - first + 1);
      rows[row] += n * part;
    }
  });
  return rows;
}

function pen(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return { context, width, height };
}

function drawHeat(canvas, columns, at) {
  const { context, width, height } = pen(canvas);
  context.fillStyle = token("--r0");
  const across = width / columns.length;
  const up = height / ROWS;
  columns.forEach((rows, i) => {
    const most = Math.max(...rows) || 1;
    rows.forEach((n, row) => {
      if (n <= 0) return;
      context.globalAlpha = LEAST_ALPHA + (1 - LEAST_ALPHA) * Math.sqrt(n / most);
      const x = Math.round(i * across);
      const y = Math.round(height - (row + 1) * up);
      context.fillRect(x, y, Math.round((i + 1) * across) - x, Math.round(height - row * up) - y);
    });
  });
  context.globalAlpha = 1;
  if (columns.length < 2) return;
  context.strokeStyle = token("--text");
  context.lineWidth = 1.5;
  context.strokeRect(at * across + 0.75, 0.75, Math.max(2, across - 1.5), height - 1.5);
}

function drawBars(canvas, { edges, counts }) {
  const { context, width, height } = pen(canvas);
  const [low, high] = [edges[0], edges[edges.length - 1]];
  const most = Math.max(...counts) || 1;
  const x = (v) => ((v - low) / (high - low || 1)) * width;
  context.fillStyle = token("--r0");
  counts.forEach((n, i) => {
    const tall = (n / most) * (height - 2);
    context.fillRect(x(edges[i]), height - tall, Math.max(1, x(edges[i + 1]) - x(edges[i]) - 0.5), tall);
  });
}

/** @param {{name: string, items: object[]}} props */
export function Histogram({ name, items }) {
  const good = useMemo(() => items.filter(read), [items]);
  const { item, index, slider, move } = useSteps(good, name);
  const heat = useRef(null);
  const bars = useRef(null);
  const [width, setWidth] = useState(0);
  const { columns, low, high } = useMemo(() => {
    const all = good.map(read);
    const bottom = Math.min(...all.map(({ edges }) => edges[0]));
    const top = Math.max(...all.map(({ edges }) => edges[edges.length - 1]));
    return { columns: all.map((one) => onto(one, bottom, top)), low: bottom, high: top };
  }, [good]);
  useEffect(() => {
    if (!heat.current) return undefined;
    const sized = new ResizeObserver(() => heat.current && setWidth(heat.current.clientWidth));
    sized.observe(heat.current);
    return () => sized.disconnect();
  }, [good.length > 0]);
  useEffect(() => {
    if (!item || !heat.current) return;
    drawHeat(heat.current, columns, index);
    drawBars(bars.current, read(item));
  }, [columns, index, width, shownTheme.value]);
  if (!item) return html`<article class="card media-card"><header><h3><${Name} text=${name} most=${30} /></h3></header><p class="dim">Nothing that can be drawn.</p></article>`;
  const { n, nan, positive_infinity: up, negative_infinity: down } = item.data;
  const odd = [[nan, "NaN"], [up, "+Inf"], [down, "−Inf"]].filter(([many]) => Number(many) > 0);
  const { edges } = read(item);
  const pick = (event) => {
    const frame = heat.current.getBoundingClientRect();
    move(Math.min(columns.length - 1, Math.floor(((event.clientX - frame.left) / frame.width) * columns.length)));
  };
  return html`<article class="card media-card histogram">
    <header><h3><${Name} text=${name} most=${30} /></h3><${StepOf} item=${item} /></header>
    <div class="heat"><span class="heat-top">${value(high)}</span><span class="heat-bottom">${value(low)}</span>
      <canvas ref=${heat} height=${HEAT_PX} role="img" aria-label=${`Heat map of ${name} over ${good.length} steps`} onClick=${pick}></canvas></div>
    ${slider}
    <canvas ref=${bars} class="bars" height=${BARS_PX} role="img" aria-label=${`Histogram of ${name} at step ${item.step}, from ${value(edges[0])} to ${value(edges[edges.length - 1])}`}></canvas>
    <p class="ends"><span>${value(edges[0])}</span><span class="dim">${count(n)} values</span><span>${value(edges[edges.length - 1])}</span></p>
    ${odd.length ? html`<p class="bad">${odd.map(([many, word]) => `${count(many)} ${word}`).join(", ")}</p>` : null}
  </article>`;
}
