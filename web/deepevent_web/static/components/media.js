/** Everything a run logged beside numbers and detections: images, figures, histograms, tables, texts, each by name. */
import { html } from "htm/preact";
import { useMemo } from "preact/hooks";
import { blobURL } from "../api.js";
import { useMedia } from "../media_store.js";
import { param, setParams } from "../router.js";
import { DataTable } from "./data_table.js";
import { Empty, Failed, Waiting } from "./empty.js";
import { Figure } from "./figure.js";
import { Histogram } from "./histogram.js";
import { Name } from "./name.js";
import { Photograph } from "./photograph.js";
import { StepOf, useSteps } from "./step_slider.js";

function Image({ name, items }) {
  const { item, slider } = useSteps(items, name);
  const boxes = useMemo(() => (item.data?.boxes || []).filter((box) => Array.isArray(box) && box.length >= 4).map((box) => ({ box: box.slice(0, 4).map(Number), style: "child" })), [item]);
  return html`<article class="card media-card">
    <header><h3><${Name} text=${name} most=${30} /></h3><${StepOf} item=${item} /></header>
    <${Photograph} src=${blobURL(item.blob, item.mime)} alt=${item.data?.caption || name} boxes=${boxes} />
    ${item.data?.caption ? html`<p class="caption">${item.data.caption}</p>` : null}
    ${slider}
  </article>`;
}

function Text({ name, items }) {
  const { item, slider } = useSteps(items, name);
  return html`<article class="card media-card">
    <header><h3><${Name} text=${name} most=${30} /></h3><${StepOf} item=${item} /></header>
    <pre class="text-sample" tabindex="0" aria-label=${name}>${String(item.data?.text ?? "")}</pre>
    ${slider}
  </article>`;
}

const KINDS = [
  ["image", "Images", Image],
  ["figure", "Figures", Figure],
  ["histogram", "Histograms", Histogram],
  ["table", "Tables", DataTable],
  ["text", "Texts", Text],
];
const HOW_TO = `run.log_image("samples", image, step=epoch)
run.log_histogram("weights", values, step=epoch)
run.log_table("confusion", rows)
run.log_figure("roc", figure)`;

function byName(items, search) {
  const found = new Map();
  for (const item of items) found.set(item.name, [...(found.get(item.name) || []), item]);
  return [...found].filter(([name]) => name.toLowerCase().includes(search)).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** @param {{run: string}} props */
export function Media({ run }) {
  const kinds = KINDS.map(([kind, title, Card]) => ({ kind, title, Card, ...useMedia(run, kind) }));
  const search = param("media").toLowerCase();
  const error = kinds.find((one) => one.error)?.error;
  const nothing = kinds.every((one) => one.items.length === 0);
  if (error && nothing) return html`<${Failed} error=${error} />`;
  if (kinds.some((one) => one.loading) && nothing) return html`<${Waiting} what="media" />`;
  if (nothing) return html`<${Empty} title="No media in this run" command=${HOW_TO}>Images, histograms, figures, tables and texts stand here, each with a slider over the steps.<//>`;
  const usable = (one) => one.items.filter((item) => item.blob || !["image", "figure"].includes(one.kind));
  return html`<div class="controls"><input class="field" type="search" placeholder="find media" aria-label="Find media by name" value=${param("media")} onInput=${(e) => setParams({ media: e.target.value || null })} /></div>
    ${kinds.map((one) => {
      const names = byName(usable(one), search);
      return names.length ? html`<section key=${one.kind} class="media-section" aria-label=${one.title}><h2>${one.title} <small>${names.length}</small></h2><div class="media-grid">${names.map(([name, items]) => html`<${one.Card} key=${name} name=${name} items=${items} />`)}</div></section>` : null;
    })}`;
}
