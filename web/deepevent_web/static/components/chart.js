/**
 * One Plotly chart. The only module that touches Plotly: loads it after the first paint, draws SVG traces
 * with Plotly.react inside requestAnimationFrame, a few times a second at most, and only what is on screen.
 * Plotly reads `<b>` and `<a>` in names as HTML, so every name is escaped here.
 */
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import { token } from "../theme.js";

const CONFIG = { displayModeBar: false, responsive: false, doubleClick: false, scrollZoom: false, staticPlot: false };
const LEAST_INTERVAL_MS = 120;
/** A chart may spend at most a third of the time drawing, and all charts together this much of a frame. */
const COST_FACTOR = 2;
const FRAME_BUDGET_MS = 40;
/** What is left of the other runs' lines while one run is pointed at. */
const FADED = 0.16;
/** As many labels on an axis as have room beside each other. */
const TICK_PX = 52;
const DATE_PX = 84;
const LEAST_TICKS = 2;
const MOST_TICKS = 6;

let plotly = null;
/** Charts on the page: Map of the DOM node to what is drawn in it. */
const charts = new Map();
const queue = new Set();
let frame = null;

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

/** Text that Plotly shows as it is. @param {string} text */
export const escapeName = (text) =>
  text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** Every drawn chart with the data that Plotly holds, for tests and the console. */
export function openCharts() {
  return [...charts].map(([node, chart]) => ({
    key: chart.key,
    range: node._fullLayout?.xaxis?.range,
    traces: (node.data || []).map((trace) => ({
      name: trace.name, ...trace.meta, x: Array.from(trace.x), y: Array.from(trace.y), dash: trace.line?.dash, mode: trace.mode,
    })),
  }));
}

/** Ask for a chart to be drawn with the newest data, as soon as its turn comes. */
function request(node) {
  queue.add(node);
  frame ??= requestAnimationFrame(drawFrame);
}

function drawFrame() {
  frame = null;
  const start = performance.now();
  for (const node of [...queue]) {
    const chart = charts.get(node);
    if (!chart) queue.delete(node);
    if (!chart?.visible || !chart.Plotly || start < chart.notBefore) continue;
    queue.delete(node);
    draw(node, chart);
    if (performance.now() - start > FRAME_BUDGET_MS) break;
  }
  if (queue.size && [...queue].some((node) => charts.get(node)?.visible && charts.get(node)?.Plotly)) {
    frame = requestAnimationFrame(drawFrame);
  }
}

function draw(node, chart) {
  const begun = performance.now();
  const { traces, layout } = chart.build();
  chart.Plotly.react(node, traces, { ...baseLayout(node), ...layout, xaxis: { ...axis(node.clientWidth / (layout.xaxis.type === "date" ? DATE_PX : TICK_PX)), ...layout.xaxis }, yaxis: { ...axis(MOST_TICKS), ...layout.yaxis } }, CONFIG);
  if (!chart.listening) listen(node, chart);
  highlight(node, chart.highlighted);
  const cost = performance.now() - begun;
  chart.notBefore = performance.now() + Math.max(LEAST_INTERVAL_MS, cost * COST_FACTOR);
  chart.onDrawn?.(traces);
}

function baseLayout(node) {
  return {
    width: node.clientWidth, height: node.clientHeight, autosize: false,
    margin: { l: 46, r: 10, t: 6, b: 26 }, showlegend: false, uirevision: "kept", dragmode: "zoom",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: token("--font"), size: 11, color: token("--dim") },
    hoverlabel: { bgcolor: token("--panel"), bordercolor: token("--line"), font: { family: token("--font"), size: 12, color: token("--text") }, namelength: -1 },
  };
}

function axis(nTicks) {
  return {
    gridcolor: token("--grid"), linecolor: token("--line"), zeroline: false, fixedrange: false,
    tickfont: { size: 11, color: token("--dim") }, tickangle: 0, automargin: false, exponentformat: "power",
    separatethousands: true, showspikes: false, nticks: Math.max(LEAST_TICKS, Math.min(MOST_TICKS, Math.floor(nTicks))),
  };
}

function listen(node, chart) {
  chart.listening = true;
  node.on("plotly_relayout", (change) => {
    const from = change["xaxis.range[0]"] ?? change["xaxis.range"]?.[0];
    const to = change["xaxis.range[1]"] ?? change["xaxis.range"]?.[1];
    if (from !== undefined) chart.onZoom?.({ from, to });
  });
  node.on("plotly_doubleclick", () => chart.onZoom?.(null));
  // With one label for all lines no single run is meant.
  node.on("plotly_hover", ({ points }) => chart.onHover?.(points.length === 1 ? points[0].data.meta.run : null));
  node.on("plotly_unhover", () => chart.onHover?.(null));
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

/**
 * @param {{key: string, label: string, version: unknown, build: () => {traces: object[], layout: object},
 *   onZoom?: (range: {from: number, to: number}|null) => void, onHover?: (run: string|null) => void,
 *   onVisible?: (visible: boolean) => void, onDrawn?: (traces: object[]) => void, onFail?: (error: Error) => void,
 *   highlighted: string|null}} props `version` changes whenever `build` would give something else
 */
export function Chart({ key_, label, version, build, onZoom, onHover, onVisible, onDrawn, onFail, highlighted }) {
  const holder = useRef(null);
  const chart = useRef({ visible: false, notBefore: 0, Plotly: null });
  Object.assign(chart.current, { key: key_, build, onZoom, onHover, onDrawn, highlighted });

  useEffect(() => {
    const node = holder.current;
    const mine = chart.current;
    charts.set(node, mine);
    const seen = new IntersectionObserver(
      ([entry]) => {
        mine.visible = entry.isIntersecting;
        onVisible?.(mine.visible);
        if (mine.visible) request(node);
      },
      { rootMargin: "160px" },
    );
    seen.observe(node);
    const sized = new ResizeObserver(() => mine.listening && request(node));
    sized.observe(node);
    loadPlotly().then(
      (Plotly) => {
        mine.Plotly = Plotly;
        request(node);
      },
      (error) => onFail?.(error),
    );
    return () => {
      seen.disconnect();
      sized.disconnect();
      charts.delete(node);
      queue.delete(node);
      if (mine.listening) mine.Plotly.purge(node);
    };
  }, []);

  useEffect(() => request(holder.current), [version]);
  useEffect(() => {
    if (chart.current.listening) highlight(holder.current, highlighted);
  }, [highlighted]);

  return html`<div class="plot" role="img" aria-label=${label} ref=${holder}></div>`;
}
