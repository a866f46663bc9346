/** Settings of alerts: rules, notifications of this browser, and webhooks. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { notifying, setNotifying } from "../alerts.js";
import * as api from "../api.js";
import { moment } from "../format.js";
import { Command } from "./empty.js";

const KINDS = [
  ["non_finite", "a value is NaN or infinite"],
  ["above", "a metric is above a bound"],
  ["stalled", "a metric makes no progress"],
  ["lost", "a run is lost"],
  ["finished", "a run has ended"],
];
const LEVELS = ["info", "warning", "error"];

/** What a rule says, as a sentence. */
export function ruleText({ kind, metric, bound, patience, goal }) {
  if (kind === "non_finite") return `${metric || "any metric"} is NaN or infinite`;
  if (kind === "above") return `${metric} is above ${bound}`;
  if (kind === "stalled") return `no ${goal === "min" ? "lower" : "higher"} ${metric} for ${patience} values`;
  return kind === "lost" ? "a run is lost" : "a run has ended";
}

function RuleForm({ onMade }) {
  const [kind, setKind] = useState("non_finite");
  const [problem, setProblem] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries([...new FormData(event.currentTarget)].filter(([, text]) => text !== ""));
    for (const name of ["bound", "patience"]) if (name in given) given[name] = Number(given[name]);
    try {
      await api.createAlertRule(given);
      setProblem("");
      onMade();
    } catch (error) {
      setProblem(error.message);
    }
  };
  const ofMetric = ["non_finite", "above", "stalled"].includes(kind);
  return html`<form class="alert-form" onSubmit=${submit}>
    <label>When <select name="kind" class="field" value=${kind} onChange=${(event) => setKind(event.currentTarget.value)}>${KINDS.map(([value, text]) => html`<option value=${value}>${text}</option>`)}</select></label>
    ${ofMetric ? html`<label>Metric <input name="metric" class="field" placeholder=${kind === "non_finite" ? "any" : "train/loss"} required=${kind !== "non_finite"} /></label>` : null}
    ${kind === "above" ? html`<label>Bound <input name="bound" class="field" type="number" step="any" required /></label>` : null}
    ${kind === "stalled" ? html`<label>Better is <select name="goal" class="field"><option value="min">lower</option><option value="max">higher</option></select></label>
      <label>Values <input name="patience" class="field" type="number" min="1" value="10" required /></label>` : null}
    <label>Project <input name="project" class="field" placeholder="every" /></label>
    <label>Level <select name="level" class="field" value="warning">${LEVELS.map((level) => html`<option value=${level} selected=${level === "warning"}>${level}</option>`)}</select></label>
    <button class="button" type="submit">Add rule</button>
    ${problem ? html`<p class="problem" role="alert">${problem}</p>` : null}
  </form>`;
}

function Rules({ canChange }) {
  const [rules, setRules] = useState([]);
  const load = () => api.getAlertRules().then(({ rules: found }) => setRules(found));
  useEffect(() => void load(), []);
  const drop = async (id) => {
    await api.deleteAlertRule(id);
    load();
  };
  return html`<section class="setting">
    <h2>Alert rules</h2>
    <p>A rule speaks once of a run, and only of what happens after it was made.</p>
    ${rules.length ? html`<ul class="setting-list">${rules.map((rule) => html`<li key=${rule.id}><span><span class=${`level ${rule.level}`}>${rule.level}</span> ${ruleText(rule)} <span class="dim">in ${rule.project || "every project"}</span></span>
      ${canChange ? html`<button class="quiet" aria-label=${`Delete the rule: ${ruleText(rule)}`} onClick=${() => drop(rule.id)}>Delete</button>` : null}</li>`)}</ul>` : html`<p class="dim">No rules yet.</p>`}
    ${canChange ? html`<${RuleForm} onMade=${load} />` : null}
  </section>`;
}

function Notifications() {
  const state = notifying.value;
  return html`<section class="setting">
    <h2>Notifications of this browser</h2>
    ${state === "refused"
      ? html`<p class="dim">The browser does not allow them for this page.</p>`
      : html`<label class="check"><input type="checkbox" checked=${state === "on"} onChange=${(event) => setNotifying(event.currentTarget.checked)} /> Notify me of alerts while a page of DeepEvent is open</label>`}
  </section>`;
}

function lastText(last) {
  if (!last) return "nothing sent yet";
  const tries = last.attempts > 1 ? ` after ${last.attempts} attempts` : "";
  if (last.state === "waiting") return last.attempts ? `${last.answer}; tried again at ${moment(last.due)}` : "about to be sent";
  return `${last.state}${tries}: ${last.answer}`;
}

function Webhooks() {
  const [hooks, setHooks] = useState([]);
  const [made, setMade] = useState(null);
  const [problem, setProblem] = useState("");
  const load = () => api.getWebhooks().then(({ webhooks }) => setHooks(webhooks));
  useEffect(() => void load(), []);
  const submit = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    const given = Object.fromEntries([...new FormData(form)].filter(([, text]) => text !== ""));
    try {
      setMade(await api.createWebhook(given));
      setProblem("");
      form.reset();
      load();
    } catch (error) {
      setProblem(error.message);
    }
  };
  const drop = async (id) => {
    await api.deleteWebhook(id);
    load();
  };
  return html`<section class="setting">
    <h2>Webhooks</h2>
    <p>Every alert is sent there as JSON, signed with the webhook's secret.</p>
    ${hooks.length ? html`<ul class="setting-list">${hooks.map((hook) => html`<li key=${hook.id}><span class="wrap"><code>${hook.url}</code> <span class="dim">${hook.project || "every project"}; ${lastText(hook.last)}</span></span>
      <button class="quiet" aria-label=${`Delete the webhook ${hook.url}`} onClick=${() => drop(hook.id)}>Delete</button></li>`)}</ul>` : null}
    ${made ? html`<p>The secret of ${made.url}, shown this once:</p><${Command} text=${made.secret} />` : null}
    <form class="alert-form" onSubmit=${submit}>
      <label class="grow">Address <input name="url" class="field" type="url" placeholder="https://example.org/hook" required /></label>
      <label>Project <input name="project" class="field" placeholder="every" /></label>
      <button class="button" type="submit">Add webhook</button>
      ${problem ? html`<p class="problem" role="alert">${problem}</p>` : null}
    </form>
  </section>`;
}

/** @param {{canChange: boolean}} props whether this session may make and delete rules and webhooks */
export function AlertSettings({ canChange }) {
  return html`<${Rules} canChange=${canChange} /><${Notifications} />${canChange ? html`<${Webhooks} />` : null}`;
}
