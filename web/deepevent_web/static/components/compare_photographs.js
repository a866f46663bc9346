/**
 * The same photograph of all compared runs side by side, with what each run's cascade made of it. A tile reads its
 * run's newest event up to the chosen step when it comes on screen, so that a hundred runs cost what is looked at.
 */
import { html } from "htm/preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { blobURL, getMedia } from "../api.js";
import { drawnBoxes } from "../boxes.js";
import { alive, fate, funnel, read } from "../lineage.js";
import { onMedia } from "../live.js";
import { photographs } from "../media_store.js";
import { param, setParams } from "../router.js";
import { Empty, Failed, Waiting } from "./empty.js";
import { Name } from "./name.js";
import { Photograph } from "./photograph.js";
import { Swatch } from "./swatch.js";

const KINDS = ["detections", "image"];
/** The photographs are those that the first runs logged last. */
const ASKED_RUNS = 3;
const ASKED_MEDIA = 100;

/** Photographs to choose from, with the steps at which they were logged. */
function usePhotographs(runs) {
  const [state, setState] = useState({ photos: null, steps: [], error: null });
  const ids = runs.filter((run) => run.n_media > 0).slice(0, ASKED_RUNS).map((run) => run.id);
  useEffect(() => {
    let current = true;
    Promise.all(ids.flatMap((id) => KINDS.map((kind) => getMedia(id, { kind, order: "newest", limit: ASKED_MEDIA })))).then(
      (answers) => {
        const items = answers.flatMap(({ media }) => media).filter(({ blob }) => blob);
        const photos = photographs(items).sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
        const steps = [...new Set(items.map((item) => Number(item.step)))].sort((a, b) => a - b);
        if (current) setState({ photos, steps, error: null });
      },
      (error) => current && setState({ photos: [], steps: [], error }),
    );
    return () => (current = false);
  }, [ids.join()]);
  return state;
}

/** One run's newest event with this photograph, read once the tile is seen. */
function useEvent(run, photo, until, seen) {
  const [state, setState] = useState({ item: null, loading: true, error: null });
  const { kind } = photo.events[0];
  useEffect(() => {
    if (!seen) return undefined;
    let current = true;
    const load = () =>
      getMedia(run.id, { kind, name: photo.name, blob: photo.blob, until, order: "newest", limit: 1 }).then(
        ({ media }) => current && setState({ item: media[0] ?? null, loading: false, error: null }),
        (error) => current && setState({ item: null, loading: false, error }),
      );
    load();
    const deaf = onMedia((media) => media.some((item) => item.run === run.id && item.blob === photo.blob) && load());
    return () => {
      current = false;
      deaf();
    };
  }, [run.id, photo.key, until, seen]);
  return state;
}

function Tile({ run, photo, until, stageName, least, colours, onStages }) {
  const node = useRef(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const watcher = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && setSeen(true), { rootMargin: "200px" });
    watcher.observe(node.current);
    return () => watcher.disconnect();
  }, []);
  const { item, loading, error } = useEvent(run, photo, until, seen);
  const event = useMemo(() => (item?.kind === "detections" ? read(item.data) : null), [item]);
  useEffect(() => event && onStages(event.stages.map(({ name }) => name)), [event]);
  const living = useMemo(() => event && alive(event, least), [event, least]);
  const stage = event ? Math.max(0, stageName === null ? event.stages.length - 1 : event.stages.findIndex(({ name }) => name === stageName)) : 0;
  const boxes = useMemo(() => (event ? drawnBoxes(event, living, stage) : []), [event, living, stage]);
  const row = event ? funnel(event, living)[stage] : null;
  const lost = event ? event.truth.map((face) => fate(event, living, face)).filter(({ found }) => !found) : [];
  return html`<article class="card photo-tile" ref=${node} data-run=${run.id}>
    <header><h3><${Swatch} colour=${colours.get(run.id)} /><a href=${`/detections?run=${encodeURIComponent(run.id)}`}><${Name} text=${run.name} most=${30} /></a></h3>${item ? html`<span class="dim">step ${item.step}</span>` : null}</header>
    ${item ? html`<${Photograph} src=${blobURL(photo.blob, photo.mime)} alt=${`${photo.name} of ${run.name}`} boxes=${boxes} />` : html`<p class="photo-missing dim">${error ? error.message : loading ? "…" : "not logged by this run"}</p>`}
    ${row ? html`<p class="tile-note"><b>${row.faces} of ${event.truth.length}</b> faces covered, ${row.windows} ${row.windows === 1 ? "window" : "windows"} after ${row.name}${lost.length ? html`<br /><span class="bad">${lost[0].text}</span>` : null}</p>` : null}
  </article>`;
}

/** @param {{runs: object[], colours: Map<string, object>}} props */
export function ComparePhotographs({ runs, colours }) {
  const { photos, steps, error } = usePhotographs(runs);
  const [stages, setStages] = useState([]);
  if (error) return html`<${Failed} error=${error} />`;
  if (photos === null) return html`<${Waiting} what="photographs" />`;
  if (photos.length === 0) return html`<${Empty} title="These runs have no photographs">What <code>run.log_detections</code> and <code>run.log_image</code> log of the same image stands here side by side.<//>`;
  const photo = photos[Math.min(photos.length - 1, Math.max(0, Number(param("photo", "0")) || 0))];
  const chosen = param("at", null);
  const position = chosen === null ? steps.length - 1 : Math.max(0, steps.findLastIndex((step) => step <= Number(chosen)));
  const least = Number(param("score", "0")) || 0;
  const stageName = stages.includes(param("stage")) ? param("stage") : null;
  const without = runs.filter(({ n_media }) => !n_media);
  const known = (names) => setStages((old) => (names.every((name) => old.includes(name)) ? old : [...new Set([...old, ...names])]));
  return html`<h2 class="unseen">Photographs</h2>
    <div class="controls" role="toolbar" aria-label="Which photograph">
      <label class="control">photograph <select value=${photos.indexOf(photo)} onChange=${(e) => setParams({ photo: e.target.value === "0" ? null : e.target.value })}>${photos.map((one, i) => html`<option value=${i}>${one.name} · ${one.blob.slice(0, 6)}</option>`)}</select></label>
      <label class="control">up to step <input type="range" min="0" max=${steps.length - 1} value=${position} disabled=${steps.length < 2} onInput=${(e) => setParams({ at: Number(e.target.value) === steps.length - 1 ? null : steps[Number(e.target.value)] })} /><output>${steps[position]}</output></label>
      ${stages.length ? html`<label class="control">stage <select value=${stageName ?? ""} onChange=${(e) => setParams({ stage: e.target.value || null })}><option value="">last</option>${stages.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>
      <label class="control">score ≥ <input type="range" min="0" max="1" step="0.01" value=${least} onInput=${(e) => setParams({ score: Number(e.target.value) || null })} /><output>${least.toFixed(2)}</output></label>` : null}
    </div>
    <div class="photo-grid">${runs.filter(({ n_media }) => n_media > 0).map((run) => html`<${Tile} key=${`${run.id}\n${photo.key}`} run=${run} photo=${photo} until=${chosen === null ? undefined : steps[position]} stageName=${stageName} least=${least} colours=${colours} onStages=${known} />`)}</div>
    ${without.length ? html`<p class="dim without">Without any photograph: ${without.map((run) => run.name).join(", ")}.</p>` : null}`;
}
