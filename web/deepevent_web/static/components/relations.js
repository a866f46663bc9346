/** Relations between runs: parallel coordinates and a scatter plot with one brush, which selects runs for all of the page. */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { axesOf, brushText, firstAxes } from "../relations.js";
import { param, setParams } from "../router.js";
import { Parallel } from "./parallel.js";
import { Popover } from "./popover.js";
import { Scatter } from "./scatter.js";

function read(name, fallback) {
  try {
    return JSON.parse(param(name)) ?? fallback;
  } catch {
    return fallback;
  }
}

/** The brush as the URL has it. @returns {Record<string, unknown[]>} */
export function brushParam() {
  const found = read("brush", {});
  return Object.fromEntries(Object.entries(found).filter(([, part]) => Array.isArray(part) && part.length));
}

function AxisMenu({ offered, chosen }) {
  const [search, setSearch] = useState("");
  const toggle = (key) => {
    const next = chosen.includes(key) ? chosen.filter((other) => other !== key) : [...chosen, key];
    setParams({ axes: JSON.stringify(next) });
  };
  const found = offered.filter(({ label }) => label.toLowerCase().includes(search.toLowerCase()));
  return html`<${Popover} text="Axes" label="Axes of the parallel coordinates" wide>
    <input class="field" placeholder="find an axis" aria-label="Find an axis" value=${search} onInput=${(e) => setSearch(e.target.value)} />
    <div class="column-list">${found.map(({ key, label }) => html`<label class="column-row control" key=${key}><span>${label}</span><input type="checkbox" checked=${chosen.includes(key)} onChange=${() => toggle(key)} /></label>`)}</div>
    <button class="quiet" onClick=${() => setParams({ axes: null })}>as it was</button>
  <//>`;
}

/** @param {{runs: object[], chosen: object[], ids: string[], colours: Map<string, object>, differing: Record<string, object>}} props */
export function Relations({ runs, chosen, ids, colours, differing }) {
  const offered = axesOf(runs);
  const known = new Map(offered.map((axis) => [axis.key, axis]));
  const first = firstAxes(runs, differing);
  const axes = read("axes", first).filter((key) => known.has(key));
  const brush = brushParam();
  const isChosen = new Set(chosen.map((run) => run.id));
  const write = (parts) => {
    const next = { ...brush };
    for (const [key, part] of Object.entries(parts)) {
      if (part === null || part.length === 0) delete next[key];
      else next[key] = part;
    }
    setParams({ brush: Object.keys(next).length ? JSON.stringify(next) : null });
  };
  const metric = first.filter((key) => key.startsWith("metric:"))[0];
  const x = known.has(param("sx")) ? param("sx") : (first[0] ?? offered[0]?.key);
  const y = known.has(param("sy")) ? param("sy") : (metric ?? offered[offered.length - 1]?.key);
  const pick = (name, value, text) => html`<label class="control">${text} <select value=${value} onChange=${(e) => setParams({ [name]: e.target.value })}>${offered.map(({ key, label }) => html`<option value=${key}>${label}</option>`)}</select></label>`;
  const labelOf = (key) => known.get(key)?.label ?? key;
  return html`<section class="relations" aria-label="Relations between runs">
    <h2 class="unseen">Relations</h2>
    <p class="brushes"><span class="dim">${Object.keys(brush).length ? `${chosen.length} of ${runs.length} runs selected:` : "Drag along an axis, or over points, to select runs; all of the page then shows those."}</span>
      ${Object.entries(brush).map(([key, part]) => html`<button class="chip" key=${key} title="take this selection back" onClick=${() => write({ [key]: null })}>${brushText(labelOf(key), part)} ×</button>`)}
      ${Object.keys(brush).length && chosen.length ? html`<button class="quiet" onClick=${() => setParams({ runs: ids.filter((id) => isChosen.has(id)).join(","), brush: null }, { push: true })}>keep only these</button>` : null}</p>
    <article class="card"><header><h3>Parallel coordinates</h3><span class="card-tools"><${AxisMenu} offered=${offered} chosen=${axes} /></span></header>
      <${Parallel} runs=${runs} chosen=${isChosen} axes=${axes.map((key) => known.get(key))} colours=${colours} brush=${brush} onBrush=${(key, part) => write({ [key]: part })} /></article>
    <article class="card"><header><h3>Scatter</h3><span class="card-tools">${pick("sx", x, "x")}${pick("sy", y, "y")}</span></header>
      <${Scatter} runs=${runs} chosen=${isChosen} x=${x} y=${y} label=${`${labelOf(y)} over ${labelOf(x)}`} colours=${colours} brush=${brush} onBrush=${write} /></article>
  </section>`;
}
