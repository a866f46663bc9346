/**
 * The filter: the page's main control. Written in the language of docs/api.md, completed while it is typed,
 * checked by the server; a mistake is shown under the line at its place, and the last good list stays.
 */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { listNames, listValues } from "../api.js";
import { complete, pick } from "../completion.js";
import { count, cut } from "../format.js";
import { href, param, setParams } from "../router.js";
import { list, shown } from "../state.js";
import { ColumnMenu } from "./column_menu.js";
import { ListControls } from "./list_controls.js";

const APPLY_MS = 350;
const NO_NAMES = { config: [], summary: [], metrics: [], tags: [] };
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

/** What can stand at the caret, with values from the server where a field has some. */
function useCompletion(text, caret, focused) {
  const [names, setNames] = useState(NO_NAMES);
  const [values, setValues] = useState({ of: null, options: [] });
  useEffect(() => {
    if (focused) listNames().then(setNames, () => {}); // without names the operators are still offered
  }, [focused]);
  const found = complete(text, caret, names);
  useEffect(() => {
    if (!focused || !found.valuesOf || values.of === found.valuesOf) return undefined;
    const stop = new AbortController();
    const of = found.valuesOf;
    listValues(of, stop.signal).then((answer) => setValues({ of, options: answer.values.map((one) => ({ text: JSON.stringify(one), note: "" })) }), () => {});
    return () => stop.abort();
  }, [focused, found.valuesOf]);
  const more = found.valuesOf && values.of === found.valuesOf ? pick(values.options, found.typed) : [];
  return { ...found, options: [...found.options, ...more] };
}

/** @returns the filter, its mistakes, and how many runs it leaves */
export function FilterLine() {
  const applied = param("filter");
  const [text, setText] = useState(applied);
  const [focused, setFocused] = useState(false);
  const [caret, setCaret] = useState(0);
  const [at, setAt] = useState(-1);
  const [closed, setClosed] = useState(false);
  const timer = useRef(null);
  const input = useRef(null);
  useEffect(() => {
    if (document.activeElement !== input.current) setText(applied);
  }, [applied]);
  const { from, to, options } = useCompletion(text, caret, focused);
  const open = focused && !closed && options.length > 0 && Boolean(text);

  const apply = (next) => {
    clearTimeout(timer.current);
    setParams({ filter: next.trim() || null });
  };
  const change = (next, place = next.length) => {
    setText(next);
    setCaret(place);
    setAt(-1);
    setClosed(false);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => apply(next), APPLY_MS);
  };
  const take = (option) => {
    const rest = text.slice(to);
    const space = rest.startsWith(" ") ? "" : " ";
    const next = `${text.slice(0, from)}${option.text}${space}${rest}`;
    const place = from + option.text.length + 1;
    // At once, so that whoever types on finds the caret where it belongs.
    input.current.value = next;
    input.current.focus();
    input.current.setSelectionRange(place, place);
    change(next, place);
  };
  const moved = () => setCaret(input.current.selectionStart);
  const key = (event) => {
    if (!open) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      event.preventDefault();
      setAt((at + by + options.length + (at < 0 && by < 0 ? 1 : 0)) % options.length);
    } else if (event.key === "Tab" && !event.shiftKey && at < 0 && options.length && to > from) {
      event.preventDefault();
      take(options[0]);
    } else if ((event.key === "Enter" || event.key === "Tab") && at >= 0) {
      event.preventDefault();
      take(options[at]);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      setClosed(true);
    }
  };
  useEffect(() => {
    if (at >= 0) document.getElementById(`filter-option-${at}`)?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const { error, rows, total, loading } = list.value;
  const mistake = error?.status === 422 && applied ? error : null;

  return html`
    <form class="filter" role="search" onSubmit=${(event) => { event.preventDefault(); setClosed(true); apply(text); }}>
      <label class="unseen" for="filter">Filter runs</label>
      <div class=${`filter-box ${mistake ? "wrong" : ""}`}>
        <input id="filter" ref=${input} value=${text} placeholder='filter runs: status = "running" and config.lr < 0.01' autocomplete="off" autocapitalize="off" spellcheck="false"
          role="combobox" aria-expanded=${open} aria-controls="filter-options" aria-autocomplete="list" aria-activedescendant=${open && at >= 0 ? `filter-option-${at}` : undefined}
          aria-invalid=${mistake ? "true" : undefined} aria-describedby=${mistake ? "filter-problem" : undefined}
          onInput=${(event) => change(event.target.value, event.target.selectionStart)} onKeyDown=${key} onKeyUp=${moved} onClick=${moved}
          onFocus=${() => setFocused(true)} onBlur=${() => setTimeout(() => setFocused(false), 150)} />
        ${text ? html`<button type="button" class="quiet" onClick=${() => { setText(""); apply(""); }}>clear</button>` : html`<kbd title="Press / to write a filter">/</kbd>`}
      </div>
      <div class="filter-below">
        ${mistake && !open ? html`<${Mistake} problem=${mistake} text=${applied} />` : null}
        ${open ? html`<ul class="filter-options" id="filter-options" role="listbox" aria-label="What can stand here">${options.map((option, i) => html`<li key=${option.text} id=${`filter-option-${i}`} role="option" aria-selected=${i === at} onMouseDown=${(e) => e.preventDefault()} onClick=${() => take(option)}><code>${cut(option.text, 60)}</code><small>${option.note}</small></li>`)}</ul>` : null}
        ${focused && !text ? html`<div class="filter-examples"><span class="dim">for example</span>${EXAMPLES.map((example) => html`<button type="button" class="chip" tabindex="-1" onMouseDown=${(e) => e.preventDefault()} onClick=${() => change(example)}>${example}</button>`)}</div>` : null}
      </div>
    </form>
    <span class="bar-count" aria-live="polite">${total === null ? "" : loading && rows.length === 0 ? "…" : `${count(total)} ${total === 1 ? "run" : "runs"}`}</span>
    <${ListControls} />
    ${shown.value.length > 1 && rows.length ? html`<a class="button" href=${href("/compare", { runs: shown.value.join(",") })} title="the shown runs side by side">Compare</a>` : null}
    <${ColumnMenu} />
  `;
}
