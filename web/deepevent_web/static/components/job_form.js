/**
 * The form of a new job, made from a recipe: a field by each parameter's type, with its bounds and help.
 * What is wrong is for the server to say; its sentences stand at the fields.
 */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { plain } from "../format.js";
import { applyJob } from "../queue.js";

/** What a parameter may be, in words. */
export function allowed({ type, min, max, pattern, root, optional, default: usual }) {
  const parts = [];
  if (min !== undefined && max !== undefined) parts.push(`${plain(min)} to ${plain(max)}`);
  else if (min !== undefined) parts.push(`at least ${plain(min)}`);
  else if (max !== undefined) parts.push(`at most ${plain(max)}`);
  if (pattern) parts.push(`must match ${pattern}`);
  if (root) parts.push(`below ${root}`);
  if (usual === undefined && type !== "bool") parts.push(optional ? "may be empty" : "required");
  return [type, ...parts].join(" · ");
}

export function Input({ id, parameter, value, onValue, described, wrong }) {
  const common = { id, "aria-describedby": described, "aria-invalid": wrong || undefined };
  if (parameter.type === "bool") return html`<input ...${common} type="checkbox" checked=${value === true} onChange=${(e) => onValue(e.target.checked)} />`;
  if (parameter.type === "choice") {
    return html`<select ...${common} value=${value} onChange=${(e) => onValue(e.target.value)}>
      ${parameter.default === undefined ? html`<option value="">–</option>` : null}
      ${parameter.choices.map((choice) => html`<option value=${choice}>${choice}</option>`)}
    </select>`;
  }
  const mode = { int: "numeric", float: "decimal" }[parameter.type] || "text";
  return html`<input ...${common} class="field" type="text" inputmode=${mode} autocomplete="off" spellcheck=${false} value=${value} onInput=${(e) => onValue(e.target.value)} />`;
}

function Field({ name, label, parameter, value, onValue, error, help }) {
  const id = `job-${name}`;
  return html`<div class=${`form-field ${error ? "wrong" : ""}`}>
    <label for=${id}>${label}</label>
    <${Input} id=${id} parameter=${parameter} value=${value} onValue=${onValue} described=${`${id}-hint`} wrong=${Boolean(error)} />
    <p id=${`${id}-hint`}>${error ? html`<span class="bad" role="alert">${error}</span>` : html`${help || ""} <small>${allowed(parameter)}</small>`}</p>
  </div>`;
}

