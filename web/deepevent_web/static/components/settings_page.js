/** Settings of this browser and this session: theme, sign-in links for other browsers, signing out. */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { BASE } from "../base.js";
import { moment } from "../format.js";
import * as live from "../live.js";
import { navigate } from "../router.js";
import { session } from "../state.js";
import { choice, chooseTheme } from "../theme.js";
import { AlertSettings } from "./alert_settings.js";
import { AuditLog } from "./audit_log.js";
import { Command } from "./empty.js";

function Theme() {
  return html`<fieldset class="setting">
    <legend>Theme</legend>
    <div class="segments">
      ${[["system", "as the system"], ["light", "light"], ["dark", "dark"]].map(
        ([value, text]) => html`<label><input type="radio" name="theme" value=${value} checked=${choice.value === value} onChange=${() => chooseTheme(value)} /><span>${text}</span></label>`,
      )}
    </div>
  </fieldset>`;
}

function Links() {
  const [link, setLink] = useState(null);
  const [problem, setProblem] = useState("");
  const make = async () => {
    try {
      setLink(await api.newSignInLink());
      setProblem("");
    } catch (error) {
      setProblem(error.message);
    }
  };
  return html`<section class="setting">
    <h2>Another browser</h2>
    <p>A link signs one browser in, once.</p>
    ${link ? html`<${Command} text=${link.url} /><p class="dim">Works until ${moment(link.expires)}.</p>` : html`<button class="button" onClick=${make}>Make a sign-in link</button>`}
    ${problem ? html`<p class="problem" role="alert">${problem}</p>` : null}
  </section>`;
}

/** @returns the settings page */
export function SettingsPage() {
  const who = session.value;
  const leave = async () => {
    await api.signOut();
    live.disconnect();
    session.value = null;
    navigate("/signin");
  };
  return html`<main class="content narrow">
    <h1>Settings</h1>
    <${Theme} />
    ${who?.role === "operator" ? html`<${Links} />` : null}
    <${AlertSettings} canChange=${who?.role === "operator"} />
    <section class="setting">
      <h2>Session</h2>
      ${who ? html`<p>Signed in as <b>${who.name || who.role}</b>, role ${who.role}, until ${moment(who.expires)}.</p>` : html`<p>Not signed in yet.</p>`}
      <button class="button" onClick=${leave}>Sign out</button>
    </section>
    <section class="setting">
      <h2>Scripts</h2>
      <p>A script on the server's own machine needs no set-up. Elsewhere it is told where the server is:</p>
      <${Command} text=${`export DEEPEVENT_URL=${location.origin}${BASE}\nexport DEEPEVENT_TOKEN=…   # from: deepevent token create`} />
    </section>
    ${who?.role === "operator" ? html`<${AuditLog} />` : null}
  </main>`;
}
