/** What people say of the run, in Markdown; written here by who may change runs. */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { change, mayChange } from "../actions.js";
import { Markdown } from "./markdown.js";

/** @param {{run: object}} props */
export function Notes({ run }) {
  const [draft, setDraft] = useState(null);
  const [saving, setSaving] = useState(false);
  const field = useRef(null);
  const writing = draft !== null;
  useEffect(() => {
    if (writing) field.current?.focus();
  }, [writing]);
  if (!run.notes && !mayChange()) return null;
  const save = async (event) => {
    event.preventDefault();
    setSaving(true);
    const done = await change([{ id: run.id, notes: draft }], "Saved the notes");
    setSaving(false);
    if (done) setDraft(null);
  };
  const key = (event) => {
    if (event.key === "Escape") setDraft(null);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save(event);
  };
  if (writing) {
    return html`<form class="notes writing" onSubmit=${save} onKeyDown=${key}>
      <label for="notes">Notes, in Markdown</label>
      <textarea id="notes" ref=${field} rows="8" maxlength="60000" value=${draft} onInput=${(e) => setDraft(e.target.value)}></textarea>
      <div class="form-buttons"><button class="button primary small" type="submit" disabled=${saving}>Save</button><button class="button small" type="button" onClick=${() => setDraft(null)}>Cancel</button><span class="dim">Ctrl+Enter saves</span></div>
      ${draft.trim() ? html`<h3>As it will read</h3><${Markdown} text=${draft} />` : null}
    </form>`;
  }
  const edit = mayChange() ? html`<button class="quiet" onClick=${() => setDraft(run.notes)}>${run.notes ? "edit" : "add notes"}</button>` : null;
  if (!run.notes) return html`<p class="notes-none">${edit}</p>`;
  return html`<section class="notes" aria-label="Notes"><${Markdown} text=${run.notes} />${edit}</section>`;
}
