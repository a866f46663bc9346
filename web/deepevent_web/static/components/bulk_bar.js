/** What can be done with the ticked runs: a bar over the table's foot, so that no row moves when it comes. */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { change, deleteForGood, mayChange, runsText } from "../actions.js";
import { announcement } from "../keys.js";
import { href, param, setParams } from "../router.js";
import { findRun, selected } from "../state.js";
import { Name } from "./name.js";

const MOST_COMPARED = 100;

/** A field above its button; Enter does it, Escape leaves it. */
function Ask({ label, value = "", button, onDone, onLeave, children }) {
  const [text, setText] = useState(value);
  const field = useRef(null);
  useEffect(() => {
    field.current.focus();
    field.current.select();
  }, []);
  const submit = (event) => {
    event.preventDefault();
    if (text.trim()) onDone(text.trim());
  };
  const key = (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    onLeave();
  };
  return html`<form class="bulk-ask" onSubmit=${submit} onKeyDown=${key}>
    <label>${label} <input class="field" ref=${field} maxlength="250" value=${text} onInput=${(e) => setText(e.target.value)} autocomplete="off" /></label>
    <button class="button small primary" type="submit">${button}</button>
    <button class="button small" type="button" onClick=${onLeave}>Cancel</button>
    ${children}
  </form>`;
}

function Tags({ runs, onLeave }) {
  const counts = new Map();
  for (const run of runs) for (const tag of run.tags) counts.set(tag, (counts.get(tag) || 0) + 1);
  const add = (tag) => {
    const without = runs.filter((run) => !run.tags.includes(tag));
    if (without.length) change(without.map((run) => ({ id: run.id, tags: [...run.tags, tag] })), `Tagged ${runsText(without.length)} “${tag}”`);
    onLeave();
  };
  const remove = (tag) => {
    const with_ = runs.filter((run) => run.tags.includes(tag));
    change(with_.map((run) => ({ id: run.id, tags: run.tags.filter((other) => other !== tag) })), `Took “${tag}” off ${runsText(with_.length)}`);
    onLeave();
  };
  return html`<${Ask} label="Tag" button="Add" onDone=${add} onLeave=${onLeave}>
    ${counts.size ? html`<span class="tags">${[...counts].sort().map(([tag, n]) => html`<button type="button" class="chip" aria-label=${`Remove the tag ${tag} from ${n} of ${runs.length}`} title="remove" onClick=${() => remove(tag)}><${Name} text=${tag} most=${20} />${n < runs.length ? ` ${n}/${runs.length}` : ""} ×</button>`)}</span>` : null}
  <//>`;
}

/** @returns the bar, or nothing while no run is ticked */
export function BulkBar() {
  const [asking, setAsking] = useState(null);
  const ids = [...selected.value];
  useEffect(() => {
    if (!ids.length) setAsking(null);
  }, [ids.length]);
  if (!ids.length || !mayChange()) return null;
  const runs = ids.map(findRun).filter(Boolean);
  const among = param("among", "active");
  const clear = () => {
    selected.value = new Set();
    announcement.value = "Nothing is selected";
  };
  const all = (fields, text) => {
    change(runs.map(({ id }) => ({ id, ...fields })), text).then((done) => {
      if (done) selected.value = new Set();
    });
  };
  const leave = () => setAsking(null);
  const n = runsText(ids.length);
  const rename = (name) => {
    change([{ id: ids[0], name }], `Renamed to “${name}”`);
    leave();
  };
  const group = (name) => {
    change(runs.map(({ id }) => ({ id, group: name })), `Put ${n} into the group “${name}”`);
    leave();
  };
  const archived = runs.length > 0 && runs.every((run) => run.archived);
  return html`<section class="bulk" role="group" aria-label="Selected runs">
    ${asking === "rename" ? html`<${Ask} label="Name" value=${runs[0]?.name} button="Rename" onDone=${rename} onLeave=${leave} />` : null}
    ${asking === "tags" ? html`<${Tags} runs=${runs} onLeave=${leave} />` : null}
    ${asking === "group" ? html`<${Ask} label="Group" value=${runs[0]?.group || ""} button="Set" onDone=${group} onLeave=${leave} />` : null}
    <div class="bulk-row">
      <button class="quiet" aria-label="Select nothing" title="select nothing" onClick=${clear}>×</button>
      <b aria-live="polite">${n} selected</b>
      ${among === "trash"
        ? html`<button class="button small" onClick=${() => all({ trashed: false }, `Restored ${n}`)}>Restore</button>
            <button class="button small danger" onClick=${() => (asking === "purge" ? deleteForGood(ids) : setAsking("purge"))}>${asking === "purge" ? `Really delete ${n} for good` : "Delete for good"}</button>`
        : html`${ids.length === 1 ? html`<button class="button small" aria-expanded=${asking === "rename"} onClick=${() => setAsking("rename")}>Rename</button>` : html`<a class="button small" href=${href("/compare", { runs: ids.slice(0, MOST_COMPARED).join(",") })}>Compare</a>`}
            <button class="button small" onClick=${() => setParams({ show: ids.join(",") })} title="these and no others in the charts">Draw</button>
            <button class="button small" aria-expanded=${asking === "tags"} onClick=${() => setAsking("tags")}>Tags</button>
            <button class="button small" aria-expanded=${asking === "group"} onClick=${() => setAsking("group")}>Group</button>
            <button class="button small" onClick=${() => all({ archived: !archived }, `${archived ? "Took out of the archive" : "Archived"} ${n}`)}>${archived ? "Unarchive" : "Archive"}</button>
            <button class="button small danger" onClick=${() => all({ trashed: true }, `Deleted ${n}`)} title="into the trash, for a week">Delete</button>`}
    </div>
  </section>`;
}
