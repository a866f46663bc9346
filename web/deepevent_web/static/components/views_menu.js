/** Saved views: names for addresses of the dashboard, since the address holds the whole view. Everybody goes to them; operators save, change and delete. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { actor } from "../format.js";
import { createView, deleteView, listViews, patchView } from "../api.js";
import { announcement } from "../keys.js";
import { route } from "../router.js";
import { session } from "../state.js";
import { Name } from "./name.js";
import { Popover } from "./popover.js";

const here = () => location.pathname + location.search;

function Row({ view, operator, act }) {
  const isHere = route.value && view.address === here();
  const rename = () => {
    const name = prompt("Name of the view", view.name);
    if (name && name.trim() && name !== view.name) act(() => patchView(view.id, { name: name.trim() }), "Renamed");
  };
  return html`<li class="view-row"><a href=${view.address} aria-current=${isHere ? "page" : undefined} title=${`saved by ${actor(view.created_by)}`}><${Name} text=${view.name} most=${34} /></a>
    ${operator ? html`<span class="view-tools">
      ${isHere ? null : html`<button class="quiet" title="let it show what is seen now" onClick=${() => act(() => patchView(view.id, { address: here() }), "Updated")}>update</button>`}
      <button class="quiet" onClick=${rename}>rename</button>
      <button class="quiet" aria-label=${`Delete ${view.name}`} title="delete" onClick=${() => act(() => deleteView(view.id), "Deleted")}>×</button></span>` : null}
  </li>`;
}

function Panel() {
  const [views, setViews] = useState(null);
  const [name, setName] = useState("");
  const [error, setError] = useState(null);
  const operator = session.value?.role === "operator";
  const load = () => listViews().then((answer) => setViews(answer.views), setError);
  useEffect(() => void load(), []);
  const act = async (change, word) => {
    try {
      await change();
      setError(null);
      announcement.value = word;
      await load();
    } catch (problem) {
      setError(problem);
    }
  };
  const save = (event) => {
    event.preventDefault();
    if (name.trim()) act(() => createView({ name: name.trim(), address: here() }), "Saved").then(() => setName(""));
  };
  return html`
    ${views === null ? html`<p class="dim" aria-busy="true">Loading …</p>` : views.length === 0 ? html`<p class="dim">No view is saved yet. A view keeps runs, filter, axes, zoom and all else that the address holds.</p>` : html`<ul class="view-list">${views.map((view) => html`<${Row} key=${view.id} view=${view} operator=${operator} act=${act} />`)}</ul>`}
    ${operator ? html`<form class="row view-save" onSubmit=${save}><input aria-label="Name of the view" placeholder="name this view" value=${name} maxlength="250" onInput=${(e) => setName(e.target.value)} /><button class="button" disabled=${!name.trim()}>Save</button></form>` : null}
    ${error ? html`<p class="problem" role="alert">${error.message}</p>` : null}`;
}

/** @returns a button that opens the saved views */
export const ViewsMenu = () => html`<${Popover} text="Views" label="Saved views" wide>${() => html`<${Panel} />`}<//>`;
