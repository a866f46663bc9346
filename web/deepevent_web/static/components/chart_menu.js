/** What can be done with a chart: where it stands, how large it is, and taking it away as a picture or a file. */
import { html } from "htm/preact";
import { HEIGHTS, moveChart, pinned, setFull, setSize, sizeOf, togglePin } from "../chart_view.js";
import { announcement } from "../keys.js";
import { blobOf, csv, save } from "../keep.js";
import { Popover } from "./popover.js";

/**
 * @param {{title: string, siblings: string[], full: boolean, handle: {current: object}, series: object[], wanted: Function, onFail: (error: Error) => void}} props
 *   `siblings`: the charts of the section as they stand; `series` and `wanted`: what a file holds
 */
export function ChartMenu({ title, siblings, full, handle, series, wanted, onFail }) {
  const size = sizeOf(title);
  const at = siblings.indexOf(title);
  const isPinned = pinned().includes(title);
  const keep = async (format) => {
    try {
      const blob = format === "csv" ? (await csv(series, wanted)).blob : blobOf(await handle.current.picture(format, title));
      save(blob, `${title}.${format}`);
      announcement.value = `Saved ${title} as ${format.toUpperCase()}`;
    } catch (error) {
      onFail(error);
    }
  };
  const item = (text, action, disabled = false) => (close) => html`<button type="button" class="menu-item" disabled=${disabled} onClick=${() => { close(); action(); }}>${text}</button>`;
  const standing = [
    item(full ? "Leave full screen" : "Full screen", () => setFull(full ? null : title)),
    item(isPinned ? "Unpin" : "Pin above all charts", () => togglePin(title)),
    item("Move earlier", () => moveChart(siblings, title, at - 1), at <= 0),
    item("Move later", () => moveChart(siblings, title, at + 1), at < 0 || at === siblings.length - 1),
    item(size.wide ? "Usual width" : "Whole width", () => setSize(title, { ...size, wide: !size.wide })),
    item("Taller", () => setSize(title, { ...size, height: size.height + HEIGHTS.step }), size.height >= HEIGHTS.most),
    item("Shorter", () => setSize(title, { ...size, height: size.height - HEIGHTS.step }), size.height <= HEIGHTS.least),
  ];
  const taking = [item("Save as PNG", () => keep("png")), item("Save as SVG", () => keep("svg")), item("Save points as CSV", () => keep("csv"))];
  return html`<${Popover} text="⋯" label=${`More for ${title}`} title="size, place, full screen, save" quiet>${(close) => html`${standing.map((one) => one(close))}<hr />${taking.map((one) => one(close))}`}<//>`;
}
