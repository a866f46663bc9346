/**
 * A photograph with boxes drawn over it from data. Draws on a canvas, since a first stage has thousands of
 * windows; tells which window is under the pointer. It knows boxes and colours, and nothing of stages.
 */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { shownTheme, token } from "../theme.js";

/**
 * A box with an `id` is a window that can be pointed at, one with a `face` a true face that can be pressed.
 *
 * @typedef {{box: number[], face?: number, style: "window"|"dimmed"|"accepted"|"truth"|"truth-train"|"before"|"parent"|"child"|"picked"|"missed", label?: string, id?: number}} Drawn
 * @param {{src: string, alt: string, boxes: Drawn[], onPick?: (id: number|null) => void, onSelect?: (id: number|null) => void,
 *   onFace?: (face: number) => void}} props
 */
export function Photograph({ src, alt, boxes, onPick, onSelect, onFace }) {
  const canvas = useRef(null);
  const image = useRef(null);
  const [size, setSize] = useState(null);
  const [failed, setFailed] = useState(false);
  const [width, setWidth] = useState(0);

  useEffect(() => {
    const sized = new ResizeObserver(() => image.current && setWidth(image.current.clientWidth));
    sized.observe(image.current);
    return () => sized.disconnect();
  }, []);
  useEffect(() => {
    if (size && width) draw(canvas.current, image.current, size, boxes);
  }, [size, width, boxes, shownTheme.value]);

  const under = (event) => {
    if (!size) return null;
    const frame = canvas.current.getBoundingClientRect();
    const x = ((event.clientX - frame.left) / frame.width) * size.width;
    const y = ((event.clientY - frame.top) / frame.height) * size.height;
    return nearest(boxes, x, y);
  };
  const press = (event) => {
    const found = under(event);
    if (found?.face !== undefined && onFace) onFace(found.face);
    else onSelect?.(found?.id ?? null);
  };
  const point = (event) => {
    const found = under(event);
    onPick?.(found?.face === undefined ? (found?.id ?? null) : null);
  };
  return html`<div class="photograph">
    <img ref=${image} style=${size ? { "--aspect": size.width / size.height } : {}} src=${src} alt=${alt} draggable="false"
      onLoad=${(e) => { setFailed(false); setSize({ width: e.target.naturalWidth, height: e.target.naturalHeight }); setWidth(e.target.clientWidth); }}
      onError=${() => setFailed(true)} />
    <canvas ref=${canvas} aria-hidden="true" onPointerMove=${point} onPointerLeave=${() => onPick?.(null)} onClick=${press}></canvas>
    ${failed ? html`<p class="photograph-failed">The photograph is not here yet.</p>` : null}
  </div>`;
}

/** The window or face whose border is nearest to the pointer among those that hold it, so that nested boxes can all be reached. */
function nearest(boxes, x, y) {
  let found = null;
  let least = Infinity;
  for (const drawn of boxes) {
    const { box: [x1, y1, x2, y2], id, face } = drawn;
    if ((id === undefined && face === undefined) || x < x1 || x >= x2 || y < y1 || y >= y2) continue;
    const distance = Math.min(x - x1, x2 - x, y - y1, y2 - y);
    if (distance < least) [least, found] = [distance, drawn];
  }
  return found;
}

/** Where there are many boxes each is fainter and thinner, so that where they gather can be seen. */
const FEW_BOXES = 12;
const LEAST_ALPHA = 0.12;
const LEAST_WIDTH = 0.6;

const LOOK = {
  window: { colour: "--box-window", width: 1.2, many: 0.9 },
  dimmed: { colour: "--box-window", width: 1, many: 0.35 },
  accepted: { colour: "--box-accepted", width: 3, many: 1 },
  before: { colour: "--box-before", width: 1, dash: [3, 3], many: 0.6 },
  parent: { colour: "--box-before", width: 2, dash: [4, 3] },
  child: { colour: "--box-accepted", width: 2 },
  picked: { colour: "--box-picked", width: 3 },
  truth: { colour: "--box-truth", width: 2, dash: [7, 5] },
  "truth-train": { colour: "--box-truth-train", width: 2, dash: [7, 5] },
  missed: { colour: "--box-missed", width: 2.5, dash: [7, 5] },
};

function draw(canvas, image, size, boxes) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth, clientHeight } = image;
  canvas.width = Math.round(clientWidth * ratio);
  canvas.height = Math.round(clientHeight * ratio);
  canvas.style.width = `${clientWidth}px`;
  canvas.style.height = `${clientHeight}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const sx = clientWidth / size.width;
  const sy = clientHeight / size.height;
  const crowd = Math.min(1, Math.sqrt(FEW_BOXES / boxes.length));
  for (const { box: [x1, y1, x2, y2], style, label } of boxes) {
    const look = LOOK[style];
    pen.strokeStyle = token(look.colour);
    const width = look.many ? Math.max(LEAST_WIDTH, look.width * crowd) : look.width;
    pen.lineWidth = width;
    pen.globalAlpha = look.many ? Math.max(LEAST_ALPHA, look.many * crowd) : 1;
    pen.setLineDash(look.dash || []);
    if (width >= 2) {
      // A dark edge keeps the line legible on bright and on dark parts of the photograph.
      pen.save();
      pen.strokeStyle = token("--box-edge");
      pen.lineWidth = width + 1.5;
      pen.setLineDash([]);
      pen.globalAlpha = 0.35;
      pen.strokeRect(x1 * sx, y1 * sy, (x2 - x1) * sx, (y2 - y1) * sy);
      pen.restore();
    }
    pen.strokeRect(x1 * sx, y1 * sy, (x2 - x1) * sx, (y2 - y1) * sy);
    if (label) write(pen, label, x1 * sx, y1 * sy, look);
  }
}

function write(pen, text, x, y, look) {
  pen.globalAlpha = 1;
  pen.font = `600 13px ${token("--font")}`;
  const width = pen.measureText(text).width + 8;
  const top = Math.max(0, y - 19);
  pen.fillStyle = token(look.colour);
  pen.fillRect(x - 1, top, width, 18);
  pen.fillStyle = token("--box-ink");
  pen.fillText(text, x + 3, top + 13);
}
