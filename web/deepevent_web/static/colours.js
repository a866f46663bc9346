/**
 * A run's colour: from its id, so that it is the same on every page and tomorrow, moved on only where two
 * visible runs would share it. From the ninth run on, dashes and marks tell apart what shares a colour.
 */

const N_COLOURS = 8;
const kept = new Map();

/** FNV-1a. @param {string} text */
function hash(text) {
  let h = 2166136261;
  for (let i = 0; i < text.length; i += 1) {
    h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  }
  return h >>> 0;
}

/**
 * Give every visible run a slot of its own.
 * @param {string[]} ids in a steady order
 * @returns {Map<string, {index: number, token: string, variant: number}>} variant 0 for the first eight, then 1, 2, …
 */
export function assign(ids) {
  const taken = new Set();
  const result = new Map();
  const wanted = (id) => kept.get(id) ?? hash(id) % N_COLOURS;
  for (const id of [...ids].sort((a, b) => Number(kept.has(b)) - Number(kept.has(a)))) {
    let slot = wanted(id);
    if (taken.has(slot)) {
      const base = slot % N_COLOURS;
      const layer = Math.floor(taken.size / N_COLOURS) * N_COLOURS;
      slot = layer + base;
      for (let i = 0; taken.has(slot); i += 1) slot = layer + ((base + i) % N_COLOURS) + (i >= N_COLOURS ? N_COLOURS : 0);
    }
    taken.add(slot);
    kept.set(id, slot);
    const index = slot % N_COLOURS;
    result.set(id, { index, token: `--r${index}`, variant: Math.floor(slot / N_COLOURS) });
  }
  return result;
}

/** The colour token of a run that is not in a chart. @param {string} id */
export const colourToken = (id) => `--r${(kept.get(id) ?? hash(id)) % N_COLOURS}`;
