/**
 * The form of a new sweep, made from a recipe: for each parameter either one value for all trials, or what to
 * search. What is wrong is for the server to say; its sentences stand at the fields.
 */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { plain } from "../format.js";
import { navigate } from "../router.js";
import { allowed, given, Input, shownAs, startOf, usualRecipe } from "./job_form.js";

const MODES = { fixed: "one value", range: "range", log: "log range", list: "list" };
const SAMPLERS = [["tpe", "TPE"], ["random", "random"], ["grid", "grid"]];
const SAMPLER_HELP = { tpe: "learns from the trials so far", random: "each trial for itself", grid: "every combination once; needs lists or steps" };
const PRUNERS = [["asha", "ASHA"], ["median", "median"], ["hyperband", "Hyperband"], ["none", "none"]];
const PRUNER_HELP = { asha: "after 1, 4, 16, … values the best quarter goes on", median: "stops who is below the median at the same number of values", hyperband: "ASHA with several degrees of patience", none: "every trial runs to its end" };
const FIRST_PATIENCE = "1";

const modesOf = ({ type }) => (type === "int" || type === "float" ? ["fixed", "range", "log", "list"] : ["fixed", "list"]);

/** A first guess at what to search: the parameter's own bounds, or around its default. */
function guess(parameter, mode) {
  if (mode === "list") return { list: parameter.type === "bool" ? "true, false" : (parameter.choices || [parameter.default ?? ""]).join(", ") };
  const usual = Number(parameter.default ?? 1);
  const low = mode === "log" && !(usual / 10 >= (parameter.min ?? 0)) ? parameter.min : usual / 10;
  const around = (v) => String(parameter.type === "int" ? Math.max(1, Math.round(v)) : Number(v.toPrecision(3)));
  return { low: around(Math.max(low, parameter.min ?? -Infinity)), high: around(Math.min(usual * 10, parameter.max ?? Infinity)), step: "" };
}

const numeric = (text) => (text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text);

function dimension(mode, { low = "", high = "", step = "", list = "" }) {
  if (mode === "list") return { choices: list.split(",").map((word) => word.trim()).filter(Boolean) };
  return { low: numeric(low), high: numeric(high), log: mode === "log", ...(step.trim() && mode === "range" ? { step: numeric(step) } : {}) };
}

function Searched({ id, mode, range, onRange, described }) {
  const field = (key, label, width) => html`<input id=${key === "low" || key === "list" ? id : undefined} class=${`field ${width}`} aria-label=${label} aria-describedby=${described} autocomplete="off" value=${range[key] ?? ""} onInput=${(e) => onRange({ ...range, [key]: e.target.value })} />`;
  if (mode === "list") return html`<span class="range">${field("list", "values, separated by commas", "")}</span>`;
  return html`<span class="range">${field("low", "lowest", "short")}<span class="dim">to</span>${field("high", "highest", "short")}${mode === "range" ? html`<span class="dim">step</span>${field("step", "step", "shorter")}` : null}</span>`;
}

function ParameterRow({ name, parameter, mode, value, range, onMode, onValue, onRange, error }) {
  const id = `sweep-${name}`;
  const hint = `${id}-hint`;
  return html`<div class=${`form-field sweep-field ${error ? "wrong" : ""}`}>
    <label for=${id}>${name}</label>
    <select aria-label=${`how ${name} is set`} value=${mode} onChange=${(e) => onMode(e.target.value)}>${modesOf(parameter).map((one) => html`<option value=${one}>${MODES[one]}</option>`)}</select>
    ${mode === "fixed" ? html`<${Input} id=${id} parameter=${parameter} value=${value} onValue=${onValue} described=${hint} wrong=${Boolean(error)} />` : html`<${Searched} id=${id} mode=${mode} range=${range} onRange=${onRange} described=${hint} />`}
    <p id=${hint}>${error ? html`<span class="bad" role="alert">${error}</span>` : html`${parameter.help || ""} <small>${allowed(parameter)}</small>`}</p>
  </div>`;
}

function Plain({ name, label, value, onValue, error, help, options }) {
  const id = `sweep-own-${name}`;
  return html`<div class=${`form-field ${error ? "wrong" : ""}`}>
    <label for=${id}>${label}</label>
    ${options
      ? html`<select id=${id} value=${value} aria-describedby=${`${id}-hint`} onChange=${(e) => onValue(e.target.value)}>${options.map(([key, text]) => html`<option value=${key}>${text}</option>`)}</select>`
      : html`<input id=${id} class="field" autocomplete="off" spellcheck=${false} value=${value} aria-describedby=${`${id}-hint`} onInput=${(e) => onValue(e.target.value)} />`}
    <p id=${`${id}-hint`}>${error ? html`<span class="bad" role="alert">${error}</span>` : help || ""}</p>
  </div>`;
}

function ownStart(offer) {
  const [, metric, direction] = /^(.*?)(?::(min|max))?$/.exec(offer.recipe.metric || "");
  return { name: "", metric, direction: direction || "max", n_trials: "20", concurrency: "1", sampler: "tpe", pruner: "asha", warmup: FIRST_PATIENCE };
}

