/** The list of keys, opened with `?`. */
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import { helpOpen } from "../keys.js";

const KEYS = [
  ["/", "write a filter"],
  ["j  k", "next and previous run"],
  ["x", "draw or hide the run in the charts"],
  ["o  Enter", "open the run"],
  ["s", "select the run, or let it go"],
  ["Delete", "delete the selected runs, or the run"],
  ["u", "undo what was done last"],
  ["←  →", "previous and next stage (detections)"],
  ["↑  ↓", "next and previous epoch (detections)"],
  ["Space", "play through the epochs (detections)"],
  ["?", "this list"],
  ["Esc", "close, leave a field"],
];

/** A dialog with every key. */
export function Help() {
  const dialog = useRef(null);
  const open = helpOpen.value;
  useEffect(() => {
    if (open && !dialog.current.open) dialog.current.showModal();
    if (!open && dialog.current.open) dialog.current.close();
  }, [open]);
  return html`
    <dialog class="help" ref=${dialog} aria-labelledby="help-title" onClose=${() => (helpOpen.value = false)}>
      <h2 id="help-title">Keys</h2>
      <dl>${KEYS.map(([key, text]) => html`<div><dt>${key.split("  ").map((k) => html`<kbd>${k}</kbd>`)}</dt><dd>${text}</dd></div>`)}</dl>
      <button class="button" onClick=${() => (helpOpen.value = false)}>Close</button>
    </dialog>
  `;
}
