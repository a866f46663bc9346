/** The width of an element as it is laid out. */
import { useEffect, useRef, useState } from "preact/hooks";

/**
 * @param {number} first what is answered before the first layout
 * @param {number} least what is answered at the least afterwards
 * @returns {[{current: Element|null}, number]} a `ref` for the element, and its width in pixels
 */
export function useWidth(first = 0, least = 0) {
  const node = useRef(null);
  const [width, setWidth] = useState(first);
  useEffect(() => {
    const sized = new ResizeObserver(([entry]) => setWidth(Math.max(least, Math.floor(entry.contentRect.width))));
    sized.observe(node.current);
    return () => sized.disconnect();
  }, []);
  return [node, width];
}
