/**
 * Another epoch of the same run, or another run, beside the photograph that is looked at: same stage, same score
 * threshold, same image. What stands there is in the URL as `beside`: `epoch:<step>` or `run:<id>`.
 */
import { html } from "htm/preact";
import { useEffect, useMemo } from "preact/hooks";
import { blobURL } from "../api.js";
import { drawnBoxes } from "../boxes.js";
import { cut } from "../format.js";
import { alive, fate, funnel, funnelOver, read } from "../lineage.js";
import { eventUpTo, photographs, useMedia } from "../media_store.js";
import { param, setParams } from "../router.js";
import { findRun, list, loadRuns } from "../state.js";
import { Funnel } from "./funnel.js";
import { Name } from "./name.js";
import { Photograph } from "./photograph.js";

/** @returns {{kind: "epoch"|"run", value: string}|null} */
function beside() {
  const [kind, value] = param("beside").split(":");
  return value && (kind === "epoch" || kind === "run") ? { kind, value } : null;
}

/** Whether anything does. */
export const isBeside = () => beside() !== null;

/** Chooses what stands beside. @param {{run: string, steps: number[], epochs: object[]}} props `epochs`: the photograph's events */
export function BesideControl({ run, steps, epochs }) {
  useEffect(() => {
    if (list.value.rows.length === 0) loadRuns();
  }, []);
  const named = new Map(epochs.map((event) => [Number(event.step), event.epoch]));
  const label = (step) => (named.get(step) === null || named.get(step) === undefined ? `step ${step}` : `epoch ${named.get(step)}`);
  const others = list.value.rows.filter((row) => row.n_media > 0 && row.id !== run);
  return html`<label class="control">beside it <select value=${param("beside")} onChange=${(e) => setParams({ beside: e.target.value || null, grid: null })}>
    <option value="">nothing</option>
    <optgroup label="this run at">${steps.map((step) => html`<option value=${`epoch:${step}`}>${label(step)}</option>`)}</optgroup>
    ${others.length ? html`<optgroup label="another run">${others.map((row) => html`<option value=${`run:${row.id}`}>${cut(row.name, 40)}</option>`)}</optgroup>` : null}
  </select></label>`;
}

/** @param {{run: string, photo: object, stage: number, stageName: string, least: number, before: boolean, over: boolean, step: number}} props `over`: count over all photographs */
export function Beside({ run, ...props }) {
  const what = beside();
  if (!what) return null;
  const other = what.kind === "run" ? what.value : run;
  return html`<${Other} key=${other} run=${other} until=${what.kind === "epoch" ? Number(what.value) : props.step} isRun=${what.kind === "run"} ...${props} />`;
}

function Other({ run, until, isRun, photo, stage, stageName, least, before, over }) {
  const { items, loading, error } = useMedia(run, "detections");
  const same = useMemo(() => {
    const photos = photographs(items).filter(({ blob }) => blob === photo.blob);
    return photos.find(({ name }) => name === photo.name) || photos[0] || null;
  }, [items, photo.key]);
  const item = same && eventUpTo(same, until);
  const event = useMemo(() => item && read(item.data), [item]);
  const living = useMemo(() => event && alive(event, least), [event, least]);
  // The same stage by name; another cascade may have another number of them.
  const named = event ? event.stages.findIndex(({ name }) => name === stageName) : -1;
  const at = event ? (named >= 0 ? named : Math.min(stage, event.stages.length - 1)) : 0;
  const boxes = useMemo(() => (event ? drawnBoxes(event, living, at, { before }) : []), [event, living, at, before]);
  const counted = useMemo(() => {
    if (!event) return null;
    if (!over) return { rows: funnel(event, living), nFaces: event.truth.length };
    const events = photographs(items).map((one) => read(eventUpTo(one, until).data));
    return funnelOver(events.map((one) => ({ event: one, living: alive(one, least) })));
  }, [event, living, over, items, until, least]);
  const lost = event ? event.truth.map((face) => fate(event, living, face)).filter(({ found }) => !found) : [];
  const title = isRun ? (findRun(run)?.name ?? run) : item ? (item.epoch === null || item.epoch === undefined ? `step ${item.step}` : `epoch ${item.epoch}`) : `step ${until}`;
  return html`<section class="beside-one" aria-label=${`Beside: ${title}`}>
    ${event ? html`<${Photograph} src=${blobURL(same.blob, same.mime)} alt=${`${photo.name}, ${title}`} boxes=${boxes} />` : html`<p class="photo-missing dim">${error ? error.message : loading ? "Loading …" : "This photograph was not logged there."}</p>`}
    <h2><${Name} text=${title} most=${40} />${isRun && item ? html` <small>step ${item.step}</small>` : null}</h2>
    ${event ? html`<${Funnel} rows=${counted.rows} nFaces=${counted.nFaces} at=${at} label=${`Stages of ${title}`} onPick=${(i) => setParams({ stage: String(i) })} />` : null}
    ${lost.map(({ text }) => html`<p class="tile-note bad">${text}</p>`)}
  </section>`;
}
