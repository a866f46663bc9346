/** Goes through what was logged under one name, step by step; stays at the newest until somebody moves it. */
import { html } from "htm/preact";
import { useState } from "preact/hooks";

/**
 * The item that is shown, and the slider for it.
 * @param {object[]} items by rising step
 * @param {string} name
 */
export function useSteps(items, name) {
  const [at, setAt] = useState(null);
  const index = at === null || at >= items.length ? items.length - 1 : at;
  const move = (to) => setAt(to >= items.length - 1 ? null : Math.max(0, to));
  const slider = items.length > 1
    ? html`<div class="steps"><button class="quiet" aria-label=${`Earlier ${name}`} disabled=${index === 0} onClick=${() => move(index - 1)}>‹</button>
        <input type="range" aria-label=${`Step of ${name}`} aria-valuetext=${`step ${items[index].step}`} min="0" max=${items.length - 1} value=${index} onInput=${(e) => move(Number(e.target.value))} />
        <button class="quiet" aria-label=${`Later ${name}`} disabled=${index === items.length - 1} onClick=${() => move(index + 1)}>›</button></div>`
    : null;
  return { item: items[index], index, slider, move };
}

/** Where an item stands in time. @param {{item: object}} props */
export const StepOf = ({ item }) => html`<span class="dim step-of">step ${Number(item.step).toLocaleString("en-GB")}${item.epoch === null || item.epoch === undefined ? "" : ` · epoch ${Number(Number(item.epoch).toFixed(2))}`}</span>`;
