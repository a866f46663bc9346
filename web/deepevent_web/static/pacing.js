/**
 * When charts are drawn: inside animation frames, a few times a second at most, and only those on screen.
 * The redraw rate gives way before the input does: live redraws wait while somebody types, scrolls or points,
 * stop in the middle of a frame when input is waiting, and leave the page as much time as they took.
 * It knows nothing of what is drawn.
 */

const LEAST_INTERVAL_MS = 120;
/** A chart may spend at most a third of the time drawing. */
const COST_FACTOR = 2;
/** No further chart begins in a frame that has taken so long. */
const FRAME_BUDGET_MS = 12;
/** After a key, a wheel or the pointer, live redraws wait so long … */
const QUIET_MS = 140;
/** … but a chart whose data is this old is drawn all the same. */
const MOST_WAIT_MS = 1500;
/** Rest after a frame that drew, as a part of what it took up to its painting: the input's share of the time. */
const REST = 1;
const INPUT = ["pointerdown", "pointermove", "keydown", "wheel", "input", "scroll"];

let lastInput = -Infinity;
let restUntil = 0;
let frame = null;
let timer = null;
const queue = new Map();

for (const type of INPUT) addEventListener(type, () => (lastInput = performance.now()), { capture: true, passive: true });

/** Hears when a frame that drew is painted: a message is handled behind it. */
const painted = new MessageChannel();
let drewSince = null;
painted.port1.onmessage = () => {
  const now = performance.now();
  restUntil = Math.max(restUntil, now + (now - drewSince) * REST);
  drewSince = null;
};

const inputWaits = () => navigator.scheduling?.isInputPending?.({ includeContinuous: true }) ?? false;

/**
 * Ask for a drawing as soon as its turn comes; asking again before that changes nothing.
 * @param {{ready: () => boolean, draw: () => void, notBefore?: number}} item `ready`: it is on screen and can be drawn
 * @param {{urgent?: boolean}} [options] urgent: somebody asked for it, no live point did
 */
export function ask(item, { urgent = false } = {}) {
  const waiting = queue.get(item);
  queue.set(item, { since: waiting?.since ?? performance.now(), urgent: urgent || (waiting?.urgent ?? false) });
  wake(0);
}

/** Forget what was asked. @param {object} item */
export const withdraw = (item) => queue.delete(item);

function wake(delay) {
  if (frame !== null) return;
  if (delay <= 0) {
    clearTimeout(timer);
    timer = null;
    frame = requestAnimationFrame(run);
    return;
  }
  clearTimeout(timer);
  timer = setTimeout(() => {
    timer = null;
    frame ??= requestAnimationFrame(run);
  }, delay);
}

/** When an item may be drawn. */
function due(item, { since, urgent }) {
  if (urgent) return 0;
  return Math.max(item.notBefore ?? 0, restUntil, Math.min(lastInput + QUIET_MS, since + MOST_WAIT_MS));
}

function run() {
  frame = null;
  const start = performance.now();
  let live = 0;
  let next = Infinity;
  for (const [item, asked] of queue) {
    if (!item.ready()) continue;
    const at = due(item, asked);
    if (at > start) {
      next = Math.min(next, at);
      continue;
    }
    if (next === 0) break;
    queue.delete(item);
    const begun = performance.now();
    item.draw();
    const now = performance.now();
    item.notBefore = now + Math.max(LEAST_INTERVAL_MS, (now - begun) * COST_FACTOR);
    if (!asked.urgent) live += now - begun;
    if (now - start > FRAME_BUDGET_MS || inputWaits()) next = 0;
  }
  if (live > 0) {
    restUntil = performance.now() + live * REST;
    if (drewSince === null) painted.port2.postMessage(null);
    drewSince ??= start;
  }
  if (next < Infinity && queue.size) wake(next === 0 && live === 0 ? 0 : Math.max(next, restUntil) - performance.now());
}
