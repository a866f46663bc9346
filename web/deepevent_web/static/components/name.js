/** A name cut in the middle, the whole in its title; as text always. */
import { html } from "htm/preact";
import { cut } from "../format.js";

/** @param {{text: string, most?: number}} props */
export function Name({ text, most = 32 }) {
  return html`<bdi class="name" title=${text}>${cut(text, most)}</bdi>`;
}
