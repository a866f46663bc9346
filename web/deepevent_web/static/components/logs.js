/**
 * What the script printed. Lines count from 1, so any part is fetched by its numbers: only what is in view is in
 * the document, a million lines open at once, and the end follows as the socket tells of new lines. A search asks
 * the server, which looks through all of them.
 */
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { getLogs } from "../api.js";
import { count, moment, number } from "../format.js";
import { bindKeys } from "../keys.js";
import { onLogs, onReconnect } from "../live.js";
import { Empty, Failed } from "./empty.js";

const CHUNK = 500;
const LINE_PX = 19;
const SPARE_LINES = 30;
const MOST_HITS = 1000;
const SEARCH_MS = 250;
/** Colours and cursor movements of a terminal, and what a progress bar wrote over. */
const CONTROL = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\))/g;

const readable = (text) => text.replace(/\r?\n$/, "").replace(CONTROL, "").split("\r").pop();

/** The lines in view, fetched in chunks that are kept while they are whole. */
function useLines(run, total, first, last) {
  const kept = useRef(new Map());
  const [, redraw] = useState(0);
  const [error, setError] = useState(null);
  const wanted = [];
  for (let chunk = Math.floor(first / CHUNK); chunk * CHUNK < last; chunk += 1) wanted.push(chunk);
  useEffect(() => {
    for (const chunk of wanted) {
      const have = kept.current.get(chunk);
      const need = Math.min(CHUNK, total - chunk * CHUNK);
      if (have?.asking || (have && have.lines.length >= need)) continue;
      kept.current.set(chunk, { lines: have?.lines || [], asking: true });
      getLogs(run, { after: chunk * CHUNK, limit: CHUNK }).then(
        ({ lines }) => {
          kept.current.set(chunk, { lines });
          setError(null);
          redraw((n) => n + 1);
        },
        (problem) => {
          kept.current.delete(chunk);
          setError(problem);
        },
      );
    }
  });
  return { line: (index) => kept.current.get(Math.floor(index / CHUNK))?.lines[index % CHUNK], error };
}

/** Hits of a search: the numbers of their lines. */
function useSearch(run, text) {
  const [found, setFound] = useState({ text: "", hits: [], more: false, error: null });
  useEffect(() => {
    if (!text) {
      setFound({ text: "", hits: [], more: false, error: null });
      return undefined;
    }
    const stop = new AbortController();
    const timer = setTimeout(() => {
      getLogs(run, { search: text, limit: MOST_HITS }, stop.signal).then(
        ({ lines }) => setFound({ text, hits: lines.map((line) => line.index - 1), more: lines.length === MOST_HITS, error: null }),
        (error) => error.name !== "AbortError" && setFound({ text, hits: [], more: false, error }),
      );
    }, SEARCH_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [run, text]);
  return found;
}

function marked(text, search) {
  if (!search) return text;
  const low = text.toLowerCase();
  const parts = [];
  let at = 0;
  for (let hit = low.indexOf(search); hit >= 0; hit = low.indexOf(search, at)) {
    parts.push(text.slice(at, hit), html`<mark>${text.slice(hit, hit + search.length)}</mark>`);
    at = hit + search.length;
  }
  return [...parts, text.slice(at)];
}

/** @param {{run: object}} props */
export function Logs({ run }) {
  const [total, setTotal] = useState(number(run.n_logs) || 0);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const [view, setView] = useState({ top: 0, height: 600 });
  const [follow, setFollow] = useState(true);
  const pane = useRef(null);
  const field = useRef(null);
  useEffect(() => {
    const grow = (n) => setTotal((old) => Math.max(old, n));
    grow(number(run.n_logs) || 0);
    const deaf = onLogs((logs) => logs.forEach(({ run: id, n }) => id === run.id && grow(n)));
    // Lines that came while nobody told: whatever stands behind the last one known.
    const ask = () => getLogs(run.id, { after: total, limit: 1000 }).then(({ next }) => grow(next), () => {});
    ask();
    const back = onReconnect(ask);
    return () => {
      deaf();
      back();
    };
  }, [run.id, run.n_logs, run.status]);
  useEffect(() => bindKeys({ "/": () => field.current?.focus() }), []);
  const first = Math.max(0, Math.floor(view.top / LINE_PX) - SPARE_LINES);
  const last = Math.min(total, Math.ceil((view.top + view.height) / LINE_PX) + SPARE_LINES);
  const { line, error } = useLines(run.id, total, first, last);
  const search = useSearch(run.id, text.trim());
  useLayoutEffect(() => {
    if (follow && pane.current) pane.current.scrollTop = pane.current.scrollHeight;
  }, [total, follow]);
  const measure = () => pane.current && setView({ top: pane.current.scrollTop, height: pane.current.clientHeight });
  useEffect(measure, [total > 0]);
  const goTo = (hit) => {
    setFollow(false);
    setAt(hit);
    if (pane.current) pane.current.scrollTop = Math.max(0, search.hits[hit] * LINE_PX - pane.current.clientHeight / 2);
  };
  useEffect(() => {
    if (search.hits.length) goTo(0);
  }, [search.text, search.hits.length > 0]);
  if (total === 0) return html`<${Empty} title="No log lines" command=${"deepevent run -- python train.py"}>The script of this run sent none. With <code>capture_output=True</code>, or started like this, its output stands here.<//>`;
  const scrolled = () => {
    measure();
    const { scrollTop, clientHeight, scrollHeight } = pane.current;
    setFollow(scrollTop + clientHeight > scrollHeight - LINE_PX * 2);
  };
  const step = (by) => search.hits.length && goTo((at + by + search.hits.length) % search.hits.length);
  const key = (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    step(event.shiftKey ? -1 : 1);
  };
  const current = search.hits[at];
  const shown = [];
  for (let index = first; index < last; index += 1) {
    const one = line(index);
    const words = one ? readable(one.text) : "";
    shown.push(html`<div key=${index} class=${`line ${one?.stream || ""} ${index === current && text ? "current" : ""}`} title=${one ? moment(number(one.time)) : undefined}><span class="line-number" aria-hidden="true">${index + 1}</span>${marked(words, text.trim().toLowerCase())}\n</div>`);
  }
  return html`<div class="logs-page">
    <div class="controls log-controls">
      <input class="field" ref=${field} type="search" placeholder="search the log" aria-label="Search the log" maxlength="200" value=${text} onInput=${(e) => setText(e.target.value)} onKeyDown=${key} />
      ${text.trim() ? html`<span class="dim" role="status">${search.error ? search.error.message : search.text !== text.trim() ? "searching …" : search.hits.length ? `${at + 1} of ${count(search.hits.length)}${search.more ? " or more" : ""}` : "no line holds this"}</span>
        <button class="button small" aria-label="Previous hit" disabled=${!search.hits.length} onClick=${() => step(-1)}>↑</button><button class="button small" aria-label="Next hit" disabled=${!search.hits.length} onClick=${() => step(1)}>↓</button>` : null}
      <span class="grow"></span>
      <span class="dim">${count(total)} lines</span>
      <button class="button small" aria-pressed=${follow} onClick=${() => setFollow(!follow)} title="stay at the end while lines arrive">Follow</button>
    </div>
    ${error ? html`<${Failed} error=${error} />` : null}
    <div class="logs" ref=${pane} onScroll=${scrolled} tabindex="0" role="region" aria-label="Log">
      <div class="log-lines" style=${{ height: `${total * LINE_PX}px` }}><div style=${{ transform: `translateY(${first * LINE_PX}px)` }}>${shown}</div></div>
    </div>
  </div>`;
}
