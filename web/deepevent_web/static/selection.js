/** Ticked runs: one by one, or with Shift all between two. It knows the list's order and nothing of what follows. */
import { list, selected } from "./state.js";

let anchor = null;

/** Tick a run or untick it. @param {string} id @param {MouseEvent} [event] with Shift: all from the last one on */
export function tick(id, event) {
  const next = new Set(selected.value);
  const on = !next.has(id);
  const ids = list.value.rows.map((run) => run.id);
  const [from, to] = [ids.indexOf(anchor), ids.indexOf(id)];
  const range = event?.shiftKey && from >= 0 && to >= 0 ? ids.slice(Math.min(from, to), Math.max(from, to) + 1) : [id];
  for (const one of range) next[on ? "add" : "delete"](one);
  anchor = id;
  selected.value = next;
}

/** Tick these runs, or untick them if all are ticked. @param {string[]} ids */
export function tickAll(ids) {
  const next = new Set(selected.value);
  const all = ids.every((id) => next.has(id));
  for (const id of ids) next[all ? "delete" : "add"](id);
  selected.value = next;
}
