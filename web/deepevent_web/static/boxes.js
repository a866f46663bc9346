/**
 * Which boxes are drawn over a photograph for a stage of a cascade, in which style. Pure functions over a logged
 * detections event (lineage.js); no drawing.
 */
import { IOU_FACE, ancestors, descendants, fate, iou } from "./lineage.js";

/** With more boxes than this, scores stand only where they matter. */
const MOST_LABELLED = 12;

const scoreText = (stage, i) => (Number.isFinite(stage.scores[i]) ? stage.scores[i].toFixed(2) : undefined);

/** Which boxes of a last stage carry their score: all of a few, else the best one on each face. */
function toLabel(event, { boxes, scores }, living) {
  const shown = boxes.map((_, i) => i).filter((i) => living[i]);
  if (shown.length <= MOST_LABELLED) return new Set(shown);
  const best = event.truth.map((face) =>
    shown.filter((i) => iou(boxes[i], face) >= IOU_FACE).reduce((top, i) => (top === null || scores[i] > scores[top] ? i : top), null),
  );
  return new Set(best.filter((i) => i !== null));
}

/**
 * What to draw of a stage, back to front.
 * @param {object} event as `read` gives it
 * @param {boolean[][]} living which windows of each stage the score threshold leaves
 * @param {number} stage
 * @param {{picked?: number|null, before?: boolean, face?: number|null}} options the window and the face that are pointed at;
 *   `before`: also where each window was before this stage moved it
 */
export function drawnBoxes(event, living, stage, { picked = null, before = false, face = null } = {}) {
  const result = [];
  const here = event.stages[stage];
  if (!here) return event.truth.map((box, i) => ({ box, face: i, style: event.train ? "truth-train" : "truth" }));
  const last = stage === event.stages.length - 1 && here.kind !== "classify";
  const faded = picked !== null;
  const labelled = last && !faded ? toLabel(event, here, living[stage]) : new Set();
  here.boxes.forEach((box, i) => {
    if (!living[stage][i]) return;
    if (here.kind === "calibrate" && before && stage > 0 && !faded) {
      const parent = event.stages[stage - 1].boxes[here.parents[i]];
      if (parent) result.push({ box: parent, style: "before" });
    }
  });
  here.boxes.forEach((box, i) => {
    if (living[stage][i]) result.push({ box, id: i, style: faded ? "dimmed" : last ? "accepted" : "window", label: labelled.has(i) ? scoreText(here, i) : undefined });
  });
  event.truth.forEach((box, i) => {
    const missed = !fate(event, living, box).found;
    result.push({ box, face: i, style: face === i ? "picked" : missed ? "missed" : event.train ? "truth-train" : "truth" });
  });
  if (picked !== null && here.boxes[picked]) {
    for (const { stage: s, index } of ancestors(event, stage, picked).slice(0, -1)) result.push({ box: event.stages[s].boxes[index], style: "parent" });
    for (const { stage: s, indices } of descendants(event, stage, picked)) for (const i of indices) result.push({ box: event.stages[s].boxes[i], style: "child" });
    result.push({ box: here.boxes[picked], style: "picked", label: scoreText(here, picked) });
  }
  return result;
}
