/**
 * Windows through the cascade: where each came from, what became of it, and which stage lost a face.
 * Pure functions over a logged detections event (DESIGN section 9); no drawing.
 *
 * Boxes are x1, y1, x2, y2 in pixels of the photograph, right and bottom exclusive.
 */

/** A window covers a face from this intersection over union on (the measure of the cascade's evaluation). */
export const IOU_FACE = 0.5;

/** @param {number[]} a @param {number[]} b @returns {number} intersection over union in [0, 1] */
export function iou(a, b) {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (w <= 0 || h <= 0) return 0;
  const overlap = w * h;
  return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap);
}

/**
 * An event with numbers only and every list as long as the boxes.
 * @param {object} data the event's `data`
 */
export function read(data) {
  const box = (b) => b.map(Number);
  const stages = (data?.stages || []).map((stage, i) => ({
    name: String(stage.name ?? `stage ${i + 1}`),
    kind: String(stage.kind ?? ""),
    threshold: stage.threshold === undefined || stage.threshold === null ? null : Number(stage.threshold),
    // The best score that this stage gave to a window on each true face, accepted or not.
    faceScores: (data?.truth || []).map((_, k) => (stage.face_scores?.[k] === undefined || stage.face_scores?.[k] === null ? NaN : Number(stage.face_scores[k]))),
    boxes: (stage.boxes || []).map(box),
    scores: (stage.boxes || []).map((_, k) => (stage.scores?.[k] === undefined || stage.scores?.[k] === null ? NaN : Number(stage.scores[k]))),
    parents: (stage.boxes || []).map((_, k) => (stage.parents?.[k] === undefined || stage.parents?.[k] === null ? -1 : Number(stage.parents[k]))),
  }));
  return { truth: (data?.truth || []).map(box), train: Boolean(data?.train), stages };
}

/**
 * Which windows of each stage a score threshold leaves. A window also goes when the one it came from is gone.
 * @param {ReturnType<typeof read>} event @param {number} least
 * @returns {boolean[][]}
 */
export function alive(event, least) {
  const result = [];
  event.stages.forEach((stage, s) => {
    result.push(
      stage.boxes.map((_, i) => {
        const score = stage.scores[i];
        if (Number.isFinite(score) && score < least) return false;
        const parent = stage.parents[i];
        return s === 0 || parent < 0 || (result[s - 1][parent] ?? true);
      }),
    );
  });
  return result;
}

/** The window and those it came from, first stage first. @returns {{stage: number, index: number}[]} */
export function ancestors(event, stage, index) {
  const path = [{ stage, index }];
  let at = index;
  for (let s = stage; s > 0; s -= 1) {
    at = event.stages[s].parents[at];
    if (at === undefined || at < 0 || at >= event.stages[s - 1].boxes.length) break;
    path.unshift({ stage: s - 1, index: at });
  }
  return path;
}

/** What a window became in each later stage. @returns {{stage: number, indices: number[]}[]} */
export function descendants(event, stage, index) {
  const result = [];
  let here = new Set([index]);
  for (let s = stage + 1; s < event.stages.length && here.size; s += 1) {
    const indices = event.stages[s].parents.flatMap((parent, i) => (here.has(parent) ? [i] : []));
    result.push({ stage: s, indices });
    here = new Set(indices);
  }
  return result;
}

/** The box among the living of a stage that covers a face best. @returns {{index: number, iou: number}|null} */
export function bestFor(event, living, stage, face) {
  let found = null;
  event.stages[stage].boxes.forEach((box, index) => {
    if (!living[stage][index]) return;
    const overlap = iou(box, face);
    if (overlap > 0 && (!found || overlap > found.iou)) found = { index, iou: overlap };
  });
  return found;
}

/**
 * Windows left and faces still covered after each stage.
 * @returns {{name: string, kind: string, windows: number, faces: number}[]}
 */
export function funnel(event, living) {
  return event.stages.map((stage, s) => ({
    name: stage.name,
    kind: stage.kind,
    windows: living[s].filter(Boolean).length,
    faces: event.truth.filter((face) => (bestFor(event, living, s, face)?.iou || 0) >= IOU_FACE).length,
  }));
}

/**
 * The same over several photographs: sums over their events, stage by stage of the first one's names.
 * @param {{event: object, living: boolean[][]}[]} all
 * @returns {{rows: ReturnType<typeof funnel>, nFaces: number}}
 */
