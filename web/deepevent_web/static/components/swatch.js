/** A run's colour with a shape that tells apart runs of the same colour. */
import { html } from "htm/preact";

const SHAPES = ["round", "square", "diamond", "ring"];

/** @param {{colour?: {token: string, variant: number}|null, off?: boolean}} props */
export function Swatch({ colour, off = false }) {
  const shape = SHAPES[(colour?.variant ?? 0) % SHAPES.length];
  const style = off || !colour ? {} : { "--run": `var(${colour.token})` };
  return html`<i class=${`swatch ${shape} ${off || !colour ? "off" : ""}`} style=${style} aria-hidden="true"></i>`;
}
