/**
 * Sign-in: the link that `deepevent serve` prints carries a one-time code behind `#`, which no server log sees.
 */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { signIn } from "../api.js";
import { placed } from "../base.js";
import { param } from "../router.js";
import { Command } from "./empty.js";

/** Only a path of our own may be gone on to. */
function target() {
  const next = param("next", "/");
  return /^\/(?![/\\])/.test(next) ? next : "/";
}

/** @returns the page that turns the code into a session, or says how to get a code */
export function SignInPage() {
  const [phase, setPhase] = useState("reading");
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState("");

  const enter = async (code) => {
    setPhase("signing in");
    try {
      await signIn(code);
      location.replace(placed(target())); // a full load, so that the page has the new session's CSRF token
    } catch (error) {
      setProblem(error.message);
      setPhase("asking");
    }
  };

  useEffect(() => {
    const code = decodeURIComponent(location.hash.slice(1)).replace(/^code=/, "");
    history.replaceState(null, "", location.pathname + location.search);
    if (code) enter(code);
    else setPhase("asking");
  }, []);

  const submit = (event) => {
    event.preventDefault();
    // A whole link may be pasted: the code is what stands behind #.
    const code = typed.trim().split("#").pop().replace(/^code=/, "");
    if (code) enter(code);
  };

  return html`<main class="signin">
    <h1><img src="/static/favicon.svg" alt="" width="28" height="28" />DeepEvent</h1>
    ${phase === "asking"
      ? html`
          ${problem ? html`<p class="problem" role="alert">${problem}</p>` : null}
          <p>This dashboard is private. Open the link that <code>deepevent serve</code> printed, or make a new one on the server's machine:</p>
          <${Command} text="deepevent token link" />
          <form onSubmit=${submit}>
            <label for="code">Link or code</label>
            <div class="row">
              <input id="code" autocomplete="off" spellcheck="false" value=${typed} onInput=${(e) => setTyped(e.target.value)} autofocus />
              <button class="button primary" type="submit">Sign in</button>
            </div>
          </form>
          <p class="dim">A link works once and for a short time only.</p>`
      : html`<p role="status">Signing in …</p>`}
  </main>`;
}
