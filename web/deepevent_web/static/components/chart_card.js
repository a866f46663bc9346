/**
 * One chart with its title, what can be done with it, what it stands at, and notes on what the picture cannot show.
 * Gets curves from curves.js while it is on screen. Where it looks and how large it is stands in the URL.
 */
import { html } from "htm/preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { chartSettings, flipScale, setFull, setSize, setZoom, sizeOf, zoomOf } from "../chart_view.js";
import * as curves from "../curves.js";
import { value } from "../format.js";
import { chartData } from "../series.js";
import { best, latest, standings } from "../standing.js";
import { shownTheme, token } from "../theme.js";
import { Chart } from "./chart.js";
import { ChartMenu } from "./chart_menu.js";
import { Name } from "./name.js";
import { Readout } from "./readout.js";
import { Swatch } from "./swatch.js";

const DEFAULT_PIXELS = 600;
/** Of a name that has too little room, so much of its end stays. */
const TAIL = 9;
const NAME_MOST = 20;
/** Over a picture, so much for each line of notes, that they cover no curve. */
const NOTE_PX = 17;
const DRAGGED = "application/x-deepevent-chart";
const NO_NOTES = { waiting: true, error: null, nonfinite: 0, hidden: 0, above: 0, below: 0, thinned: false };

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

/** A figure with its run: `best 0.31 ● name`. */
function Figure({ word, of, several, colours }) {
  if (!of) return null;
  const title = [several ? of.run.name : "", of.step === null ? "" : `at step ${of.step}`].filter(Boolean).join(", ");
  return html`<span class=${word} title=${title}><span class="figure">${word} <b>${value(of.value)}</b></span>${several ? html`<span class="whose"> <${Swatch} colour=${colours.get(of.run.id)} /><${Name} text=${of.run.name} most=${NAME_MOST} /></span>` : ""}</span>`;
}

/** What of these curves a picture cannot show: values that are not finite, and on a log scale those that are not positive. */
function counts(shown, log) {
  return {
    nonfinite: shown.reduce((n, curve) => n + curve.nNonfinite, 0),
    hidden: log ? shown.reduce((n, curve) => n + curve.value.reduce((m, v) => m + (v <= 0 ? 1 : 0), 0), 0) : 0,
  };
}

const points = (n) => `${n} ${n === 1 ? "point" : "points"}`;

function Notes({ notes }) {
  const clipped = [notes.above ? `${points(notes.above)} above` : "", notes.below ? `${points(notes.below)} below` : ""].filter(Boolean).join(", ");
  if (!notes.nonfinite && !notes.hidden && !clipped) return null;
  return html`<p class="chart-notes">
    ${notes.nonfinite ? html`<span class="bad">${notes.nonfinite} non-finite ${notes.nonfinite === 1 ? "value" : "values"}</span>` : null}
    ${notes.hidden ? html`<span class="warn">${notes.hidden} ${notes.hidden === 1 ? "value ≤ 0 has" : "values ≤ 0 have"} no place on a log scale</span>` : null}
    ${clipped ? html`<span class="warn">${clipped} the picture${notes.thinned ? ", or more" : ""}</span>` : null}
  </p>`;
}

/** Every run's figures, beside a chart that fills the window. */
function Standings({ metrics, runs, colours }) {
  return html`<div class="standings scroll-x"><table class="plain"><thead><tr><th>run</th>${metrics.length > 1 ? html`<th>metric</th>` : null}<th class="number">last</th><th class="number">best</th><th class="number">at step</th></tr></thead>
    <tbody>${standings(metrics, runs).map((row) => html`<tr><td><${Swatch} colour=${colours.get(row.run.id)} /> <${Name} text=${row.run.name} /></td>${metrics.length > 1 ? html`<td>${row.metric}</td>` : null}<td class="number">${value(row.last)}</td><td class="number">${value(row.best)}</td><td class="number dim">${row.step ?? "–"}</td></tr>`)}</tbody></table></div>`;
}

