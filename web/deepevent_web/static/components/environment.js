/** What a run ran on: its command, its commit with the changes that were not committed, packages, machine. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { downloadURL, getText } from "../api.js";
import { bytes } from "../format.js";
import { Command } from "./empty.js";
import { Name } from "./name.js";
import { Tree } from "./tree.js";

const DIFF_NAME_KIND = "diff";
const MOST_LINES = 5000;

/** A word as a shell would want it typed. */
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/'/g, "'\\''")}'`);

/** @param {{environment: object|undefined}} props */
export function CommandCard({ environment }) {
  const argv = environment?.argv;
  if (!Array.isArray(argv) || !argv.length) return null;
  const program = environment.process?.executable?.split("/").pop();
  const words = [/\.py$/.test(argv[0]) && program ? program : null, ...argv].filter(Boolean);
  return html`<section class="card wide-card"><h2>Command ${environment.process?.folder ? html`<small>in ${environment.process.folder}</small>` : null}</h2><${Command} text=${words.map(String).map(quoted).join(" ")} /></section>`;
}

const kindOf = (line) => (/^(\+\+\+|---|diff |index |new file|deleted file)/.test(line) ? "file" : line.startsWith("@@") ? "place" : line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "");

function Diff({ artifact }) {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    if (!open || text !== null) return undefined;
    const stop = new AbortController();
    getText(artifact.blob, stop.signal).then(setText, (error) => error.name !== "AbortError" && setProblem(error.message));
    return () => stop.abort();
  }, [open]);
  const lines = (text ?? "").split("\n");
  return html`<details class="diff" onToggle=${(e) => setOpen(e.target.open)}>
    <summary>Changes that were not committed <small>${bytes(artifact.size_bytes)}</small></summary>
    ${problem ? html`<p class="bad">${problem}</p>` : text === null ? html`<p class="dim">loading …</p>` : html`<pre tabindex="0" aria-label="Diff">${lines.slice(0, MOST_LINES).map((line) => html`<span class=${kindOf(line)}>${line}\n</span>`)}</pre>`}
    ${lines.length > MOST_LINES ? html`<p class="dim">The first ${MOST_LINES} of ${lines.length} lines.</p>` : null}
    <a class="quiet" href=${downloadURL(artifact.blob, "uncommitted.diff")} download>download</a>
  </details>`;
}

/** @param {{environment: object|undefined, artifacts: object[]}} props */
export function GitCard({ environment, artifacts }) {
  const git = environment?.git;
  if (!git) return null;
  const diff = artifacts.filter((one) => one.kind === DIFF_NAME_KIND && one.blob).pop();
  return html`<section class=${`card facts ${diff ? "wide-card" : ""}`}><h2>Git</h2><dl>
    <div><dt>Commit</dt><dd><code title=${git.commit}>${String(git.commit).slice(0, 12)}</code>${git.dirty ? html` <span class="warn">with changes</span>` : html` <span class="dim">clean</span>`}</dd></div>
    <div><dt>Branch</dt><dd>${git.branch ? html`<${Name} text=${git.branch} />` : "–"}</dd></div>
    ${git.remote ? html`<div><dt>Remote</dt><dd>${git.remote}</dd></div>` : null}
  </dl>${diff ? html`<${Diff} artifact=${diff} />` : null}</section>`;
}

/** Machine, GPUs and packages as trees. @param {{environment: object|undefined}} props */
export function EnvironmentCards({ environment }) {
  if (!environment) return null;
  const { packages, git, argv, ...rest } = environment;
  return html`<${Tree} title="Environment" values=${rest} empty="" /><${Tree} title="Packages" values=${packages} empty="" />`;
}
