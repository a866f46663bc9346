/**
 * One chart with its title: name, best value and whose it is, notes on what the picture cannot show.
 * Gets curves from curves.js while it is on screen and keeps its own zoom.
 */
import { html } from "htm/preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import * as curves from "../curves.js";
import { value } from "../format.js";
import { setParams } from "../router.js";
import { best, chartData } from "../series.js";
import { hovered } from "../state.js";
import { shownTheme, token } from "../theme.js";
import { Chart } from "./chart.js";
import { chartSettings } from "./chart_controls.js";
import { Name } from "./name.js";
import { Swatch } from "./swatch.js";

const DEFAULT_PIXELS = 600;
/** Of a name that has too little room, so much of its end stays. */
const TAIL = 9;

/** A name that gives way in its middle: the first part shrinks, the last does not. @param {{text: string, whole: string}} props */
function Title({ text, whole }) {
  const characters = Array.from(text);
  const split = characters.length > 2 * TAIL ? characters.length - TAIL : characters.length;
  return html`<bdi class="title" title=${whole}><span class="title-head">${characters.slice(0, split).join("")}</span><span class="title-tail">${characters.slice(split).join("")}</span></bdi>`;
}

function wantedSeries(metrics, runs, series) {
  return runs.flatMap((run) =>
    metrics.flatMap(({ name, role }) => {
      const ranks = series ? series.filter((s) => s.name === name).map((s) => s.rank) : run.metrics?.[name] ? [run.metrics[name].rank ?? 0] : [];
      return ranks.map((rank) => ({ run: run.id, metric: name, rank, role, of: run }));
    }),
  );
}

/** @param {{title: string, section: string, metrics: {name: string, role: string}[], runs: object[], colours: Map<string, object>, series: object[]|null}} props */
export function ChartCard({ title, section, metrics, runs, colours, series }) {
  const settings = chartSettings();
  const log = settings.log !== settings.flipped.has(title);
  const [range, setRange] = useState(null);
  const [seen, setSeen] = useState(false);
  const [version, setVersion] = useState(0);
  const [status, setStatus] = useState({ hidden: 0, waiting: true, error: null, nonfinite: 0 });
  const [failure, setFailure] = useState(null);
  const card = useRef(null);
  const wanted = useMemo(() => wantedSeries(metrics, runs, series), [
    metrics.map((m) => m.name).join(), series, runs.map((run) => run.id + metrics.map((m) => Number(Boolean(run.metrics?.[m.name]))).join("")).join(),
  ]);
  const view = { x: settings.x, weight: settings.weight, pixels: card.current?.clientWidth || DEFAULT_PIXELS, ...(range || {}) };
  useEffect(() => setRange(null), [settings.x]);

  const held = seen && wanted.length ? curves.take(view, wanted) : { key: "", curves: [] };
  useEffect(() => (held.key ? curves.hold(held.key) : undefined), [held.key]);
  const data = useRef(null);
  data.current = { held, wanted, log };

  const note = () => {
    const { curves: mine } = data.current.held;
    const next = {
      waiting: mine.some((curve) => !curve.ready && !curve.error),
      error: mine.find((curve) => curve.error)?.error || null,
      nonfinite: mine.reduce((n, curve) => n + curve.nNonfinite, 0),
      hidden: data.current.log ? mine.reduce((n, curve) => n + curve.value.reduce((m, v) => m + (v <= 0 ? 1 : 0), 0), 0) : 0,
    };
    setStatus((old) => (JSON.stringify(old) === JSON.stringify(next) ? old : next));
  };
  useEffect(() => {
    if (!seen) return undefined;
    const names = new Set(wanted.map((s) => curves.seriesKey(s.run, s.metric, s.rank)));
    note();
    return curves.onChange((key, changed) => {
      if (key !== held.key || ![...changed].some((name) => names.has(name))) return;
      setVersion((v) => v + 1);
      note();
    });
  }, [seen, held.key, wanted]);

  const build = () => {
    const lines = wanted.map((s, i) => {
      const colour = colours.get(s.run);
      return { curve: data.current.held.curves[i], run: s.of, role: s.role, colour: token(colour?.token || "--r0"), variant: colour?.variant || 0 };
    });
    return chartData(lines.filter((line) => line.curve), {
      x: settings.x, log, smoothing: settings.weight > 0, several: metrics.length > 1 || runs.length === 1, range, bad: token("--bad"), panel: token("--panel"),
    });
  };

  const zoom = (next) => {
    if (!next) return setRange(null);
    const edge = (v) => (settings.x === "time" ? new Date(`${String(v).replace(" ", "T")}Z`).getTime() / 1000 : Number(v));
    return setRange({ from: edge(next.from), to: edge(next.to) });
  };
  const flip = () => {
    const next = new Set(settings.flipped);
    if (!next.delete(title)) next.add(title);
    setParams({ flip: [...next].join("\n") || null });
  };
  const top = best(metrics, runs);
  const drawn = [version, log, settings.x, settings.weight, held.key, shownTheme.value, wanted, [...colours].map(([id, c]) => id + c.token).join()];

  return html`<article class="card" ref=${card}>
    <header>
      <h3><${Title} text=${title.startsWith(`${section}/`) ? title.slice(section.length + 1) : title} whole=${title} /></h3>
      ${top ? html`<p class="best" title=${top.step === null ? undefined : `at step ${top.step}`}><span class="figure">best <b>${value(top.value)}</b></span>${runs.length > 1 ? html`<span class="whose"> · <${Swatch} colour=${colours.get(top.run.id)} /><${Name} text=${top.run.name} most=${22} /></span>` : ""}</p>` : null}
      <span class="card-tools">
        ${range ? html`<button class="quiet" title="show all of the curve again (or press twice in the chart)" onClick=${() => setRange(null)}>whole range</button>` : null}
        <button class="quiet" aria-pressed=${log} title="logarithmic scale" onClick=${flip}>log</button>
      </span>
    </header>
    <${Chart} key_=${title} label=${`Chart of ${title} over ${settings.x}`} version=${drawn.map(identity).join("|")} build=${build} highlighted=${hovered.value}
      onVisible=${(visible) => visible && setSeen(true)} onZoom=${zoom} onHover=${(run) => (hovered.value = run)} onFail=${setFailure} />
    ${status.waiting && seen ? html`<p class="chart-note waiting-note" aria-busy="true">loading …</p>` : null}
    ${failure || status.error ? html`<p class="chart-note bad" role="alert">${(failure || status.error).message}</p>` : null}
    ${status.nonfinite || status.hidden ? html`<footer>
      ${status.nonfinite ? html`<span class="bad">${status.nonfinite} non-finite ${status.nonfinite === 1 ? "value" : "values"}</span>` : null}
      ${status.hidden ? html`<span class="warn">${status.hidden} ${status.hidden === 1 ? "value ≤ 0 has" : "values ≤ 0 have"} no place on a log scale</span>` : null}
    </footer>` : null}
  </article>`;
}

const identities = new WeakMap();
let next = 0;

/** A value, or a number that stands for an object, so that a new object makes a new version. */
function identity(thing) {
  if (thing === null || typeof thing !== "object") return thing;
  if (!identities.has(thing)) identities.set(thing, (next += 1));
  return identities.get(thing);
}
