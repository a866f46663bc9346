/** How much each parameter decides over being among the best, as bars. */
import { html } from "htm/preact";
import { Name } from "./name.js";

/** @param {{shares: Record<string, number>, names: string[]}} props */
export function Importance({ shares, names }) {
  const rows = names.map((name) => [name, Number(shares[name] ?? 0)]).sort((a, b) => b[1] - a[1]);
  const known = Object.keys(shares).length > 0;
  return html`<section class="card"><header><h2>Importance of parameters</h2><small>PED-ANOVA</small></header>
    ${known
      ? html`<dl class="importance">${rows.map(([name, share]) => html`<div key=${name}><dt><${Name} text=${name} most=${24} /></dt><dd><svg width="100%" height="10" role="presentation"><rect class="whole" width="100%" height="10" rx="2" /><rect class="part" width=${`${(share * 100).toFixed(2)}%`} height="10" rx="2" /></svg><span>${Math.round(share * 100)} %</span></dd></div>`)}</dl>
          <p class="dim note">Of what sets the best trials apart from the others.</p>`
      : html`<p class="dim">It is known once four trials have completed or were pruned.</p>`}
  </section>`;
}