/** @param {{recipes: object[], jobs: object[], onDone: () => void}} props */
export function SweepForm({ recipes, jobs, onDone }) {
  const [offer, setOffer] = useState(usualRecipe(recipes, jobs));
  const [modes, setModes] = useState({});
  const [typed, setTyped] = useState({});
  const [ranges, setRanges] = useState({});
  const [own, setOwn] = useState(ownStart(offer));
  const [errors, setErrors] = useState({});
  const [problem, setProblem] = useState("");
  const [sending, setSending] = useState(false);
  const parameters = Object.entries(offer.recipe.parameters || {});
  const modeOf = (key) => modes[key] || "fixed";
  const pick = (name) => {
    const next = recipes.find((one) => one.name === name);
    setOffer(next);
    setModes({});
    setTyped({});
    setRanges({});
    setErrors({});
    setOwn(ownStart(next));
  };
  const send = async (event) => {
    event.preventDefault();
    const body = { recipe: offer.name, parameters: {}, space: {}, metric: own.metric, direction: own.direction, sampler: own.sampler, pruner: own.pruner };
    for (const key of ["n_trials", "concurrency", "warmup"]) body[key] = numeric(own[key]);
    if (own.name.trim()) body.name = own.name;
    for (const [key, parameter] of parameters) {
      if (modeOf(key) !== "fixed") body.space[key] = dimension(modeOf(key), ranges[key] || {});
      else {
        const v = given(parameter, shownAs(typed[key] ?? startOf(parameter)));
        if (v !== undefined) body.parameters[key] = v;
      }
    }
    setSending(true);
    try {
      const begun = await api.createSweep(body);
      onDone();
      navigate(`/sweeps/${begun.id}`);
    } catch (error) {
      setErrors(Object.fromEntries((error.errors || []).map(({ field, detail }) => [field, detail])));
      setProblem(error.errors?.length ? (error.errors.some(({ field }) => field === "space") ? "Choose at least one parameter to search: set it to a range or a list." : "") : error.message);
      setSending(false);
    }
  };
  const set = (key) => (v) => setOwn((old) => ({ ...old, [key]: v }));
  return html`<form class="card job-form sweep-form" aria-label="New sweep" onSubmit=${send} novalidate>
    <header><h2>New sweep</h2></header>
    <${Plain} name="recipe" label="Recipe" value=${offer.name} onValue=${pick} error=${errors.recipe} options=${recipes.map((one) => [one.name, one.name])} help=${html`${offer.recipe.help || ""} ${offer.alive ? null : html`<span class="warn">No agent that offers it is there now: its trials will wait.</span>`}`} />
    ${parameters.map(([key, parameter]) => html`<${ParameterRow} key=${`${offer.name}.${key}`} name=${key} parameter=${parameter} mode=${modeOf(key)} value=${shownAs(typed[key] ?? startOf(parameter))} range=${ranges[key] || {}}
      onMode=${(mode) => { setModes((old) => ({ ...old, [key]: mode })); if (mode !== "fixed") setRanges((old) => ({ ...old, [key]: guess(parameter, mode) })); }}
      onValue=${(v) => setTyped((old) => ({ ...old, [key]: v }))} onRange=${(range) => setRanges((old) => ({ ...old, [key]: range }))} error=${errors[`space.${key}`] || errors[`parameters.${key}`]} />`)}
    ${Object.values(modes).every((mode) => mode === "fixed") ? html`<p class="dim note">Set at least one parameter to a range or a list: that is what is searched.</p>` : null}
    <h3>What is searched for, and how</h3>
    <${Plain} name="metric" label="Metric" value=${own.metric} onValue=${set("metric")} error=${errors.metric} help="as the script logs it, once an epoch or so" />
    <${Plain} name="direction" label="Better is" value=${own.direction} onValue=${set("direction")} error=${errors.direction} options=${[["max", "higher"], ["min", "lower"]]} />
    <${Plain} name="n_trials" label="Trials" value=${own.n_trials} onValue=${set("n_trials")} error=${errors.n_trials} help="in all" />
    <${Plain} name="concurrency" label="At once" value=${own.concurrency} onValue=${set("concurrency")} error=${errors.concurrency} help="as many as the agents have slots, at most" />
    <${Plain} name="sampler" label="Sampler" value=${own.sampler} onValue=${set("sampler")} error=${errors.sampler} options=${SAMPLERS} help=${SAMPLER_HELP[own.sampler]} />
    <${Plain} name="pruner" label="Pruner" value=${own.pruner} onValue=${set("pruner")} error=${errors.pruner} options=${PRUNERS} help=${PRUNER_HELP[own.pruner]} />
    ${own.pruner === "none" ? null : html`<${Plain} name="warmup" label="Warm-up" value=${own.warmup} onValue=${set("warmup")} error=${errors.warmup} help="values of the metric before a trial may be stopped" />`}
    <${Plain} name="name" label="Name" value=${own.name} onValue=${set("name")} error=${errors.name} help=${`else ${plain(offer.name)}`} />
    ${problem ? html`<p class="problem" role="alert">${problem}</p>` : null}
    <p class="form-buttons"><button class="button primary" disabled=${sending}>Begin sweep</button><button type="button" class="button" onClick=${onDone}>Cancel</button></p>
  </form>`;
}
