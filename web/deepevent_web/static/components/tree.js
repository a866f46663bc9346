/** Nested values as a tree that can be searched: config, summary, environment. */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { plain } from "../format.js";

const SEARCH_FROM = 8;
const isBranch = (v) => v !== null && typeof v === "object" && Object.keys(v).length > 0 && !(Array.isArray(v) && v.every((item) => item === null || typeof item !== "object"));

function matches(key, v, search) {
  if (key.toLowerCase().includes(search)) return true;
  if (isBranch(v)) return Object.entries(v).some(([k, item]) => matches(k, item, search));
  return plain(v).toLowerCase().includes(search);
}

function Branch({ values, search }) {
  const entries = Object.entries(values).filter(([key, v]) => !search || matches(key, v, search));
  return html`<ul class="tree">${entries.map(([key, v]) =>
    isBranch(v)
      ? html`<li key=${key}><details open><summary>${key} <small>${Object.keys(v).length}</small></summary><${Branch} values=${v} search=${key.toLowerCase().includes(search) ? "" : search} /></details></li>`
      : html`<li key=${key} class="leaf"><span class="key">${key}</span><span class="leaf-value" title=${plain(v)}>${plain(v)}</span></li>`,
  )}</ul>`;
}

/** @param {{title: string, values: object|undefined, empty: string}} props */
export function Tree({ title, values, empty }) {
  const [search, setSearch] = useState("");
  const n = Object.keys(values || {}).length;
  if (n === 0 && !empty) return null;
  return html`<section class="card tree-card"><header><h2>${title}</h2>${n >= SEARCH_FROM ? html`<input class="field" type="search" aria-label=${`Search ${title}`} placeholder="search" value=${search} onInput=${(e) => setSearch(e.target.value)} />` : null}</header>
    ${n === 0 ? html`<p class="dim">${empty}</p>` : html`<div class="tree-scroll" tabindex="0" role="region" aria-label=${title}><${Branch} values=${values} search=${search.trim().toLowerCase()} /></div>`}
  </section>`;
}