export function funnelOver(all) {
  const rows = [];
  let nFaces = 0;
  for (const { event, living } of all) {
    nFaces += event.truth.length;
    funnel(event, living).forEach((row, i) => {
      if (!rows[i]) rows[i] = { ...row };
      else Object.assign(rows[i], { windows: rows[i].windows + row.windows, faces: rows[i].faces + row.faces });
    });
  }
  return { rows, nFaces };
}

const VERB = { classify: "turned down", calibrate: "moved away from it", suppress: "dropped", final: "dropped" };

/**
 * What became of a face, in words, with its best window at each stage.
 * @returns {{found: boolean, lostAt: number|null, text: string, trail: {stage: number, index: number, iou: number, score: number}[]}}
 */
export function fate(event, living, face) {
  const trail = event.stages.map((stage, s) => {
    const best = bestFor(event, living, s, face);
    return best ? { stage: s, ...best, score: stage.scores[best.index] } : { stage: s, index: -1, iou: 0, score: NaN };
  });
  const covered = trail.map((step) => step.iou >= IOU_FACE);
  const last = event.stages.length - 1;
  if (last < 0) return { found: false, lostAt: null, text: "No stage was logged.", trail };
  if (covered[last]) {
    const { iou: overlap, score } = trail[last];
    return { found: true, lostAt: null, text: `Found: IoU ${overlap.toFixed(2)}${Number.isFinite(score) ? `, score ${score.toFixed(2)}` : ""}.`, trail };
  }
  // The last stage that still covered the face; the one behind it lost it.
  const kept = covered.lastIndexOf(true);
  const lostAt = kept + 1;
  const { name, kind } = event.stages[lostAt];
  const there = event.stages[lostAt].faceScores[event.truth.indexOf(face)];
  if (Number.isFinite(there)) trail[lostAt] = { ...trail[lostAt], score: there };
  if (kept < 0) {
    const near = trail[0].iou;
    const text = near > 0 ? `the nearest window overlaps with IoU ${near.toFixed(2)}, and ${IOU_FACE} is needed` : "no window touches it";
    return { found: false, lostAt, text: `Not covered after ${name}: ${text}.`, trail };
  }
  return { found: false, lostAt, text: lostWords(event, living, face, trail, kept, lostAt, name, kind), trail };
}

function lostWords(event, living, face, trail, kept, lostAt, name, kind) {
  const before = event.stages[kept];
  const good = before.boxes.flatMap((box, i) => (living[kept][i] && iou(box, face) >= IOU_FACE ? [i] : []));
  const { iou: overlap, score } = trail[kept];
  const windows = `${good.length} ${good.length === 1 ? "window" : "windows"}`;
  const scored = Number.isFinite(score) ? `, score ${score.toFixed(2)}` : "";
  const placed = `the best placed had IoU ${overlap.toFixed(2)}${scored}`;
  // Windows that the stage let through but that the score slider hides are not the stage's doing.
  const hidden = event.stages[lostAt].boxes.some((box, i) => !living[lostAt][i] && iou(box, face) >= IOU_FACE);
  if (hidden) return `Hidden at ${name} by the score threshold above: ${windows} covered it until ${before.name}; ${placed}.`;
  if (kind === "calibrate") return `Lost at ${name}: calibration ${VERB.calibrate}; IoU ${overlap.toFixed(2)} before, ${trail[lostAt].iou.toFixed(2)} after.`;
  if (kind === "suppress" || kind === "final") return `Lost at ${name}: of ${windows} on it all were suppressed by neighbours that cover it less (IoU ${trail[lostAt].iou.toFixed(2)}); ${placed}.`;
  const { threshold } = event.stages[lostAt];
  const there = trail[lostAt].score;
  const said = kind === "classify" && Number.isFinite(there) ? ` Its best window scored ${there.toFixed(2)} there${threshold === null ? "" : `, and ${threshold.toFixed(2)} is needed`}.` : " So the window was there and the score was too low.";
  return `Lost at ${name}: it ${VERB[kind] || "dropped"} all ${windows} on this face; ${placed}.${said}`;
}

/** How calibration changed a box. @param {number[]} before @param {number[]} after */
export function movement(before, after) {
  const centre = (b) => [(b[0] + b[2]) / 2, (b[1] + b[3]) / 2];
  const [bx, by] = centre(before);
  const [ax, ay] = centre(after);
  return { dx: ax - bx, dy: ay - by, scale: (after[2] - after[0]) / (before[2] - before[0]) };
}
