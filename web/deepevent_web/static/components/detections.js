/**
 * The detections viewer: a photograph, the stages under it, epochs and score as sliders. Boxes are data:
 * stage, epoch and threshold change what is drawn, and nothing is fetched for it. What is set is in the URL.
 */
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useMemo, useState } from "preact/hooks";
import { blobURL } from "../api.js";
import { bindKeys } from "../keys.js";
import { drawnBoxes } from "../boxes.js";
import { alive, funnel, read } from "../lineage.js";
import { photographs, useMedia } from "../media_store.js";
import { param, setParams } from "../router.js";
import { Empty, Failed, Waiting } from "./empty.js";
import { Funnel } from "./funnel.js";
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

function Viewer({ items }) {
  const photos = useMemo(() => photographs(items), [items]);
  const photo = photos[Math.min(photos.length - 1, Math.max(0, Number(param("photo", "0")) || 0))];
  const steps = useMemo(() => [...new Set(items.map((item) => Number(item.step)))].sort((a, b) => a - b), [items]);
  const chosen = param("epoch", null);
  const position = chosen === null ? steps.length - 1 : Math.max(0, steps.findLastIndex((step) => step <= Number(chosen)));
  const step = steps[position];
  // The newest event up to this step: a photograph need not be logged at every one.
  const at = (of) => of.events.findLast((event) => Number(event.step) <= step) || of.events[0];
  const item = at(photo);
  const event = useMemo(() => read(item.data), [item]);
  const least = Number(param("score", "0")) || 0;
  const living = useMemo(() => alive(event, least), [event, least]);
  const stageName = param("stage", null);
  const byName = event.stages.findIndex((s, i) => `${i}` === stageName);
  const stage = byName >= 0 ? byName : event.stages.length - 1;
  const before = param("before", "1") !== "0";

  const [over, setOver] = useState(null);
  const [kept, setKept] = useState(null);
  const [face, setFace] = useState(null);
  const [playing, setPlaying] = useState(false);
  const picked = over ?? kept;
  useEffect(() => {
    setOver(null);
    setKept(null);
  }, [item, stage]);

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

  const rows = useMemo(() => funnel(event, living), [event, living]);
  const boxes = useMemo(() => drawnBoxes(event, living, stage, { picked, before, face }), [event, living, stage, picked, before, face]);
  const kind = event.stages[stage]?.kind;
  const epochLabel = item.epoch === null || item.epoch === undefined ? "step" : "epoch";

  return html`<div class="detections">
    <div class="controls" role="toolbar" aria-label="What is drawn">
      <label class="control grow">${epochLabel}
        <input type="range" id="epoch" min="0" max=${steps.length - 1} step="1" value=${position} disabled=${steps.length < 2} aria-valuetext=${`${epochLabel} ${item.epoch ?? item.step}`} onInput=${(e) => goEpoch(Number(e.target.value))} />
        <output>${item.epoch ?? item.step}</output>
      </label>
      <button class="button" disabled=${steps.length < 2} aria-pressed=${playing} onClick=${() => setPlaying(!playing)}>${playing ? "Pause" : "Play"}</button>
      <label class="control">score ≥ <input type="range" id="score" min="0" max="1" step="0.01" value=${least} onInput=${(e) => setParams({ score: Number(e.target.value) || null })} /><output>${least.toFixed(2)}</output></label>
      <label class="control" title="where each window was before this stage moved it"><input type="checkbox" checked=${before} onChange=${(e) => setParams({ before: e.target.checked ? null : "0" })} />before calibration</label>
    </div>
    <div class="detections-body">
      <${Thumbnails} photos=${photos} at=${at} current=${photo} onPick=${(i) => setParams({ photo: i || null })} />
      <div class="stage-pane">
        <${Photograph} key=${photo.key} src=${blobURL(photo.blob, photo.mime)} alt=${`${photo.name}, ${rows[stage]?.windows ?? 0} windows after ${rows[stage]?.name ?? "no stage"}`} boxes=${boxes} onPick=${setOver} onSelect=${setKept} />
        <${Funnel} rows=${rows} nFaces=${event.truth.length} at=${stage} onPick=${goStage} />
        <p class="legend"><span class="key window">windows</span>${kind === "calibrate" && before ? html`<span class="key before">before calibration</span>` : null}<span class="key accepted">last stage</span><span class=${`key ${event.train ? "truth-train" : "truth"}`}>truth${event.train ? ", in the training set" : ""}</span><span class="key missed">missed face</span><span class="dim">under each stage: windows left, faces still covered (IoU ≥ 0.5)</span></p>
      </div>
      <aside class="panel" aria-label="Window and faces">
        ${picked !== null && event.stages[stage]?.boxes[picked] ? html`<${WindowPanel} event=${event} stage=${stage} index=${picked} onStage=${goStage} />` : html`<section class="panel-block"><h2>Window</h2><p class="dim">Point at a window to follow it through the stages; press to keep it.</p></section>`}
        <${Faces} event=${event} living=${living} picked=${face} onPick=${setFace} onStage=${goStage} />
      </aside>
    </div>
  </div>`;
}
