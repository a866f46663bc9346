/** Beside the filter: how the list is grouped, and which runs it is about: active, archived, or the trash. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { listNames } from "../api.js";
import { configColumn } from "../columns.js";
import { cut } from "../format.js";
import { param, setParams } from "../router.js";
import { selected } from "../state.js";

const AMONG = [["active", "active"], ["archived", "archived"], ["trash", "trash"], ["all", "all but trash"]];
const KEYS = [["group", "group"], ["tags", "tag"], ["project", "project"], ["status", "status"]];

/** @returns two selects */
export function ListControls() {
  const [keys, setKeys] = useState([]);
  const load = () => listNames().then((names) => setKeys(names.config), () => {}); // without them the fixed keys are there
  useEffect(() => void load(), []);
  const by = param("group");
  const known = [...KEYS.map(([key]) => key), ...keys.map(configColumn)];
  return html`
    <label class="control">group by <select aria-label="Group runs by" value=${by} onFocus=${load} onChange=${(e) => setParams({ group: e.target.value || null })}>
      <option value="">nothing</option>
      ${by && !known.includes(by) ? html`<option value=${by}>${cut(by, 30)}</option>` : null}
      ${KEYS.map(([key, text]) => html`<option value=${key}>${text}</option>`)}
      ${keys.length ? html`<optgroup label="config">${keys.map((key) => html`<option value=${configColumn(key)}>${cut(key, 30)}</option>`)}</optgroup>` : null}
    </select></label>
    <select aria-label="Which runs" value=${param("among", "active")} onChange=${(e) => { selected.value = new Set(); setParams({ among: e.target.value === "active" ? null : e.target.value, show: null }); }}>
      ${AMONG.map(([key, text]) => html`<option value=${key}>${text}</option>`)}
    </select>`;
}
