/**
 * The detections viewer: a photograph, the stages under it, epochs and score as sliders. Boxes are data:
 * stage, epoch and threshold change what is drawn, and nothing is fetched for it. What is set is in the URL.
 */
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useMemo, useState } from "preact/hooks";
import { blobURL } from "../api.js";
import { bindKeys } from "../keys.js";
import { drawnBoxes } from "../boxes.js";
import { alive, funnel, funnelOver, read } from "../lineage.js";
import { eventUpTo, photographs, useMedia } from "../media_store.js";
import { param, setParams } from "../router.js";
import { Empty, Failed, Waiting } from "./empty.js";
import { Beside, BesideControl, isBeside } from "./detections_beside.js";
import { Funnel } from "./funnel.js";
import { PhotographGrid } from "./photograph_grid.js";
import { Photograph } from "./photograph.js";
import { Thumbnails } from "./thumbnails.js";
import { Faces, WindowPanel } from "./window_panel.js";

const PLAY_MS = 700;
const HOW_TO = `run.log_detections("samples", image, {
    "truth": [[40, 30, 96, 86]], "train": False,
    "stages": [{"name": "det12", "kind": "classify",
                "boxes": [[38, 28, 98, 88]],
                "scores": [0.91], "parents": [-1]}],
}, step=epoch)`;

/** @param {{run: string}} props */
export function Detections({ run }) {
  const { items, loading, error } = useMedia(run, "detections");
  if (error && items.length === 0) return html`<${Failed} error=${error} />`;
  if (loading && items.length === 0) return html`<${Waiting} what="detections" />`;
  if (items.length === 0) return html`<${Empty} title="No detections in this run" command=${HOW_TO}>Log what each stage of a cascade kept, and step through it here.<//>`;
  return html`<${Viewer} run=${run} items=${items} />`;
}

