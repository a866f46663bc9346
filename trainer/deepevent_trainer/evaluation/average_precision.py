"""Average precision: the area under precision over recall.

The area under the curve's envelope, at every recall that is reached (PASCAL VOC since 2010). Detections of
equal score enter together, so their order in a file changes nothing; scores are compared, never normalised,
so one outlier changes nothing either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer.boxes import Boxes
from deepevent_trainer.evaluation.matching import (
    FALSE_ALARM,
    HIT,
    Detections,
    Matches,
    Overlaps,
    SizeRange,
    match,
    overlaps_of,
)

# COCO's thresholds: 0.50, 0.55 … 0.95.
COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision over recall, one point per distinct score, by falling score.

    Attributes:
        scores: `(K,)` the thresholds.
        precision: `(K,)` in [0, 1].
        recall: `(K,)` in [0, 1], rising.
        n_faces: the faces that count.
    """

    scores: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    n_faces: int

    @property
    def average_precision(self) -> float:
        """The area under the envelope, in [0, 1]; NaN when no face counts."""
        if self.n_faces == 0:
            return float("nan")
        envelope = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float(np.sum(np.diff(self.recall, prepend=0.0) * envelope))

    def recall_at_precision(self, precision: float) -> float:
        """Return the highest recall at which precision is at least `precision`; 0 if it never is."""
        return float(self.recall[self.precision >= precision].max(initial=0.0))


@dataclass(frozen=True)
class Scene:
    """What is true of one photograph, and what was found in it.

    Attributes:
        faces: `(M, 4)` annotated faces.
        ignored: `(K, 4)` regions that count neither way.
        detections: what the detector says.
    """

    faces: Boxes
    ignored: Boxes
    detections: Detections

    @cached_property
    def overlaps(self) -> Overlaps:
        """The overlaps of its boxes."""
        return overlaps_of(self.detections.boxes, self.faces, self.ignored)

    def match(self, iou_threshold: float, sizes: SizeRange | None = None) -> Matches:
        """Match its detections with its faces."""
        return match(self.detections, self.faces, self.ignored, iou_threshold, sizes, self.overlaps)


def curve(
    hits: NDArray[np.float64], false_alarms: NDArray[np.float64], scores: NDArray[np.float64], n_faces: int
) -> PrecisionRecall:
    """Return precision over recall of detections in any order.

    Args:
        hits: `(N,)` what each detection adds to the faces found, 0 or 1.
        false_alarms: `(N,)` what each adds to the false alarms, 0 or 1.
        scores: `(N,)`.
        n_faces: the faces that count.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last_of_score = np.flatnonzero(np.diff(ordered, append=-np.inf) != 0)
    found = np.cumsum(hits[order])[last_of_score]
    wrong = np.cumsum(false_alarms[order])[last_of_score]
    total = found + wrong
    precision = np.divide(found, total, out=np.zeros_like(found), where=total > 0)
    recall = found / max(n_faces, 1)
    return PrecisionRecall(ordered[last_of_score], precision, recall, n_faces)


def precision_recall(
    scenes: Sequence[Scene], iou_threshold: float = 0.5, sizes: SizeRange | None = None
) -> PrecisionRecall:
    """Return precision over recall on a set.

    Args:
        scenes: the photographs.
        iou_threshold: the least overlap of a hit, in (0, 1].
        sizes: only faces of these heights count; None is all.
    """
    outcomes, scores, n_faces = [np.zeros(0, dtype=np.int8)], [np.zeros(0)], 0
    for scene in scenes:
        matches = scene.match(iou_threshold, sizes)
        outcomes.append(matches.outcomes)
        scores.append(scene.detections.scores)
        n_faces += matches.n_faces
    outcome = np.concatenate(outcomes)
    return curve(
        (outcome == HIT).astype(np.float64),
        (outcome == FALSE_ALARM).astype(np.float64),
        np.concatenate(scores),
        n_faces,
    )


def mean_average_precision(scenes: Sequence[Scene], sizes: SizeRange | None = None) -> float:
    """Return the mean of the average precisions at COCO's ten thresholds; NaN when no face counts."""
    return float(np.mean([precision_recall(scenes, t, sizes).average_precision for t in COCO_THRESHOLDS]))
