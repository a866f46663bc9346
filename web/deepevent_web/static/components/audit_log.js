/** The audit log, for those who may do all: who changed what, and who was refused. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { getAudit } from "../api.js";
import { actor, moment } from "../format.js";
import { Name } from "./name.js";

const PAGE = 25;

/** @returns the newest entries, and older ones on demand */
export function AuditLog() {
  const [entries, setEntries] = useState(null);
  const [next, setNext] = useState(null);
  const [problem, setProblem] = useState("");
  const load = async (before) => {
    try {
      const page = await getAudit({ limit: PAGE, before });
      setEntries((known) => (before ? [...known, ...page.entries] : page.entries));
      setNext(page.next);
      setProblem("");
    } catch (error) {
      setProblem(error.message);
    }
  };
  useEffect(() => {
    load(null);
  }, []);
  return html`<section class="setting">
    <h2>Audit log</h2>
    <p>Deletions, jobs, tokens and sign-ins, and changes that were refused.</p>
    ${problem ? html`<p class="problem" role="alert">${problem}</p>` : null}
    ${entries === null && !problem ? html`<p class="dim">Loading …</p>` : null}
    ${entries?.length === 0 ? html`<p>Nothing yet.</p>` : null}
    ${entries?.length
      ? html`<div class="scroll-x" tabindex="0" role="region" aria-label="Audit log"><table class="plain audit">
          <thead><tr><th>When</th><th>Who</th><th>What</th><th>To what</th></tr></thead>
          <tbody>${entries.map((one) => html`<tr key=${one.id}><td>${moment(one.time)}</td><td><${Name} text=${actor(one.actor) || "the server"} most=${32} /></td><td><${Name} text=${one.action} most=${32} /></td><td>${one.job_id ? `job ${one.job_id} ` : ""}<${Name} text=${one.detail} most=${400} /></td></tr>`)}</tbody>
        </table></div>`
      : null}
    ${next ? html`<button class="button" onClick=${() => load(next)}>Older</button>` : null}
  </section>`;
}
