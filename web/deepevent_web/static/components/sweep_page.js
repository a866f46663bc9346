/** One sweep: how its trials stand, what they say about the parameters, and what can be done with it. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api.js";
import { actor, ago, number, plain, value } from "../format.js";
import { href, param, setParams } from "../router.js";
import { now, session } from "../state.js";
import { axesOf, better, followSweep, isOpen, linesOf, loadSweep, sweep } from "../sweeps.js";
import { BestHistory } from "./best_history.js";
import { Failed, Waiting } from "./empty.js";
import { Importance } from "./importance.js";
import { Name } from "./name.js";
import { TrialLines } from "./trial_lines.js";
import { Popover } from "./popover.js";
import { SWEEP_KIND } from "./sweep_list.js";
import { totals, TrialTable } from "./trial_table.js";

/** A small form in a panel: sends, says what was wrong, and closes. */
function Ask({ text, label, title, button, fields, send }) {
  const [problem, setProblem] = useState("");
  const submit = (close) => async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.currentTarget));
    try {
      await send(given);
      setProblem("");
      close();
    } catch (error) {
      setProblem(error.errors?.length > 1 ? error.errors.map((one) => `${one.field} ${one.detail}`).join("; ") : error.message);
    }
  };
  return html`<${Popover} text=${text} label=${label} title=${title} wide>${(close) => html`<form class="ask" aria-label=${label} onSubmit=${submit(close)} novalidate>
    ${fields.map(({ name, title: head, start, hint }) => html`<label key=${name}><span>${head}</span><input class="field" name=${name} autocomplete="off" defaultValue=${start} />${hint ? html`<small>${hint}</small>` : null}</label>`)}
    ${problem ? html`<p class="bad" role="alert">${problem}</p>` : null}
    <button class="button primary">${button}</button>
  </form>`}<//>`;
}

/** What a parameter may be, in a few words. */
function words(dimension) {
  if (dimension.choices) return dimension.choices.map(String).join(", ");
  return `${plain(dimension.low)} to ${plain(dimension.high)}${dimension.log ? ", logarithmic" : ""}`;
}

function typed(dimension, text) {
  if (dimension.choices) return dimension.choices.find((choice) => String(choice) === text.trim()) ?? text;
  const v = Number(text);
  return text.trim() !== "" && Number.isFinite(v) ? v : text;
}

function Actions({ row, id, onProblem }) {
  const change = (request) => request.then(() => loadSweep(id));
  const stop = () => change(api.stopSweep(row.id)).then(() => onProblem(""), (error) => onProblem(error.message));
  const start = row.best?.parameters || row.trials.at(-1)?.parameters || {};
  const open = row.trials.some(isOpen);
  return html`
    <${Ask} text="Extend…" label="Extend the sweep" title="more trials, or more at once" button="Extend"
      fields=${[{ name: "n_trials", title: "Trials in all", start: String(row.n_trials + 10) }, { name: "concurrency", title: "At once", start: String(row.concurrency) }]}
      send=${(given) => change(api.patchSweep(row.id, { n_trials: typed({}, given.n_trials), concurrency: typed({}, given.concurrency) }))} />
    <${Ask} text="Add trial…" label="Add a trial" title="a trial with parameters of your own" button="Queue trial"
      fields=${Object.entries(row.space).map(([name, dimension]) => ({ name, title: name, start: start[name] === undefined ? "" : plain(start[name]), hint: words(dimension) }))}
      send=${(given) => change(api.addTrial(row.id, Object.fromEntries(Object.entries(given).map(([name, text]) => [name, typed(row.space[name], text)]))))} />
    ${row.state === "running" || open ? html`<button class="button" disabled=${row.state !== "running"} onClick=${stop} title="no more trials begin; those at work are stopped">Stop sweep</button>` : null}`;
}

