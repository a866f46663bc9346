/**
 * The filter: the page's main control. Written in the language of docs/api.md, checked by the server;
 * a mistake is shown under the line at its place, and the last good list stays.
 */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { href, param, setParams } from "../router.js";
import { list, shown } from "../state.js";
import { count } from "../format.js";
import { ColumnMenu } from "./column_menu.js";

const APPLY_MS = 350;
const EXAMPLES = [
  'status = "running"',
  'name contains "det12"',
  "config.lr < 0.01",
  'metrics["val/accuracy"].max > 0.9',
  '"lfw" in tags',
];

/** Where in the text the server saw the mistake, if it says so. */
function placeOf(problem) {
  const position = problem.errors.find((error) => error.field === "filter")?.position;
  return Number.isInteger(position) ? position : null;
}

function Mistake({ problem, text }) {
  const at = placeOf(problem);
  const detail = problem.errors.find((error) => error.field === "filter")?.detail || problem.message;
  return html`<div class="filter-problem" role="alert" id="filter-problem">
    ${at === null ? null : html`<pre aria-hidden="true"><span>${text.slice(0, at)}</span><mark>${text.slice(at, at + 1) || " "}</mark><span>${text.slice(at + 1)}</span></pre>`}
    <p>${detail}</p>
  </div>`;
}

/** @returns the filter, its mistakes, and how many runs it leaves */
export function FilterLine() {
  const applied = param("filter");
  const [text, setText] = useState(applied);
  const [focused, setFocused] = useState(false);
  const timer = useRef(null);
  const input = useRef(null);
  useEffect(() => {
    if (document.activeElement !== input.current) setText(applied);
  }, [applied]);

  const apply = (next) => {
    clearTimeout(timer.current);
    setParams({ filter: next.trim() || null });
  };
  const change = (next) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => apply(next), APPLY_MS);
  };
  const { error, rows, total, loading } = list.value;
  const mistake = error?.status === 422 && applied ? error : null;

  return html`
    <form class="filter" role="search" onSubmit=${(event) => { event.preventDefault(); apply(text); }}>
      <label class="unseen" for="filter">Filter runs</label>
      <div class=${`filter-box ${mistake ? "wrong" : ""}`}>
        <input id="filter" ref=${input} value=${text} placeholder='filter runs: status = "running" and config.lr < 0.01' autocomplete="off" autocapitalize="off" spellcheck="false"
          aria-invalid=${mistake ? "true" : undefined} aria-describedby=${mistake ? "filter-problem" : undefined}
          onInput=${(event) => change(event.target.value)} onFocus=${() => setFocused(true)} onBlur=${() => setTimeout(() => setFocused(false), 150)} />
        ${text ? html`<button type="button" class="quiet" onClick=${() => { setText(""); apply(""); }}>clear</button>` : html`<kbd title="Press / to write a filter">/</kbd>`}
      </div>
      ${mistake ? html`<${Mistake} problem=${mistake} text=${applied} />` : null}
      ${focused && !text ? html`<div class="filter-examples"><span class="dim">for example</span>${EXAMPLES.map((example) => html`<button type="button" class="chip" onMouseDown=${(e) => e.preventDefault()} onClick=${() => change(example)}>${example}</button>`)}</div>` : null}
    </form>
    <span class="bar-count" aria-live="polite">${total === null ? "" : loading && rows.length === 0 ? "…" : `${count(total)} ${total === 1 ? "run" : "runs"}`}</span>
    ${shown.value.length > 1 && rows.length ? html`<a class="button" href=${href("/compare", { runs: shown.value.join(",") })} title="the shown runs side by side">Compare</a>` : null}
    <${ColumnMenu} />
  `;
}
