/**
 * What is done to runs from the page: changed at once on the screen, then on the server, and undone with one
 * press. Deleting puts into the trash, from where a run comes back whole for a week, also after the page is closed.
 */
import { signal } from "@preact/signals";
import { changeRuns, deleteRun } from "./api.js";
import { announcement } from "./keys.js";
import { dropRows, loadRuns, patchRows, restoreRows } from "./run_list.js";
import { findRun, list, selected, session } from "./state.js";

const SHOWN_MS = 12_000;
const AT_ONCE = 500;
const MOST_UNDONE = 20;

/** What was done last: `{text, undo?, bad?}`, or null when it was long enough ago. */
export const notice = signal(null);
const done = [];
let timer = null;

/** Whether the signed-in person may change runs. */
export const mayChange = () => session.value?.role === "operator";

function tell(text, { undo = null, bad = false } = {}) {
  clearTimeout(timer);
  notice.value = { text, undo, bad };
  announcement.value = undo ? `${text}. Press u to undo.` : text;
  timer = setTimeout(dismiss, SHOWN_MS);
}

/** Take the notice away; what it offered can still be undone with `u`. */
export const dismiss = () => (notice.value = null);

const before = (change) => {
  const run = findRun(change.id) || {};
  const old = { id: change.id };
  for (const name of Object.keys(change)) if (name !== "id") old[name] = name === "trashed" ? Boolean(run.trashed) : run[name] ?? null;
  if ("notes" in old) old.notes ??= "";
  return old;
};

const shownAs = (change) => {
  const { id, trashed, ...rest } = change;
  return trashed === undefined ? rest : { ...rest, trashed: trashed ? { time: Date.now() / 1000, by: session.value?.name || "" } : null };
};

async function apply(changes) {
  patchRows(new Map(changes.map((change) => [change.id, shownAs(change)])));
  const leaving = changes.filter((change) => "trashed" in change || "archived" in change).map((change) => change.id);
  if (leaving.length) dropRows(new Set(leaving));
  try {
    for (let at = 0; at < changes.length; at += AT_ONCE) await changeRuns(changes.slice(at, at + AT_ONCE));
  } finally {
    await loadRuns({ quiet: true });
  }
}

/**
 * Change runs, and offer to undo it.
 * @param {object[]} changes as for `changeRuns`
 * @param {string} text what was done, for the notice: "Archived 3 runs"
 * @returns {Promise<boolean>} whether the server took it
 */
export async function change(changes, text) {
  const inverse = changes.map(before);
  const was = list.value;
  dismiss(); // whose button would undo what was done before this
  try {
    await apply(changes);
  } catch (error) {
    restoreRows(was);
    patchRows(new Map(inverse.map((old) => [old.id, shownAs(old)])));
    tell(`Not done: ${error.message}`, { bad: true });
    return false;
  }
  const entry = { text, inverse };
  done.push(entry);
  if (done.length > MOST_UNDONE) done.shift();
  tell(text, { undo: () => undo(entry) });
  return true;
}

/** Undo what was done last, or the given entry. */
export async function undo(entry = done[done.length - 1]) {
  if (!entry || !done.includes(entry)) return;
  done.splice(done.indexOf(entry), 1);
  try {
    await apply(entry.inverse);
    tell(`Undone: ${entry.text}`);
  } catch (error) {
    done.push(entry);
    tell(`Not undone: ${error.message}`, { bad: true });
  }
}

/** Delete runs of the trash for good. @param {string[]} ids */
export async function deleteForGood(ids) {
  try {
    dropRows(new Set(ids));
    for (const id of ids) await deleteRun(id);
    tell(`Deleted ${runsText(ids.length)} for good`);
  } catch (error) {
    tell(`Not deleted: ${error.message}`, { bad: true });
  }
  selected.value = new Set();
  await loadRuns({ quiet: true });
}

/** @param {number} n */
export const runsText = (n) => `${n} ${n === 1 ? "run" : "runs"}`;
