/** The photographs of a run beside each other, with what was found on each. */
import { html } from "htm/preact";
import { blobURL } from "../api.js";
import { alive, fate, read } from "../lineage.js";
import { Name } from "./name.js";

function found(event) {
  const data = read(event.data);
  if (data.truth.length === 0) return "no face marked";
  const living = alive(data, 0);
  return `${data.truth.filter((face) => fate(data, living, face).found).length} of ${data.truth.length} found`;
}

/** @param {{photos: object[], at: (photo: object) => object, current: object, onPick: (index: number) => void}} props */
export function Thumbnails({ photos, at, current, onPick }) {
  return html`<div class="thumbnails" role="listbox" aria-label="Photographs">
    ${photos.map((photo, i) => html`<button key=${photo.key} role="option" aria-selected=${photo === current} class="thumbnail" onClick=${() => onPick(i)}>
      <img src=${blobURL(photo.blob, photo.mime)} alt="" loading="lazy" />
      <span><${Name} text=${photo.name} most=${16} /></span><span class="dim">${found(at(photo))}</span>
    </button>`)}
  </div>`;
}
