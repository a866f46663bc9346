/**
 * The window under the pointer: its scores through the stages, what calibration did to it, what became of it.
 * Below: each face of the photograph and, for a missed one, the stage that lost it, in words.
 */
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import { ancestors, descendants, fate, iou, movement } from "../lineage.js";

const px = (v) => `${v < 0 ? "−" : "+"}${Math.abs(v).toFixed(1)}`;

function Score({ name, score, threshold, bad = false, onPick }) {
  const known = Number.isFinite(score);
  return html`<button class="score" onClick=${onPick} title=${`show ${name}`}>
    <span class="score-name">${name}</span>
    <span class="score-bar">${known ? html`<i class=${bad ? "bad" : ""} style=${{ width: `${Math.max(0, Math.min(1, score)) * 100}%` }}></i>` : null}${threshold !== null ? html`<u style=${{ left: `${threshold * 100}%` }}></u>` : null}</span>
    <span class="score-value">${known ? score.toFixed(2) : "–"}</span>
  </button>`;
}

/** @param {{event: object, stage: number, index: number, onStage: (stage: number) => void}} props */
export function WindowPanel({ event, stage, index, onStage }) {
  const path = ancestors(event, stage, index);
  const later = descendants(event, stage, index);
  const box = event.stages[stage].boxes[index];
  const face = event.truth.map((truth) => ({ truth, overlap: iou(box, truth) })).sort((a, b) => b.overlap - a.overlap)[0];
  const moves = path.filter(({ stage: s }, i) => i > 0 && event.stages[s].kind === "calibrate").map(({ stage: s, index: i }) => {
    const before = event.stages[s - 1].boxes[event.stages[s].parents[i]];
    const after = event.stages[s].boxes[i];
    return { name: event.stages[s].name, ...movement(before, after), from: face ? iou(before, face.truth) : null, to: face ? iou(after, face.truth) : null };
  });
  const end = later.length && later[later.length - 1].indices.length ? null : later.find(({ indices }) => indices.length === 0);
  const scored = path.filter(({ stage: s, index: i }) => Number.isFinite(event.stages[s].scores[i]));
  return html`<section class="panel-block">
    <h2>Window ${index} <small>${event.stages[stage].name}, ${Math.round(box[2] - box[0])} × ${Math.round(box[3] - box[1])} px at (${Math.round(box[0])}, ${Math.round(box[1])})</small></h2>
    ${scored.map(({ stage: s, index: i }) => html`<${Score} key=${s} name=${event.stages[s].name} score=${event.stages[s].scores[i]} threshold=${event.stages[s].threshold} onPick=${() => onStage(s)} />`)}
    ${moves.map((move) => html`<p class="dim">${move.name} moved it by (${px(move.dx)}, ${px(move.dy)}) px and scaled it by ${move.scale.toFixed(2)}${face && face.overlap > 0 ? html`: IoU with the truth ${move.from.toFixed(2)} → ${move.to.toFixed(2)}` : ""}.</p>`)}
    ${face && face.overlap > 0 && moves.length === 0 ? html`<p class="dim">IoU with the nearest face ${face.overlap.toFixed(2)}.</p>` : null}
    ${stage < event.stages.length - 1 ? html`<p>${end ? html`Ends at <b>${event.stages[end.stage].name}</b>.` : html`Lives to the end: ${later[later.length - 1].indices.length} in ${event.stages[event.stages.length - 1].name}.`}</p>` : null}
  </section>`;
}

/**
 * @param {{event: object, living: boolean[][], picked: number|null, kept: number|null, onPick: (face: number|null) => void, onStage: (stage: number) => void}} props
 *   `picked` is pointed at, `kept` was pressed on the photograph
 */
export function Faces({ event, living, picked, kept, onPick, onStage }) {
  const pressed = useRef(null);
  useEffect(() => pressed.current?.scrollIntoView({ block: "nearest" }), [kept]);
  if (event.truth.length === 0) return html`<section class="panel-block"><h2>Faces</h2><p class="dim">No face is marked in this photograph.</p></section>`;
  const fates = event.truth.map((face) => fate(event, living, face));
  const order = fates.map((_, i) => i).sort((a, b) => Number(fates[a].found) - Number(fates[b].found));
  const nFound = fates.filter(({ found }) => found).length;
  return html`<section class="panel-block">
    <h2>Faces <small>${nFound} of ${fates.length} found</small></h2>
    ${order.map((i) => {
      const face = event.truth[i];
      const { found, lostAt, text, trail } = fates[i];
      return html`<article key=${i} ref=${kept === i ? pressed : undefined} aria-current=${kept === i ? "true" : undefined} class=${`face ${found ? "found" : "missed"} ${picked === i ? "picked" : ""}`} onMouseEnter=${() => onPick(i)} onMouseLeave=${() => onPick(null)}>
        <h3>Face at (${Math.round(face[0])}, ${Math.round(face[1])}), ${Math.round(face[2] - face[0])} px <span class=${`status ${found ? "ok" : "bad"}`}><i class="dot"></i>${found ? "found" : "missed"}</span></h3>
        ${found ? null : trail.slice(0, lostAt + 1).filter(({ score }) => Number.isFinite(score)).map((step) => html`<${Score} key=${step.stage} name=${event.stages[step.stage].name} score=${step.score} threshold=${event.stages[step.stage].threshold} bad=${step.stage === lostAt} onPick=${() => onStage(step.stage)} />`)}
        <p>${text}</p>
      </article>`;
    })}
  </section>`;
}
