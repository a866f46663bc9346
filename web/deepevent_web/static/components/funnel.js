/** The stages as a funnel: windows left and faces still covered after each, one click or arrow key apart. */
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import { count } from "../format.js";

/**
 * @param {{rows: {name: string, kind: string, windows: number, faces: number}[], nFaces: number, at: number, onPick?: (stage: number) => void, label?: string}} props
 */
export function Funnel({ rows, nFaces, at, onPick, label = "Stages" }) {
  const box = useRef(null);
  useEffect(() => {
    const { children, scrollLeft, clientWidth } = box.current;
    const stage = children[at];
    if (stage) box.current.scrollLeft = Math.max(stage.offsetLeft + stage.offsetWidth - clientWidth, Math.min(scrollLeft, stage.offsetLeft));
  }, [at, rows.length]);
  return html`<div class="funnel" ref=${box} role="tablist" aria-label=${label}>
    ${rows.map((row, i) => html`<button key=${i} role="tab" aria-selected=${i === at} class="stage" onClick=${() => onPick?.(i)} title=${`${row.name}: ${row.kind}`}>
      <span class="stage-name">${row.name}</span>
      <b>${count(row.windows)}</b>
      <span class="stage-recall">${nFaces ? `${((100 * row.faces) / nFaces).toFixed(nFaces > 20 ? 1 : 0)} %` : "–"}</span>
      <i class="stage-bar"><i style=${{ width: `${nFaces ? (100 * row.faces) / nFaces : 0}%` }}></i></i>
    </button>`)}
  </div>`;
}
