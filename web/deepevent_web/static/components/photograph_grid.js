/** All photographs of a run at one step and stage, each with its boxes; a press opens one. */
import { html } from "htm/preact";
import { useMemo } from "preact/hooks";
import { blobURL } from "../api.js";
import { drawnBoxes } from "../boxes.js";
import { alive, funnel, read } from "../lineage.js";
import { Name } from "./name.js";
import { Photograph } from "./photograph.js";

function Tile({ photo, item, stage, least, onOpen }) {
  const event = useMemo(() => read(item.data), [item]);
  const living = useMemo(() => alive(event, least), [event, least]);
  const shown = Math.min(stage, event.stages.length - 1);
  const boxes = useMemo(() => drawnBoxes(event, living, shown), [event, living, shown]);
  const row = funnel(event, living)[shown];
  const words = row ? `${row.faces} of ${event.truth.length} faces, ${row.windows} ${row.windows === 1 ? "window" : "windows"}` : "no stage";
  return html`<button class="grid-tile" onClick=${onOpen} aria-label=${`Open ${photo.name}: ${words}`}><${Photograph} src=${blobURL(photo.blob, photo.mime)} alt="" boxes=${boxes} /><span><${Name} text=${photo.name} most=${24} /> <small>${words}</small></span></button>`;
}

/** @param {{photos: object[], at: (photo: object) => object, stage: number, least: number, onPick: (index: number) => void}} props */
export function PhotographGrid({ photos, at, stage, least, onPick }) {
  return html`<div class="photo-grid">${photos.map((photo, i) => html`<${Tile} key=${photo.key} photo=${photo} item=${at(photo)} stage=${stage} least=${least} onOpen=${() => onPick(i)} />`)}</div>`;
}