const OWN = {
  name: { type: "string", optional: true },
  project: { type: "string", optional: true },
  after: { type: "string", optional: true },
  priority: { type: "int", default: 0 },
  max_retries: { type: "int", default: 0, min: 0 },
};
const OWN_LABEL = { name: "Name", project: "Project", after: "After", priority: "Priority", max_retries: "Retries" };
const OWN_HELP = {
  name: "of the job and its run",
  project: "of its run; empty: default",
  after: "numbers of jobs, such as 3, 4: it waits until all of them have completed",
  priority: "the highest begins first",
  max_retries: "how often it may be queued again after a failure",
};
const startOfOwn = (from) => ({ name: from?.name || "", project: from?.project && from.project !== "default" ? from.project : "", after: "", priority: String(from?.priority ?? 0), max_retries: String(from?.max_retries ?? 0) });
/** Numbers of jobs out of `3, #4`; what is no number goes as it stands, to be refused in words. */
const numbers = (text) => text.split(/[\s,#]+/).filter(Boolean).map((word) => (/^\d+$/.test(word) ? Number(word) : word));

export const startOf = (parameter) => parameter.default ?? (parameter.type === "bool" ? false : "");
export const shownAs = (v) => (typeof v === "boolean" ? v : plain(v));

/** An empty text is no value: the recipe's default then counts. A whole number is one; other text goes as it stands, to be refused in words. */
export function given(parameter, v) {
  if (parameter.type === "bool") return v;
  if (v === "") return undefined;
  const isNumber = ["int", "float"].includes(parameter.type) && Number.isFinite(Number(v)) && (parameter.type === "float" || Number.isSafeInteger(Number(v)));
  return isNumber ? Number(v) : v;
}

/** The recipe to begin with: the one that was queued last, where it is still on offer. @param {object[]} recipes @param {object[]} jobs */
export function usualRecipe(recipes, jobs) {
  const last = jobs.find((job) => recipes.some((offer) => offer.name === job.recipe));
  return recipes.find((offer) => offer.name === last?.recipe) || recipes[0];
}

/** @param {{recipes: object[], jobs: object[], from?: object|null, onDone: () => void}} props `from`: a job whose parameters are taken over */
export function JobForm({ recipes, jobs, from = null, onDone }) {
  const [name, setName] = useState(usualRecipe(recipes, from ? [from] : jobs).name);
  const [typed, setTyped] = useState(from ? { ...from.parameters } : {});
  const [own, setOwn] = useState(startOfOwn(from));
  const [errors, setErrors] = useState({});
  const [problem, setProblem] = useState("");
  const [sending, setSending] = useState(false);
  const offer = recipes.find((one) => one.name === name) || recipes[0];
  const parameters = Object.entries(offer.recipe.parameters || {});

  const send = async (event) => {
    event.preventDefault();
    const body = { recipe: offer.name, parameters: {} };
    for (const [key, parameter] of Object.entries(OWN)) {
      const v = given(parameter, own[key]);
      if (v !== undefined) body[key] = key === "after" ? numbers(v) : v;
    }
    for (const [key, parameter] of parameters) {
      const v = given(parameter, shownAs(typed[key] ?? startOf(parameter)));
      if (v !== undefined) body.parameters[key] = v;
    }
    setSending(true);
    try {
      applyJob(await api.createJob(body));
      onDone();
    } catch (error) {
      setErrors(Object.fromEntries((error.errors || []).map(({ field, detail }) => [field, detail])));
      setProblem(error.errors?.length ? "" : error.message);
      setSending(false);
    }
  };
  const pick = (next) => {
    setName(next);
    setTyped({});
    setErrors({});
  };
  return html`<form class="card job-form" aria-label="New job" onSubmit=${send} novalidate>
    <header><h2>${from ? `New job, from #${from.id}` : "New job"}</h2></header>
    <div class="form-field">
      <label for="job-recipe">Recipe</label>
      <select id="job-recipe" value=${offer.name} onChange=${(e) => pick(e.target.value)} autofocus>${recipes.map((one) => html`<option value=${one.name}>${one.name}</option>`)}</select>
      <p>${errors.recipe ? html`<span class="bad" role="alert">${errors.recipe}</span>` : html`${offer.recipe.help || ""} ${offer.alive ? html`<small>${offer.agents.join(", ")}</small>` : html`<span class="warn">No agent that offers it is there now: it will wait.</span>`}`}</p>
    </div>
    ${parameters.map(([key, parameter]) => html`<${Field} key=${`${offer.name}.${key}`} name=${key} label=${key} parameter=${parameter} help=${parameter.help} value=${shownAs(typed[key] ?? startOf(parameter))} onValue=${(v) => setTyped((old) => ({ ...old, [key]: v }))} error=${errors[`parameters.${key}`]} />`)}
    ${Object.entries(OWN).map(([key, parameter]) => html`<${Field} key=${key} name=${`own-${key}`} label=${OWN_LABEL[key]} parameter=${parameter} help=${OWN_HELP[key]} value=${own[key]} onValue=${(v) => setOwn((old) => ({ ...old, [key]: v }))} error=${errors[key]} />`)}
    ${problem ? html`<p class="problem" role="alert">${problem}</p>` : null}
    <p class="form-buttons"><button class="button primary" disabled=${sending}>Queue job</button><button type="button" class="button" onClick=${onDone}>Cancel</button></p>
  </form>`;
}
