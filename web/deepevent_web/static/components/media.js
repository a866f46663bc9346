/** Images of a run: one card per name, with a slider over the steps. */
import { html } from "htm/preact";
import { useMemo, useState } from "preact/hooks";
import { blobURL } from "../api.js";
import { useMedia } from "../media_store.js";
import { Empty, Failed, Waiting } from "./empty.js";
import { Name } from "./name.js";
import { Photograph } from "./photograph.js";

function Card({ name, items }) {
  const [at, setAt] = useState(null);
  const index = at === null || at >= items.length ? items.length - 1 : at;
  const item = items[index];
  const boxes = useMemo(() => (item.data?.boxes || []).filter((box) => Array.isArray(box) && box.length >= 4).map((box) => ({ box: box.slice(0, 4).map(Number), style: "child" })), [item]);
  return html`<article class="card media-card">
    <header><h3><${Name} text=${name} most=${30} /></h3><span class="dim">step ${item.step}</span></header>
    <${Photograph} src=${blobURL(item.blob, item.mime)} alt=${item.data?.caption || name} boxes=${boxes} />
    ${item.data?.caption ? html`<p class="caption">${item.data.caption}</p>` : null}
    ${items.length > 1 ? html`<input type="range" aria-label=${`Step of ${name}`} min="0" max=${items.length - 1} value=${index} onInput=${(e) => setAt(Number(e.target.value))} />` : null}
  </article>`;
}

/** @param {{run: string}} props */
export function Media({ run }) {
  const { items, loading, error } = useMedia(run, "image");
  const names = useMemo(() => {
    const found = new Map();
    for (const item of items) if (item.blob) found.set(item.name, [...(found.get(item.name) || []), item]);
    return [...found].sort(([a], [b]) => (a < b ? -1 : 1));
  }, [items]);
  if (error && !items.length) return html`<${Failed} error=${error} />`;
  if (loading && !items.length) return html`<${Waiting} what="images" />`;
  if (!names.length) return html`<${Empty} title="No images in this run" command=${'run.log_image("samples", image, step=epoch)'} />`;
  return html`<div class="media-grid">${names.map(([name, list]) => html`<${Card} key=${name} name=${name} items=${list} />`)}</div>`;
}
