"""Why a face was found or missed: its best window at every stage, and the stage and rule that ended it.

Works on what the stages of the fast detector kept. The score of a window that a stage threw away is asked for
again, of the same net on the same crop, so that a detector notes nothing for it while it works.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer import cascade
from deepevent_trainer.box_cascade import LAST_SIZE_PX
from deepevent_trainer.boxes import Boxes, as_boxes, iou, squared
from deepevent_trainer.cascade import FACE, Candidates, StageRecord
from deepevent_trainer.pyramid import luminance
from deepevent_trainer.records import detections
from deepevent_trainer.runtime import Detector, Found

# A window with this overlap is on the face; a box with that much is a face found (PASCAL VOC).
ON_FACE_IOU = 0.4
FOUND_IOU = 0.5


@dataclass(frozen=True)
class Look:
    """The window of a stage that lies best on the face: overlap and score; None where nothing touches it."""

    stage: str
    kind: str
    iou: float
    score: float | None
    box: list[float] | None


@dataclass(frozen=True)
class Fate:
    """What became of one face.

    Attributes:
        box: of the face.
        found: whether a box of the last stage lies on it.
        ended_by: the stage that lost it, or None.
        rule: what that stage went by, as a sentence.
        looks: one for each stage.
    """

    box: list[float]
    found: bool
    ended_by: str | None
    rule: str
    looks: list[Look]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        stages = [
            {
                "stage": look.stage,
                "kind": look.kind,
                "iou": round(look.iou, 4),
                "score": None if look.score is None else round(look.score, 4),
                "box": look.box,
            }
            for look in self.looks
        ]
        return {
            "box": self.box,
            "found": self.found,
            "ended_by": self.ended_by,
            "rule": self.rule,
            "stages": stages,
        }


@dataclass(frozen=True, eq=False)
class Explanation:
    """What was found in an image, and the fate of each face; `detections` is what `log_detections` takes."""

    found: Found
    fates: list[Fate]
    detections: dict[str, Any]


def explain(detector: Detector, image: NDArray[np.uint8], truth: Boxes | None = None) -> Explanation:
    """Return why each face of `image` was found or missed.

    Args:
        detector: the fast detector.
        image: `(H, W, 3)` uint8 RGB, or `(H, W)` grey.
        truth: `(N, 4)` the faces to ask for; None asks for those that are found.
    """
    found = detector.explain(image)
    faces = found.boxes if truth is None else as_boxes(truth)
    fates = [_fate(detector, luminance(image), found.stages, face[None]) for face in faces]
    return Explanation(found, fates, detections(found.stages, faces, train=False))


def _fate(
    detector: Detector, grey: NDArray[np.uint8], stages: Sequence[StageRecord], face: NDArray[np.float32]
) -> Fate:
    looks = [_look(stage, face) for stage in stages]
    box = np.round(face[0].astype(np.float64), 2).tolist()
    last = looks[-1]
    if last.iou >= FOUND_IOU:
        return Fate(box, True, None, f"found: score {last.score:.3f}, overlap {last.iou:.2f}", looks)
    alive = [index for index, look in enumerate(looks) if look.iou >= ON_FACE_IOU]
    lost = alive[-1] + 1 if alive else 0
    if lost == len(stages):
        rule = f"the box lies badly: its overlap is {last.iou:.2f}, and {FOUND_IOU} makes a face found"
        return Fate(box, False, stages[-1].name, rule, looks)
    return Fate(box, False, stages[lost].name, _rule(detector, grey, stages, lost, face), looks)


def _rule(
    detector: Detector,
    grey: NDArray[np.uint8],
    stages: Sequence[StageRecord],
    lost: int,
    face: NDArray[np.float32],
) -> str:
    """Return, as a sentence, why no window on the face outlived stage `lost`."""
    stage = stages[lost]
    if stage.kind == "classify":
        threshold = stage.threshold or 0.0
        windows, scores = _judged_again(detector, grey, stages, lost)
        of_face = scores[_overlaps(face, windows) >= ON_FACE_IOU]
        if not len(of_face):
            return (
                "no window lies on it: it is smaller than the smallest face searched for "
                f"({detector.min_face:g} px), or larger than the picture allows"
            )
        if of_face.max() >= threshold:
            return "a window beside its own scored better, and lies worse on it"
        return f"its best window scored {of_face.max():.3f}, and {threshold:.3f} is asked for"
    before = stages[lost - 1]
    overlaps = _overlaps(face, before.boxes)
    on = np.flatnonzero(overlaps >= ON_FACE_IOU)
    best = on[before.scores[on].argmax()]
    if stage.kind == "calibrate":
        moved = _overlaps(face, stage.boxes[stage.parents == best]).max(initial=0.0)
        return f"its best window was moved off it: overlap {overlaps[best]:.2f} before, {moved:.2f} after"
    rivals = iou(before.boxes[best][None], stage.boxes)[0]
    rival = int(rivals.argmax())
    return (
        f"its best window, score {before.scores[best]:.3f}, gave way to one of score "
        f"{stage.scores[rival]:.3f} that overlaps it by {rivals[rival]:.2f}"
    )


def _judged_again(
    detector: Detector, grey: NDArray[np.uint8], stages: Sequence[StageRecord], lost: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return all windows that the judging stage `lost` looked at, with their scores."""
    judge = next(judge for judge in detector.judges if judge.name == stages[lost].name)
    if lost == 0 and judge.mapper is not None:
        scanned = next(
            cascade.scan_with(
                [grey],
                judge.name,
                judge.mapper,
                judge.size_px,
                judge.stride_px,
                0.0,
                detector.min_face,
                detector.scale_step,
            )
        )
        return scanned.boxes, scanned.scores
    windows = stages[lost - 1].boxes
    seen = [Candidates(grey, windows, stages[lost - 1].scores, np.zeros(len(windows), dtype=np.int64))]
    batches = cascade.in_batches(seen, judge.judge, judge.size_px, max(1, len(windows)), judge.context)
    _, answers = next(batches)
    if judge.size_px == LAST_SIZE_PX:
        return windows, cascade.mean_score(stages[lost - 1].scores, answers[:, FACE])
    return windows, answers[:, FACE]


def _look(stage: StageRecord, face: NDArray[np.float32]) -> Look:
    overlaps = _overlaps(face, stage.boxes)
    if not len(overlaps) or overlaps.max() <= 0:
        return Look(stage.name, stage.kind, 0.0, None, None)
    best = int(overlaps.argmax())
    box = np.round(stage.boxes[best].astype(np.float64), 2).tolist()
    return Look(stage.name, stage.kind, float(overlaps[best]), float(stage.scores[best]), box)


def _overlaps(face: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the overlap of each box with the face or, as the first windows are squares, with its square."""
    if not len(boxes):
        return np.zeros(0)
    of_square: NDArray[np.float64] = iou(squared(face), boxes)[0]
    return np.where(of_square > iou(face, boxes)[0], of_square, iou(face, boxes)[0])
