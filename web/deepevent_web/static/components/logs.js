/** What the script printed: the lines so far, then new ones while it runs and the tab is open. */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { getLogs } from "../api.js";
import { Empty, Failed, Waiting } from "./empty.js";

const PAGE_LINES = 1000;
const MOST_LINES = 5000;
const POLL_MS = 1500;

/** @param {{run: object}} props */
export function Logs({ run }) {
  const [lines, setLines] = useState(null);
  const [error, setError] = useState(null);
  const pane = useRef(null);
  const atEnd = useRef(true);
  const running = run.status === "running";
  useEffect(() => {
    let timer = null;
    let stopped = false;
    let after;
    const load = async () => {
      try {
        const page = await getLogs(run.id, { after, limit: PAGE_LINES });
        if (stopped) return;
        if (page.lines.length) after = page.lines[page.lines.length - 1].index;
        setLines((old) => [...(old || []), ...page.lines].slice(-MOST_LINES));
        setError(null);
        if (page.lines.length === PAGE_LINES) return void load();
      } catch (problem) {
        if (!stopped) setError(problem);
      }
      if (running && !stopped) timer = setTimeout(load, POLL_MS);
    };
    setLines(null);
    load();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [run.id, running]);
  useEffect(() => {
    if (atEnd.current && pane.current) pane.current.scrollTop = pane.current.scrollHeight;
  }, [lines]);
  if (error && !lines?.length) return html`<${Failed} error=${error} />`;
  if (lines === null) return html`<${Waiting} what="the log" />`;
  if (lines.length === 0) return html`<${Empty} title="No log lines">The script of this run sent none.<//>`;
  const onScroll = () => (atEnd.current = pane.current.scrollTop + pane.current.clientHeight > pane.current.scrollHeight - 40);
  return html`<div class="logs" ref=${pane} onScroll=${onScroll} tabindex="0" role="log" aria-label="Log">${lines.map((line) => html`<div key=${line.index} class=${line.stream}>${line.text.replace(/\n$/, "")}</div>`)}</div>`;
}
