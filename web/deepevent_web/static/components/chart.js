/**
 * One Plotly chart. The only module that touches Plotly: loads it after the first paint and draws SVG traces with
 * Plotly.react when pacing.js says so. It also tells where a value stands in the picture, and makes pictures to keep.
 */
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import { effect } from "@preact/signals";
import { pointer } from "../cursor.js";
import { ask, withdraw } from "../pacing.js";
import { hovered } from "../state.js";
import { token } from "../theme.js";

const CONFIG = { displayModeBar: false, responsive: false, doubleClick: false, scrollZoom: false, staticPlot: false };
/** What is left of the other runs' lines while one run is pointed at. */
const FADED = 0.16;
/** As many labels on an axis as have room beside each other. */
const TICK_PX = 52;
const DATE_PX = 84;
const LEAST_TICKS = 2;
const MOST_TICKS = 6;
const MARGIN = { l: 46, r: 10, t: 6, b: 26 };
/** Drawn when so near to the screen. */
const NEAR = "80px";
const PICTURE = { width: 960, height: 540, scale: 2 };

let plotly = null;
/** Charts on the page: Map of the DOM node to what is drawn in it. */
const charts = new Map();

function loadPlotly() {
  plotly ??= new Promise((resolve, reject) => {
    const { nonce } = document.querySelector("script[nonce]");
    // Plotly adds its rules to the style element of this name; ours carries the nonce that the page's policy asks for.
    const style = Object.assign(document.createElement("style"), { id: "plotly.js-style-global", nonce });
    document.head.append(style);
    const script = Object.assign(document.createElement("script"), { nonce });
    script.src = document.querySelector('meta[name="plotly-url"]').content;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("The chart library did not load"));
    requestAnimationFrame(() => setTimeout(() => document.head.append(script)));
  });
  return plotly;
}

/** Every drawn chart with the data that Plotly holds, for tests and the console. */
export function openCharts() {
  return [...charts].map(([node, chart]) => ({
    key: chart.key,
    axis: chart.drawnAxis,
    visible: chart.visible,
    draws: chart.draws,
    range: node._fullLayout?.xaxis?.range,
    heights: node._fullLayout?.yaxis?.range,
    traces: (node.data || []).map((trace) => ({
      name: trace.name, ...trace.meta, x: Array.from(trace.x), y: Array.from(trace.y), dash: trace.line?.dash, mode: trace.mode,
    })),
  }));
}

function draw(node, chart) {
  const { traces, layout, room = 0 } = chart.build();
  const width = node.clientWidth / (layout.xaxis.type === "date" ? DATE_PX : TICK_PX);
  chart.Plotly.react(node, traces, { ...baseLayout(node, room), ...layout, xaxis: { ...axis(width), ...layout.xaxis }, yaxis: { ...axis(MOST_TICKS), ...layout.yaxis } }, CONFIG);
  if (!chart.listening) listen(node, chart);
  if (hovered.value !== null) highlight(node, hovered.value);
  chart.draws += 1;
  chart.drawnAxis = chart.axis;
  chart.onDrawn?.();
}

/** `room`: pixels over the picture for what is written there. */
function baseLayout(node, room) {
  return {
    width: node.clientWidth, height: node.clientHeight, autosize: false,
    margin: { ...MARGIN, t: MARGIN.t + room }, showlegend: false, dragmode: "zoom",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: token("--font"), size: 11, color: token("--dim") },
  };
}

function axis(nTicks) {
  return {
    gridcolor: token("--grid"), linecolor: token("--line"), zeroline: false, fixedrange: false,
    tickfont: { size: 11, color: token("--dim") }, tickangle: 0, automargin: false, exponentformat: "e",
    separatethousands: true, showspikes: false, nticks: Math.max(LEAST_TICKS, Math.min(MOST_TICKS, Math.floor(nTicks))),
  };
}

function listen(node, chart) {
  chart.listening = true;
  node.on("plotly_relayout", (change) => {
    const ends = (name) => {
      const from = change[`${name}.range[0]`] ?? change[`${name}.range`]?.[0];
      const to = change[`${name}.range[1]`] ?? change[`${name}.range`]?.[1];
      return from === undefined ? null : [from, to];
    };
    const [x, y] = [ends("xaxis"), ends("yaxis")];
    if (!x && !y) return;
    const { xaxis, yaxis } = node._fullLayout;
    const number = (at, value) => (at.type === "date" ? at.d2c(value) : Number(value));
    const [from, to] = (x ?? xaxis.range).map((value) => number(xaxis, value));
    const [low, high] = (y ?? []).map((value) => (yaxis.type === "log" ? 10 ** value : Number(value)));
    chart.onZoom?.({ from, to, ...(y ? { low, high } : {}) });
  });
  node.on("plotly_doubleclick", () => chart.onZoom?.(null));
}

/** Fade every other run's lines: a style on the drawn groups, far cheaper than drawing again. */
function highlight(node, run) {
  const groups = node.querySelectorAll(".scatterlayer .trace");
  const lit = (node.data || []).some((trace) => trace.meta.run === run);
  const drawn = (node.calcdata || []).map((calc) => calc[0].trace).filter((trace) => trace.visible === true);
  groups.forEach((group, i) => {
    const own = drawn[i]?.opacity ?? 1;
    group.style.opacity = lit && drawn[i]?.meta?.run !== run ? own * FADED : own;
  });
}

