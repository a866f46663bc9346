/** The files that a run kept: every version with its size, its hash to check it by, and a download. */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { downloadURL, getArtifacts } from "../api.js";
import { ago, bytes, count, moment, number } from "../format.js";
import { announcement } from "../keys.js";
import { onReconnect } from "../live.js";
import { now } from "../state.js";
import { Empty, Failed, Waiting } from "./empty.js";
import { Name } from "./name.js";

const HASH_SHOWN = 12;

function Hash({ sha256 }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(sha256);
    } catch {
      return; // without permission the whole hash still stands in the title
    }
    setCopied(true);
    announcement.value = "Copied the hash";
    setTimeout(() => setCopied(false), 1500);
  };
  return html`<button class="quiet" title=${`sha256 ${sha256}`} aria-label=${`Copy the hash ${sha256}`} onClick=${copy}><code>${sha256.slice(0, HASH_SHOWN)}</code> ${copied ? "copied" : "copy"}</button>`;
}

/** A run's artifacts, asked for again when the run changes. @param {object} run */
export function useArtifacts(run) {
  const [state, setState] = useState({ artifacts: null, error: null });
  useEffect(() => {
    const load = () => getArtifacts(run.id).then(({ artifacts }) => setState({ artifacts, error: null }), (error) => setState((old) => ({ ...old, error })));
    load();
    return onReconnect(load);
  }, [run.id, run.status, run.heartbeat]);
  return state;
}

/** @param {{run: object}} props */
export function Artifacts({ run }) {
  const { artifacts, error } = useArtifacts(run);
  if (error && !artifacts) return html`<${Failed} error=${error} />`;
  if (!artifacts) return html`<${Waiting} what="artifacts" />`;
  if (!artifacts.length) return html`<${Empty} title="No artifacts in this run" command=${'run.log_artifact("best.pt", kind="checkpoint")'}>Files and folders that a run keeps stand here with their hashes.<//>`;
  const versions = new Map();
  const rows = artifacts.map((one) => {
    const key = `${one.name}\n${one.path}`;
    versions.set(key, (versions.get(key) || 0) + 1);
    return { ...one, version: versions.get(key) };
  });
  const total = artifacts.reduce((sum, one) => sum + (number(one.size_bytes) || 0), 0);
  return html`<section class="card wide-card"><h2>Artifacts <small>${count(artifacts.length)} ${artifacts.length === 1 ? "file" : "files"}, ${bytes(total)}</small></h2>
    <div class="scroll-x" tabindex="0" role="region" aria-label="Artifacts"><table class="plain">
      <thead><tr><th scope="col">Name</th><th scope="col">File</th><th scope="col">Kind</th><th scope="col" class="number">Size</th><th scope="col" class="number">Logged</th><th scope="col">SHA-256</th><th scope="col"><span class="unseen">Download</span></th></tr></thead>
      <tbody>${rows.reverse().map((one) => html`<tr key=${one.id}>
        <td><${Name} text=${one.name} most=${32} />${versions.get(`${one.name}\n${one.path}`) > 1 ? html` <small>v${one.version}</small>` : null}</td>
        <td><${Name} text=${one.path || "–"} most=${36} /></td><td>${one.kind}</td>
        <td class="number">${one.size_bytes === null ? "–" : bytes(one.size_bytes)}</td>
        <td class="number" title=${moment(number(one.time))}>${ago(number(one.time), now.value)}</td>
        <td>${one.blob ? html`<${Hash} sha256=${one.blob} />` : "–"}</td>
        <td>${one.blob ? html`<a class="button small" href=${downloadURL(one.blob, one.path || one.name)} download aria-label=${`Download ${one.name} ${one.path || ""}`}>Download</a>` : html`<span class="dim">not here yet</span>`}</td>
      </tr>`)}</tbody></table></div>
  </section>`;
}
