"""The protocol of FDDB: discrete and continuous ROC over ellipses.

For every threshold on the score, the detections of an image are assigned to its ellipses so that the sum of
overlaps is largest (Hungarian method). The discrete score of a pair is 1 if its overlap exceeds 0.5, the
continuous score is the overlap itself; every detection without a discrete score is a false positive. Both
curves sum over all images of all folds, and are read as true-positive rate at a number of false positives.

A detection is a rectangle; overlaps of rectangle and ellipse are areas of geometry here, where the original
program counts pixels.

Source: Jain and Learned-Miller, UM-CS-2010-009, sections 4 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from deepevent_trainer.boxes import Boxes, area
from deepevent_trainer.evaluation.matching import Detections

DISCRETE_IOU = 0.5
FALSE_POSITIVES_READ = (1000, 2000)

# Corners of the polygon that stands for an ellipse; its area is 0.02 % short of the ellipse's.
_N_CORNERS = 180


@dataclass(frozen=True)
class EllipseScene:
    """One photograph of FDDB.

    Attributes:
        ellipses: `(M, 5)`: major radius, minor radius, angle, centre x, centre y.
        detections: what the detector says.
        fold: 1 to 10.
    """

    ellipses: NDArray[np.float64]
    detections: Detections
    fold: int = 0


@dataclass(frozen=True)
class Roc:
    """Both curves, one point per distinct score, by falling score.

    Attributes:
        scores: `(K,)` the thresholds.
        false_positives: `(K,)` counts.
        discrete: `(K,)` true-positive rate in [0, 1].
        continuous: `(K,)` the same with overlaps for ones.
        n_faces: the ellipses.
    """

    scores: NDArray[np.float64]
    false_positives: NDArray[np.float64]
    discrete: NDArray[np.float64]
    continuous: NDArray[np.float64]
    n_faces: int

    def rate_at(self, false_positives: int, continuous: bool = False) -> float:
        """Return the best true-positive rate with at most so many false positives."""
        rates = self.continuous if continuous else self.discrete
        return float(rates[self.false_positives <= false_positives].max(initial=0.0))


def ellipse_polygon(ellipse: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return corners on an ellipse, `(180, 2)`, in order around it."""
    major, minor, turn, x, y = ellipse
    around = np.linspace(0, 2 * np.pi, _N_CORNERS, endpoint=False)
    along, across = major * np.cos(around), minor * np.sin(around)
    corners = [
        x + along * np.cos(turn) - across * np.sin(turn),
        y + along * np.sin(turn) + across * np.cos(turn),
    ]
    return np.stack(corners, axis=1).astype(np.float32)


def ellipse_iou(boxes: Boxes, ellipses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the overlaps of rectangles and ellipses, intersection over union, `(N, M)` in [0, 1]."""
    overlaps = np.zeros((len(boxes), len(ellipses)))
    box_areas = area(boxes)
    for column, ellipse in enumerate(ellipses):
        polygon = ellipse_polygon(ellipse)
        # Polygons near the origin keep the precision of float32, which is all that OpenCV takes.
        origin = polygon.mean(axis=0)
        low, high = polygon.min(axis=0), polygon.max(axis=0)
        touches = (boxes[:, :2] < high).all(axis=1) & (boxes[:, 2:] > low).all(axis=1) & (box_areas > 0)
        for row in np.flatnonzero(touches):
            x1, y1, x2, y2 = boxes[row]
            corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], dtype=np.float32)
            common, _ = cv2.intersectConvexConvex(polygon - origin, corners - origin)
            ellipse_area = float(np.pi * ellipse[0] * ellipse[1])
            overlaps[row, column] = common / (ellipse_area + box_areas[row] - common)
    return np.clip(overlaps, 0.0, 1.0)


def roc(scenes: Sequence[EllipseScene]) -> Roc:
    """Return both curves over all photographs."""
    steps = [np.zeros((0, 4))]
    n_faces = 0
    for scene in scenes:
        steps.append(_steps(scene))
        n_faces += len(scene.ellipses)
    rows = np.concatenate(steps)
    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    sums = np.cumsum(rows[:, 1:], axis=0)
    last_of_score = np.flatnonzero(np.diff(rows[:, 0], append=-np.inf) != 0)
    sums = sums[last_of_score] if len(rows) else np.zeros((0, 3))
    n = max(n_faces, 1)
    return Roc(rows[last_of_score, 0], sums[:, 2], sums[:, 0] / n, sums[:, 1] / n, n_faces)


def roc_by_fold(scenes: Sequence[EllipseScene]) -> dict[int, Roc]:
    """Return the curves of each fold by its number."""
    folds = sorted({scene.fold for scene in scenes})
    return {fold: roc([scene for scene in scenes if scene.fold == fold]) for fold in folds}


def _steps(scene: EllipseScene) -> NDArray[np.float64]:
    """Return what changes at each distinct score of a photograph.

    Rows `score, change of discrete, of continuous, of false positives`; the assignment is solved anew at
    each score, since a later detection may take an ellipse over from an earlier one.
    """
    scores = scene.detections.scores
    overlaps = ellipse_iou(scene.detections.boxes, scene.ellipses)
    rows = []
    before = np.zeros(3)
    for score in np.unique(scores)[::-1]:
        chosen = overlaps[scores >= score]
        taken = chosen[linear_sum_assignment(chosen, maximize=True)]
        discrete = float((taken > DISCRETE_IOU).sum())
        now = np.array([discrete, float(taken.sum()), len(chosen) - discrete])
        rows.append([score, *(now - before)])
        before = now
    return np.array(rows, dtype=np.float64).reshape(-1, 4)
