/** A run's name as the page's heading; renamed in place by who may change runs. */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { change, mayChange } from "../actions.js";
import { Name } from "./name.js";

/** @param {{run: object}} props */
export function RunName({ run }) {
  const [text, setText] = useState(null);
  const field = useRef(null);
  const writing = text !== null;
  useEffect(() => {
    if (!writing) return;
    field.current.focus();
    field.current.select();
  }, [writing]);
  if (!writing) return html`<h1><${Name} text=${run.name} most=${48} /></h1>${mayChange() ? html`<button class="quiet" onClick=${() => setText(run.name)}>rename</button>` : null}`;
  const save = (event) => {
    event.preventDefault();
    const name = text.trim();
    setText(null);
    if (name && name !== run.name) change([{ id: run.id, name }], `Renamed to “${name}”`);
  };
  return html`<form class="rename" onSubmit=${save} onKeyDown=${(e) => e.key === "Escape" && setText(null)}>
    <input class="field" ref=${field} aria-label="Name of the run" maxlength="250" value=${text} onInput=${(e) => setText(e.target.value)} onBlur=${save} />
  </form>`;
}
