/** What was just done, with a button that undoes it; gone after a while, over the page so that nothing moves. */
import { html } from "htm/preact";
import { dismiss, notice } from "../actions.js";

/** @returns the newest notice, or nothing */
export function Toast() {
  const said = notice.value;
  if (!said) return null;
  return html`<div class=${`toast ${said.bad ? "wrong" : ""}`} role=${said.bad ? "alert" : "status"}>
    <span>${said.text}</span>
    ${said.undo ? html`<button class="button small" onClick=${said.undo}>Undo <kbd>u</kbd></button>` : null}
    <button class="quiet" aria-label="Close this notice" onClick=${dismiss}>×</button>
  </div>`;
}