function Facts({ row }) {
  const shared = Object.entries(row.parameters).map(([key, v]) => `${key}=${plain(v)}`);
  return html`<dl class="sweep-facts">
    <div><dt>Recipe</dt><dd>${row.recipe}</dd></div>
    <div><dt>Optimises</dt><dd>${row.direction === "max" ? "highest" : "lowest"} ${row.metric}</dd></div>
    <div><dt>Sampler</dt><dd>${row.sampler} · seed ${row.seed}</dd></div>
    <div><dt>Pruner</dt><dd>${row.pruner}${row.pruner === "none" ? "" : ` · after ${row.warmup} value${row.warmup === 1 ? "" : "s"}`}</dd></div>
    <div><dt>At once</dt><dd>${row.concurrency}</dd></div>
    ${shared.length ? html`<div class="wide"><dt>All trials</dt><dd><code>${shared.join(" ")}</code></dd></div>` : null}
  </dl>`;
}

/** @param {{id: string}} props */
export function SweepPage({ id }) {
  const [problem, setProblem] = useState("");
  useEffect(() => followSweep(id), [id]);
  const { row, importance, error } = sweep.value.id === id ? sweep.value : {};
  if (!row) return html`<main class="content">${error ? html`<${Failed} error=${error} retry=${() => loadSweep(id)} />` : html`<${Waiting} what="the sweep" />`}</main>`;

  const asked = param("trial", null);
  const selected = asked === null ? null : Number(asked);
  const select = (trial) => setParams({ trial });
  const first = row.trials.find((trial) => trial.run);
  const best = row.best?.run ? row.best : null;
  const [second] = row.trials.filter((trial) => trial.run && trial.number !== best?.number && trial.value !== null).sort((a, b) => (better(number(a.value), number(b.value), row.direction) ? -1 : 1));
  // Where the first trial is the best, there is still something to compare it with.
  const isFirst = best !== null && best.run === first?.run;
  const pair = [best?.run, isFirst ? second?.run : first?.run].filter(Boolean);
  return html`
    <header class="bar sweep-bar">
      <h1><${Name} text=${row.name} most=${40} /></h1>
      <span class=${`status ${SWEEP_KIND[row.state] || "plain"}`}><i class="dot"></i>${row.state}</span>
      <span class="bar-count">sweep ${row.id} · ${totals(row.counts, row.n_trials)}</span>
      <span class="grow"></span>
      ${session.value?.role === "operator" ? html`<${Actions} row=${row} id=${id} onProblem=${setProblem} />` : null}
      <a class="button" href=${href("/", { filter: `group = "${row.group}"` })}>All its runs</a>
      ${pair.length === 2 ? html`<a class="button primary" href=${href("/compare", { runs: pair.join(",") })}>${isFirst ? "Compare best with second" : "Compare best with first"}</a>` : null}
    </header>
    <main class="content sweep-page">
      ${problem ? html`<p class="problem" role="alert">${problem}</p>` : null}
      ${row.reason ? html`<p class="problem" role="alert">This sweep ended: ${row.reason}.</p>` : null}
      <section class="card best"><header><h2>${best ? html`Best: ${value(row.best.value)}` : "No trial has completed yet"}</h2><small>begun ${ago(number(row.created), now.value)}${row.created_by ? ` by ${actor(row.created_by)}` : ""}</small></header>
        ${best ? html`<p><a href=${`/runs/${encodeURIComponent(best.run)}`}>trial ${best.number}</a> ${Object.entries(best.parameters).map(([key, v]) => html`<span key=${key}><span class="dim">${key}</span> <b>${typeof v === "number" ? value(v) : plain(v)}</b></span>`)}</p>` : null}
        <${Facts} row=${row} />
      </section>
      <section class="card"><header><h2>Parameters and ${row.metric}</h2><small>each line a trial; the strongest are the best, dashed ones did not complete</small></header>
        <${TrialLines} axes=${axesOf(row)} rows=${linesOf(row)} selected=${selected} onSelect=${select} label=${`Parameters of ${row.trials.length} trials and their ${row.metric}; the table below has the numbers`} />
      </section>
      <div class="sweep-pair">
        <${BestHistory} row=${row} selected=${selected} onSelect=${select} />
        <${Importance} shares=${importance} names=${Object.keys(row.space)} />
      </div>
      <${TrialTable} row=${row} selected=${selected} onSelect=${select} />
    </main>`;
}
