/** The slim navigation: only pages that exist. */
import { html } from "htm/preact";
import { helpOpen } from "../keys.js";
import { href, route } from "../router.js";
import { count } from "../format.js";
import { list } from "../state.js";
import { AlertBell } from "./alert_bell.js";
import { Connection } from "./connection.js";

function Item({ page, to, pages, children }) {
  const current = pages.includes(page);
  return html`<a class="nav-item" href=${to} aria-current=${current ? "page" : undefined}>${children}</a>`;
}

/** Brand, pages, connection. */
export function Nav() {
  const { page, run, params } = route.value;
  const at = page === "run" ? run : params.run;
  return html`
    <nav class="nav" aria-label="Pages">
      <a class="brand" href="/"><img src="/static/favicon.svg" alt="" width="18" height="18" />DeepEvent</a>
      <${Item} page=${page} pages=${["runs", "run"]} to="/">Runs<span class="nav-count">${page === "runs" && list.value.total ? count(list.value.total) : ""}</span><//>
      <${Item} page=${page} pages=${["compare"]} to="/compare">Compare<//>
      <${Item} page=${page} pages=${["detections"]} to=${href("/detections", { run: at })}>Detections<//>
      <${Item} page=${page} pages=${["jobs", "sweep"]} to="/jobs">Jobs<//>
      <${Item} page=${page} pages=${["settings"]} to="/settings">Settings<//>
      <${AlertBell} />
      <div class="nav-foot">
        <${Connection} />
        <button class="quiet" onClick=${() => (helpOpen.value = true)}><kbd>?</kbd> keys</button>
      </div>
    </nav>
  `;
}
