/** The line between table and charts: dragged, or moved with the arrow keys; kept in this browser. */
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";

const KEY = "deepevent.table-width";
const LEAST = 25;
const MOST = 75;
const STEP = 2;
const DEFAULT = 44;

function kept() {
  try {
    return Number(localStorage.getItem(KEY)) || DEFAULT;
  } catch {
    return DEFAULT;
  }
}

/** @returns a separator that sets `--table-width` on its parent */
export function Divider() {
  const line = useRef(null);
  const width = useRef(kept());
  const set = (percent) => {
    width.current = Math.min(MOST, Math.max(LEAST, percent));
    line.current.parentElement.style.setProperty("--table-width", `${width.current}%`);
    line.current.setAttribute("aria-valuenow", Math.round(width.current));
  };
  const keep = () => {
    try {
      localStorage.setItem(KEY, width.current.toFixed(1));
    } catch {
      // without storage the width lasts until the page is left
    }
  };
  useEffect(() => set(width.current), []);
  const move = (event) => {
    if (!line.current.hasPointerCapture(event.pointerId)) return;
    const frame = line.current.parentElement.getBoundingClientRect();
    set((100 * (event.clientX - frame.left)) / frame.width);
  };
  const key = (event) => {
    const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
    if (!by) return;
    event.preventDefault();
    set(width.current + by);
    keep();
  };
  return html`<div class="divider" ref=${line} role="separator" aria-orientation="vertical" aria-label="Width of the table" aria-valuemin=${LEAST} aria-valuemax=${MOST} tabindex="0"
    title="drag to make the table wider; press twice for the usual width"
    onPointerDown=${(event) => line.current.setPointerCapture(event.pointerId)} onPointerMove=${move} onPointerUp=${keep} onKeyDown=${key}
    onDblClick=${() => { set(DEFAULT); keep(); }}></div>`;
}
