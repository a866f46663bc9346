/** What stands where nothing is yet: a sentence, what to type, and a button that copies it. Also errors and waiting. */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { announcement } from "../keys.js";

/** A command, ready to copy. @param {{text: string}} props */
export function Command({ text }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return; // without permission the text can still be marked by hand
    }
    setCopied(true);
    announcement.value = "Copied";
    setTimeout(() => setCopied(false), 1500);
  };
  return html`<div class="command"><pre><code>${text}</code></pre><button class="button small" onClick=${copy}>${copied ? "Copied" : "Copy"}</button></div>`;
}

/** @param {{title: string, command?: string, children?: unknown, below?: boolean}} props `below`: room above for what hangs there */
export function Empty({ title, command, children, below = false }) {
  return html`<section class=${`empty ${below ? "below" : ""}`}><h2>${title}</h2>${children ? html`<p>${children}</p>` : null}${command ? html`<${Command} text=${command} />` : null}</section>`;
}

/** An answer that did not come. @param {{error: Error, retry?: () => void}} props */
export function Failed({ error, retry }) {
  return html`<section class="empty failed" role="alert">
    <h2>${error.title || "This did not work"}</h2>
    <p>${error.message}</p>
    ${retry ? html`<button class="button" onClick=${retry}>Try again</button>` : null}
  </section>`;
}

/** Waiting, said once and without movement. @param {{what: string}} props */
export const Waiting = ({ what }) => html`<p class="waiting" aria-busy="true">Loading ${what} …</p>`;
