/** A button that opens a small panel; a press elsewhere or Escape closes it. */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** Room that the panel needs; where it is not to the right of the button the panel grows to the left. */
const WIDE_PX = 440;
const SLIM_PX = 200;
/** On a narrow screen a wide panel begins no lower than here, that there is room for it. */
const LOWEST = 0.4;

/**
 * @param {{text: unknown, title?: string, label: string, quiet?: boolean, wide?: boolean, children: unknown}} props
 *   `children` may be a function that gets what closes the panel
 */
export function Popover({ text, title, label, quiet = false, wide = false, children }) {
  const [open, setOpen] = useState(false);
  const [place, setPlace] = useState({ side: "", top: 0 });
  const box = useRef(null);
  const close = () => setOpen(false);
  const toggle = () => {
    const frame = box.current.getBoundingClientRect();
    setPlace({ side: frame.left + (wide ? WIDE_PX : SLIM_PX) < innerWidth ? "to-right" : "to-left", top: Math.min(frame.bottom + 4, LOWEST * innerHeight) });
    setOpen(!open);
  };
  useEffect(() => {
    if (!open) return undefined;
    const away = (event) => {
      if (event.type === "keydown" && event.key === "Escape") {
        event.stopPropagation();
        close();
        box.current.querySelector("button").focus();
      } else if (event.type === "pointerdown" && !box.current.contains(event.target)) close();
    };
    document.addEventListener("pointerdown", away, true);
    document.addEventListener("keydown", away, true);
    return () => {
      document.removeEventListener("pointerdown", away, true);
      document.removeEventListener("keydown", away, true);
    };
  }, [open]);
  return html`<span class="menu" ref=${box}>
    <button type="button" class=${quiet ? "quiet" : "button"} aria-expanded=${open} aria-haspopup="true" aria-label=${label} title=${title} onClick=${toggle}>${text}</button>
    ${open ? html`<div class=${`popover ${wide ? "wide" : "slim"} ${place.side}`} style=${{ "--top": `${place.top}px` }} role="group" aria-label=${label}>${typeof children === "function" ? children(close) : children}</div>` : null}
  </span>`;
}