function Viewer({ run, items }) {
  const photos = useMemo(() => photographs(items), [items]);
  const photo = photos[Math.min(photos.length - 1, Math.max(0, Number(param("photo", "0")) || 0))];
  const steps = useMemo(() => [...new Set(items.map((item) => Number(item.step)))].sort((a, b) => a - b), [items]);
  const chosen = param("epoch", null);
  const position = chosen === null ? steps.length - 1 : Math.max(0, steps.findLastIndex((step) => step <= Number(chosen)));
  const step = steps[position];
  const at = (of) => eventUpTo(of, step);
  const item = at(photo);
  const event = useMemo(() => read(item.data), [item]);
  const least = Number(param("score", "0")) || 0;
  const living = useMemo(() => alive(event, least), [event, least]);
  const byNumber = event.stages.findIndex((s, i) => `${i}` === param("stage", null));
  const stage = byNumber >= 0 ? byNumber : event.stages.length - 1;
  const before = param("before", "1") !== "0";
  const over = param("over") === "all";
  const grid = param("grid") === "1";

  const [pointed, setPointed] = useState(null);
  const [kept, setKept] = useState(null);
  const [face, setFace] = useState(null);
  const [keptFace, setKeptFace] = useState(null);
  const [playing, setPlaying] = useState(false);
  const picked = pointed ?? kept;
  const faceShown = face ?? keptFace;
  useEffect(() => {
    setPointed(null);
    setKept(null);
  }, [item, stage]);
  useEffect(() => setKeptFace(null), [photo.key]);

  const goStage = (next) => setParams({ stage: String(Math.max(0, Math.min(event.stages.length - 1, next))) });
  const goEpoch = (next) => setParams({ epoch: next >= steps.length - 1 ? null : String(steps[Math.max(0, next)]) });
  // Before the paint, so that a key meant for what is seen finds it.
  useLayoutEffect(
    () => bindKeys({
      ArrowLeft: () => goStage(stage - 1), ArrowRight: () => goStage(stage + 1),
      ArrowUp: () => goEpoch(position + 1), ArrowDown: () => goEpoch(position - 1),
      " ": () => setPlaying((on) => !on),
    }),
    [stage, position, steps.length, event],
  );
  useEffect(() => {
    if (!playing) return undefined;
    const timer = setInterval(() => setParams({ epoch: String(steps[(position + 1) % steps.length]) }), PLAY_MS);
    return () => clearInterval(timer);
  }, [playing, position, steps]);

  const own = useMemo(() => funnel(event, living), [event, living]);
  const all = useMemo(() => {
    const events = photos.map((one) => read(eventUpTo(one, step).data));
    return over ? funnelOver(events.map((one) => ({ event: one, living: alive(one, least) }))) : null;
  }, [photos, step, least, over]);
  const counted = all ?? { rows: own, nFaces: event.truth.length };
  const boxes = useMemo(() => drawnBoxes(event, living, stage, { picked, before, face: faceShown }), [event, living, stage, picked, before, faceShown]);
  const kind = event.stages[stage]?.kind;
  const epochLabel = item.epoch === null || item.epoch === undefined ? "step" : "epoch";
  const two = isBeside();
  const stages = html`<${Funnel} rows=${counted.rows} nFaces=${counted.nFaces} at=${stage} onPick=${goStage} />`;
  const described = `${photo.name}, ${own[stage]?.windows ?? 0} windows after ${own[stage]?.name ?? "no stage"}`;

  return html`<div class="detections">
    <div class="controls" role="toolbar" aria-label="What is drawn">
      <label class="control grow">${epochLabel}
        <input type="range" id="epoch" min="0" max=${steps.length - 1} step="1" value=${position} disabled=${steps.length < 2} aria-valuetext=${`${epochLabel} ${item.epoch ?? item.step}`} onInput=${(e) => goEpoch(Number(e.target.value))} />
        <output>${item.epoch ?? item.step}</output>
      </label>
      <button class="button" disabled=${steps.length < 2} aria-pressed=${playing} onClick=${() => setPlaying(!playing)}>${playing ? "Pause" : "Play"}</button>
      <label class="control">score ≥ <input type="range" id="score" min="0" max="1" step="0.01" value=${least} onInput=${(e) => setParams({ score: Number(e.target.value) || null })} /><output>${least.toFixed(2)}</output></label>
      <label class="control" title="where each window was before this stage moved it"><input type="checkbox" checked=${before} onChange=${(e) => setParams({ before: e.target.checked ? null : "0" })} />before calibration</label>
      <label class="control" title="windows, faces and recall of each stage, summed up over all photographs of this step"><input type="checkbox" checked=${over} onChange=${(e) => setParams({ over: e.target.checked ? "all" : null })} />count over all ${photos.length} photographs</label>
      <label class="control"><input type="checkbox" checked=${grid} onChange=${(e) => setParams({ grid: e.target.checked ? "1" : null })} />grid</label>
      <${BesideControl} run=${run} steps=${steps} epochs=${photo.events} />
    </div>
    <div class="detections-body">
      <${Thumbnails} photos=${photos} at=${at} current=${photo} onPick=${(i) => setParams({ photo: i || null, grid: null })} />
      <div class="stage-pane">
        ${grid
          ? html`<${PhotographGrid} photos=${photos} at=${at} stage=${stage} least=${least} onPick=${(i) => setParams({ photo: i || null, grid: null })} />`
          : html`<div class="beside">
              <div class="beside-one"><${Photograph} key=${photo.key} src=${blobURL(photo.blob, photo.mime)} alt=${described} boxes=${boxes} onPick=${setPointed} onSelect=${(id) => { setKept(id); setKeptFace(null); }} onFace=${setKeptFace} />
                ${two ? html`<h2>${epochLabel} ${item.epoch ?? item.step}</h2>${stages}` : null}</div>
              <${Beside} run=${run} photo=${photo} stageName=${event.stages[stage]?.name} stage=${stage} least=${least} before=${before} over=${over} step=${step} />
            </div>`}
        ${two && !grid ? null : stages}
        <p class="legend"><span class="key window">windows</span>${kind === "calibrate" && before ? html`<span class="key before">before calibration</span>` : null}<span class="key accepted">last stage</span><span class=${`key ${event.train ? "truth-train" : "truth"}`}>truth${event.train ? ", in the training set" : ""}</span><span class="key missed">missed face</span><span class="dim">under each stage: windows left, ${counted.nFaces} ${counted.nFaces === 1 ? "face" : "faces"} still covered (IoU ≥ 0.5)${over ? `, over all ${photos.length} photographs` : ""}</span></p>
      </div>
      <aside class="panel" aria-label="Window and faces">
        ${picked !== null && event.stages[stage]?.boxes[picked] ? html`<${WindowPanel} event=${event} stage=${stage} index=${picked} onStage=${goStage} />` : html`<section class="panel-block"><h2>Window</h2><p class="dim">Point at a window to follow it through the stages; press to keep it. Press a face to see what became of it.</p></section>`}
        <${Faces} event=${event} living=${living} picked=${faceShown} kept=${keptFace} onPick=${setFace} onStage=${goStage} />
      </aside>
    </div>
  </div>`;
}
