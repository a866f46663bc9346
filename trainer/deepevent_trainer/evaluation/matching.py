"""Which detection found which face, in one photograph.

The rule of COCO: detections come by falling score, each takes the free face it overlaps most, if by at least
the threshold. One that finds only an ignored region counts neither way. A face out of the range of sizes
asked for is such a region, and a detection out of that range which finds nothing does not count either.

Knows boxes, and nothing of photographs, curves or files.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer.boxes import Boxes, area, as_boxes, intersection, iou

HIT, FALSE_ALARM, UNCOUNTED = 1, 0, -1

# A detection that lies in an ignored region with this share of its own area belongs to it: such regions often
# surround many faces (a crowd), with which no single detection could have an IoU.
_INSIDE_IGNORED = 0.5


def _no_scores() -> NDArray[np.float64]:
    return np.zeros(0)


@dataclass(frozen=True)
class Detections:
    """What a detector found in one photograph.

    Attributes:
        boxes: `(N, 4)` float32 (see `boxes`).
        scores: `(N,)` float64, any scale, higher is surer.
    """

    boxes: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), dtype=np.float32))
    scores: NDArray[np.float64] = field(default_factory=_no_scores)

    def __post_init__(self) -> None:
        object.__setattr__(self, "boxes", as_boxes(self.boxes))
        object.__setattr__(self, "scores", np.asarray(self.scores, dtype=np.float64).reshape(-1))
        if len(self.boxes) != len(self.scores):
            raise ValueError(
                f"there are {len(self.boxes)} boxes and {len(self.scores)} scores: one score a box"
            )
        if not (np.isfinite(self.boxes).all() and np.isfinite(self.scores).all()):
            raise ValueError("boxes and scores of detections must be finite")


@dataclass(frozen=True)
class SizeRange:
    """A range of face heights in pixels, the lower end in, the upper end out."""

    least_px: float = 0.0
    most_px: float = float("inf")

    def holds(self, boxes: Boxes) -> NDArray[np.bool_]:
        """Return which boxes have a height in the range, `(N,)`."""
        height = boxes[:, 3] - boxes[:, 1]
        return np.asarray((height >= self.least_px) & (height < self.most_px))

    def __str__(self) -> str:
        if np.isinf(self.most_px):
            return "all" if self.least_px <= 0 else f">= {self.least_px:g} px"
        return f"{self.least_px:g}-{self.most_px:g} px"


@dataclass(frozen=True)
class Matches:
    """The outcome of matching in one photograph.

    Attributes:
        outcomes: `(N,)` int8 per detection, in their given order: `HIT`, `FALSE_ALARM` or `UNCOUNTED`.
        faces: `(N,)` int64: the index of the face that was hit, else -1.
        n_faces: how many faces count.
    """

    outcomes: NDArray[np.int8]
    faces: NDArray[np.int64]
    n_faces: int


def match(
    detections: Detections,
    faces: Boxes,
    ignored: Boxes,
    iou_threshold: float = 0.5,
    sizes: SizeRange | None = None,
) -> Matches:
    """Match the detections of one photograph with its faces.

    Args:
        detections: what was found.
        faces: `(M, 4)` annotated faces.
        ignored: `(K, 4)` regions that count neither way.
        iou_threshold: the least overlap of a hit, in (0, 1].
        sizes: only faces of these heights count; None is all.
    """
    sizes = sizes or SizeRange()
    counted = sizes.holds(faces)
    outcomes = np.full(len(detections.boxes), FALSE_ALARM, dtype=np.int8)
    taken = np.full(len(detections.boxes), -1, dtype=np.int64)
    overlaps = iou(detections.boxes, faces)
    excused = _excused(detections.boxes, overlaps[:, ~counted], ignored, iou_threshold)
    excused |= ~sizes.holds(detections.boxes)
    free = counted.copy()
    for index in np.argsort(-detections.scores, kind="stable"):
        candidates = np.where(free, overlaps[index], -1.0)
        best = int(candidates.argmax()) if len(candidates) else -1
        if best >= 0 and candidates[best] >= iou_threshold:
            free[best] = False
            outcomes[index], taken[index] = HIT, best
        elif excused[index]:
            outcomes[index] = UNCOUNTED
    return Matches(outcomes, taken, int(counted.sum()))


def _excused(
    boxes: Boxes, overlaps_uncounted: NDArray[np.float64], ignored: Boxes, iou_threshold: float
) -> NDArray[np.bool_]:
    """Return which detections lie on an ignored region or on a face out of the range of sizes, `(N,)`."""
    on_face = (overlaps_uncounted >= iou_threshold).any(axis=1)
    own = np.maximum(area(boxes), np.finfo(np.float64).tiny)[:, None]
    in_region = (intersection(boxes, ignored) >= _INSIDE_IGNORED * own).any(axis=1)
    on_region = (iou(boxes, ignored) >= iou_threshold).any(axis=1)
    return np.asarray(on_face | in_region | on_region)
