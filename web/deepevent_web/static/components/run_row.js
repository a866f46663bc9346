/** One row of the run table: tick, mark, name, and a cell for each column. */
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import { mayChange } from "../actions.js";
import { tick } from "../selection.js";
import { cursor, hovered, selected, shown } from "../state.js";
import { Name } from "./name.js";
import { Cell } from "./run_cells.js";
import { toggleShown } from "./runs_page.js";
import { Swatch } from "./swatch.js";

/** @param {{run: object, colour: object, chosen: object[], index: number, inside?: boolean}} props inside: below its group's row */
export function Row({ run, colour, chosen, index, inside = false }) {
  const on = shown.value.includes(run.id);
  const at = cursor.value === run.id;
  const ticked = selected.value.has(run.id);
  const row = useRef(null);
  useEffect(() => {
    if (at) row.current?.scrollIntoView({ block: "nearest" });
  }, [at]);
  return html`<tr ref=${row} data-run=${run.id} aria-rowindex=${index + 2} class=${`${on ? "on" : ""} ${at ? "at" : ""} ${ticked ? "ticked" : ""} ${hovered.value === run.id ? "hovered" : ""} ${inside ? "inside" : ""}`} style=${on && colour ? { "--run": `var(${colour.token})` } : {}}
      onMouseEnter=${() => on && (hovered.value = run.id)} onMouseLeave=${() => (hovered.value = null)}>
    <td class="run-name">${mayChange() ? html`<label class="tick"><input type="checkbox" aria-label=${`Select ${run.name}`} checked=${ticked} onClick=${(event) => tick(run.id, event)} /></label>` : null}
      <button class="mark" aria-pressed=${on} aria-label=${`${on ? "Hide" : "Draw"} ${run.name} in the charts`} title=${on ? "hide in the charts" : "draw in the charts"} onClick=${() => toggleShown(run.id)}><${Swatch} colour=${colour} off=${!on} /></button>
      <a href=${`/runs/${encodeURIComponent(run.id)}`}><${Name} text=${run.name} most=${24} /></a></td>
    ${chosen.map((column) => html`<${Cell} key=${column.id} run=${run} column=${column} />`)}
  </tr>`;
}

/** A row that is not here yet: as high as any other, so that nothing moves when it comes. */
export const Blank = ({ width, index }) => html`<tr class="blank" aria-rowindex=${index + 2}><td class="run-name"><i></i></td><td colspan=${width - 1}></td></tr>`;
