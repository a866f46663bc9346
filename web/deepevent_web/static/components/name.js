/** A name cut in the middle, the whole in its title; as text always. One without anything to see says so. */
import { html } from "htm/preact";
import { cut } from "../format.js";

const BLANK = /^[\s\p{Cf}]*$/u;

/** @param {{text: string, most?: number}} props */
export function Name({ text, most = 32 }) {
  return html`<bdi class="name" title=${text}>${BLANK.test(text) ? html`<i class="dim">no name</i>` : cut(text, most)}</bdi>`;
}
