/**
 * Keyboard: `/` filter, j and k through the runs, o or Enter opens, x shows or hides, `?` help, Escape closes.
 * Pages register what their keys do; this module only listens.
 */
import { signal } from "@preact/signals";

/** Whether the list of keys is open. */
export const helpOpen = signal(false);
/** What a screen reader is told when something changed without focus moving. */
export const announcement = signal("");

const actions = new Map();

/**
 * Give keys a meaning while a component is there.
 * @param {Record<string, (event: KeyboardEvent) => void>} keys
 * @returns {() => void} takes them away again
 */
export function bindKeys(keys) {
  for (const [key, action] of Object.entries(keys)) actions.set(key, action);
  return () => {
    for (const [key, action] of Object.entries(keys)) if (actions.get(key) === action) actions.delete(key);
  };
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest("input, textarea, select, [contenteditable]");
  const typing = field && !["range", "checkbox", "radio"].includes(field.type);
  if (event.key === "Escape") {
    helpOpen.value = false;
    if (typing) field.blur();
    return;
  }
  if (typing) return;
  if (event.key === "?") {
    helpOpen.value = !helpOpen.value;
    return;
  }
  if (field?.type === "range" && event.key.startsWith("Arrow")) return;
  if (event.key === "Enter" && event.target.closest("a, button")) return;
  const action = actions.get(event.key);
  if (!action) return;
  event.preventDefault();
  action(event);
}

/** Listen to the keyboard. @returns {() => void} stops */
export function startKeys() {
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}