/** A picture of the chart as it is seen, with its title and a legend. @returns {Promise<string>} a data: address */
async function picture(node, chart, format, title) {
  const { data, layout } = node;
  const main = (trace) => ["train", "validation", "single"].includes(trace.meta.role);
  const figure = {
    data: data.map((trace) => ({ ...trace, showlegend: main(trace) })),
    layout: {
      ...layout, ...PICTURE, autosize: false, showlegend: true, margin: { l: 64, r: 24, t: 48, b: 44 },
      title: { text: title, font: { size: 15, color: token("--text") }, x: 0.02, xanchor: "left" },
      paper_bgcolor: token("--panel"), plot_bgcolor: token("--panel"), legend: { font: { color: token("--text") } },
    },
  };
  return chart.Plotly.toImage(figure, { format, ...PICTURE });
}

/** What others may ask of a drawn chart. */
function handleOf(node, chart) {
  const axes = () => (chart.listening ? node._fullLayout : null);
  return {
    redraw: () => ask(chart),
    visible: () => chart.visible,
    /** Pixels from the node's left edge, or null outside of what is drawn. */
    place: (x) => {
      const at = axes()?.xaxis;
      const px = at ? at._offset + at.c2p(x) : null;
      return px === null || px < at._offset - 1 || px > at._offset + at._length + 1 ? null : px;
    },
    /** Room beside a place in the chart, within what scrolls around it. */
    room: (px) => {
      const frame = node.getBoundingClientRect();
      const pane = (node.closest(".card.full, .charts-pane, .content") ?? document.body).getBoundingClientRect();
      return { left: frame.left + px - pane.left, right: pane.right - frame.left - px };
    },
    toPixel: (x) => axes()?.xaxis.c2p(x) ?? NaN,
    height: (y) => (axes() ? axes().yaxis._offset + axes().yaxis.d2p(y) : NaN),
    picture: (format, title) => picture(node, chart, format, title),
  };
}

/** Tell where the pointer is, at most once a frame. */
function follow(node, chart) {
  let waiting = null;
  const tell = () => {
    const { x, y } = waiting;
    waiting = null;
    if (!chart.listening || chart.held) return;
    const { xaxis } = node._fullLayout;
    const frame = node.getBoundingClientRect();
    const at = x - frame.left - xaxis._offset;
    const inside = at >= 0 && at <= xaxis._length && y >= frame.top && y <= frame.bottom;
    if (inside) pointer.value = { x: xaxis.p2c(at), axis: chart.axis, chart: chart.key, y: y - frame.top };
    else if (pointer.value?.chart === chart.key) pointer.value = null;
  };
  node.addEventListener("pointermove", (event) => {
    if (waiting === null) requestAnimationFrame(tell);
    waiting = { x: event.clientX, y: event.clientY };
  });
  node.addEventListener("pointerleave", () => {
    if (pointer.value?.chart === chart.key) pointer.value = null;
    hovered.value = null;
  });
  // While a range is dragged the picture must hold still.
  node.addEventListener("pointerdown", () => {
    chart.held = true;
    const release = () => {
      chart.held = false;
      ask(chart);
      removeEventListener("pointerup", release, true);
      removeEventListener("pointercancel", release, true);
    };
    addEventListener("pointerup", release, true);
    addEventListener("pointercancel", release, true);
  });
}

/**
 * @param {{key_: string, axis_: string, label: string, version: unknown, build: () => {traces: object[], layout: object},
 *   onZoom?: (range: {from: number, to: number, low?: number, high?: number}|null) => void,
 *   onVisible?: (visible: boolean) => void, onDrawn?: () => void, onFail?: (error: Error) => void,
 *   handle: {current: object|null}}} props `version` changes whenever somebody's wish changes what `build` gives; for
 *   live points `handle.current.redraw()` is enough
 */
export function Chart({ key_, axis_, label, version, build, onZoom, onVisible, onDrawn, onFail, handle }) {
  const holder = useRef(null);
  const chart = useRef({ visible: false, Plotly: null, draws: 0, held: false });
  Object.assign(chart.current, { key: key_, axis: axis_, build, onZoom, onDrawn });

  useEffect(() => {
    const node = holder.current;
    const mine = chart.current;
    mine.ready = () => mine.visible && mine.Plotly !== null && !mine.held;
    mine.draw = () => draw(node, mine);
    handle.current = handleOf(node, mine);
    charts.set(node, mine);
    follow(node, mine);
    const seen = new IntersectionObserver(
      (entries) => {
        mine.visible = entries.at(-1).isIntersecting; // a busy page hears of several changes at once; the last one holds
        onVisible?.(mine.visible);
        if (mine.visible) ask(mine, { urgent: true });
      },
      { rootMargin: NEAR },
    );
    seen.observe(node);
    const sized = new ResizeObserver(() => mine.listening && ask(mine, { urgent: true }));
    sized.observe(node);
    const unlit = effect(() => {
      const run = hovered.value;
      if (mine.listening && mine.visible) highlight(node, run);
    });
    loadPlotly().then(
      (Plotly) => {
        mine.Plotly = Plotly;
        ask(mine, { urgent: true });
      },
      (error) => onFail?.(error),
    );
    return () => {
      seen.disconnect();
      sized.disconnect();
      unlit();
      charts.delete(node);
      withdraw(mine);
      if (mine.listening) mine.Plotly.purge(node);
    };
  }, []);

  useEffect(() => ask(chart.current, { urgent: true }), [version]);

  return html`<div class="plot" role="img" aria-label=${label} ref=${holder}></div>`;
}