/** A corner that is dragged: down for the height, far to the right for the whole width. */
function Corner({ title }) {
  const start = useRef(null);
  const move = (event) => {
    if (!start.current) return;
    const { x, y, size } = start.current;
    const across = event.clientX - x;
    setSize(title, { wide: across > 80 ? true : across < -80 ? false : size.wide, height: size.height + event.clientY - y });
  };
  const begin = (event) => {
    event.preventDefault();
    event.target.setPointerCapture(event.pointerId);
    start.current = { x: event.clientX, y: event.clientY, size: sizeOf(title) };
  };
  return html`<i class="corner" title="drag to resize" onPointerDown=${begin} onPointerMove=${move} onPointerUp=${() => (start.current = null)}></i>`;
}

/**
 * @param {{title: string, section: string, siblings: string[], onDropped: (dragged: string, on: string) => void, metrics: {name: string, role: string}[],
 *   runs: object[], colours: Map<string, object>, series: object[]|null, groups?: Map<string, string>|null}} props
 */
export function ChartCard({ title, section, siblings, onDropped, metrics, runs, colours, series, groups = null }) {
  const settings = chartSettings();
  const log = settings.log !== settings.flipped.has(title);
  const zoom = zoomOf(title);
  const size = sizeOf(title);
  const full = settings.full === title;
  const [seen, setSeen] = useState(false);
  const [visible, setVisible] = useState(false);
  const [notes, setNotes] = useState(NO_NOTES);
  const [failure, setFailure] = useState(null);
  const card = useRef(null);
  const handle = useRef(null);
  const drawn = useRef([]);
  const kept = useRef(null);
  const wanted = useMemo(() => wantedSeries(metrics, runs, series), [
    metrics.map((m) => m.name).join(), series, runs.map((run) => run.id + metrics.map((m) => Number(Boolean(run.metrics?.[m.name]))).join("")).join(),
  ]);
  const view = { x: settings.x, smoothing: settings.smoothing, pixels: card.current?.clientWidth || DEFAULT_PIXELS, ...(zoom ? { from: zoom.from, to: zoom.to } : {}) };

  const held = seen && wanted.length ? curves.take(view, wanted) : { key: "", curves: [] };
  useEffect(() => (held.key ? curves.hold(held.key) : undefined), [held.key]);
  const data = useRef(null);
  data.current = { held, wanted, log };

  const note = () => {
    const { curves: mine } = data.current.held;
    const next = {
      waiting: mine.some((curve) => !curve.ready && !curve.error),
      error: mine.find((curve) => curve.error)?.error || null,
      ...counts(mine, data.current.log),
      above: drawn.current.clipped?.above ?? 0,
      below: drawn.current.clipped?.below ?? 0,
      thinned: mine.some((curve) => curve.thinned),
    };
    setNotes((old) => (Object.keys(next).every((key) => old[key] === next[key]) ? old : next));
  };
  useEffect(() => {
    if (!seen) return undefined;
    const names = new Set(wanted.map((s) => curves.seriesKey(s.run, s.metric, s.rank)));
    note();
    return curves.onChange((key, changed) => {
      if (key !== held.key || ![...changed].some((name) => names.has(name))) return;
      handle.current?.redraw(); // live points: without going through this component
      if (data.current.held.curves.some((curve) => curve.error)) note();
    });
  }, [seen, held.key, wanted]);

  const build = () => {
    const lines = wanted.map((s, i) => {
      const colour = colours.get(s.run);
      return { curve: data.current.held.curves[i], run: s.of, role: s.role, colour: token(colour?.token || "--r0"), variant: colour?.variant || 0 };
    });
    const made = chartData(lines.filter((line) => line.curve), {
      x: settings.x, log, smoothing: Boolean(settings.smoothing), clip: settings.clip, several: metrics.length > 1 || runs.length === 1, zoom, groups,
      bad: token("--bad"), warn: token("--warn"), panel: token("--panel"),
    });
    drawn.current = Object.assign(made.drawn, { clipped: made.clipped });
    const { nonfinite, hidden } = counts(data.current.held.curves, log);
    return { ...made, room: NOTE_PX * [nonfinite, hidden, made.clipped?.above || made.clipped?.below].filter(Boolean).length };
  };

  const look = (next) => {
    const unit = settings.x === "time" ? 1000 : 1;
    setZoom(title, next && { ...next, from: next.from / unit, to: next.to / unit });
  };
  const see = (now) => {
    if (now) setSeen(true);
    setVisible(now);
  };
  useEffect(() => {
    if (!full) return undefined;
    const leave = (event) => event.key === "Escape" && setFull(null);
    document.addEventListener("keydown", leave);
    return () => document.removeEventListener("keydown", leave);
  }, [full]);
  const inFile = (step, time, run) => {
    if (!zoom) return true;
    const at = { step, time, relative: time - Number(run.started ?? run.created) }[settings.x];
    return at === undefined || (at >= zoom.from && at <= zoom.to);
  };

  // Far from the screen nothing of it is looked at: its last picture stands until it comes near.
  if (!visible && kept.current && !full) return kept.current;
  const several = metrics.length > 1 || runs.length === 1;
  const version = [log, settings.x, settings.clip, JSON.stringify(settings.smoothing), JSON.stringify(zoom), held.key, shownTheme.value, identity(wanted), groups && [...groups.values()].join("\n"), [...colours].map(([id, c]) => id + c.token).join()].join("|");
  return (kept.current = html`<article class=${`card ${size.wide ? "wide" : ""} ${full ? "full" : ""}`} ref=${card} style=${{ "--plot-height": `${size.height}px` }}
      onDragOver=${(e) => e.dataTransfer.types.includes(DRAGGED) && e.preventDefault()} onDrop=${(e) => { e.preventDefault(); onDropped(e.dataTransfer.getData(DRAGGED), title); }}>
    <header>
      <h3 draggable="true" onDragStart=${(e) => e.dataTransfer.setData(DRAGGED, title)}><${Title} text=${title.startsWith(`${section}/`) ? title.slice(section.length + 1) : title} whole=${title} /></h3>
      <span class="card-tools">
        ${zoom ? html`<button class="quiet" title="show all of the curve again (or press twice in the chart)" onClick=${() => setZoom(title, null)}>whole range</button>` : null}
        <button class="quiet" aria-pressed=${log} title="logarithmic scale" onClick=${() => flipScale(title)}>log</button>
        ${full ? html`<button class="quiet" onClick=${() => setFull(null)}>close</button>` : null}
        <${ChartMenu} title=${title} siblings=${siblings} full=${full} handle=${handle} wanted=${inFile} onFail=${setFailure} series=${wanted.map((s) => ({ run: s.of, metric: s.metric, rank: s.rank }))} />
      </span>
    </header>
    <div class="plot-frame">
      <${Chart} key_=${title} axis_=${settings.x} label=${`Chart of ${title} over ${settings.x}`} version=${version} build=${build} handle=${handle}
        onVisible=${see} onZoom=${look} onDrawn=${note} onFail=${setFailure} />
      <${Readout} chart=${title} axis=${settings.x} handle=${handle} drawn=${drawn} several=${several} colours=${colours} />
      <${Notes} notes=${notes} />
    </div>
    ${notes.waiting && seen ? html`<p class="chart-note waiting-note" aria-busy="true">loading …</p>` : null}
    ${failure || notes.error ? html`<p class="chart-note bad" role="alert">${(failure || notes.error).message}</p>` : null}
    <footer class=${`stands ${runs.length > 1 ? "named" : ""}`}><${Figure} word="last" of=${latest(metrics, runs)} several=${runs.length > 1} colours=${colours} /><${Figure} word="best" of=${best(metrics, runs)} several=${runs.length > 1} colours=${colours} /></footer>
    ${full ? html`<${Standings} metrics=${metrics} runs=${runs} colours=${colours} />` : html`<${Corner} title=${title} />`}
  </article>`);
}

const identities = new WeakMap();
let next = 0;

/** A number that stands for an object, so that a new object makes a new version. */
function identity(thing) {
  if (!identities.has(thing)) identities.set(thing, (next += 1));
  return identities.get(thing);
}
