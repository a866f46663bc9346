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


@dataclass(frozen=True)
class Overlaps:
    """What the boxes of one photograph have in common: computed once, used at every threshold and size.

    Attributes:
        faces: `(N, M)` IoU of detections and faces.
        ignored: `(N,)` the largest IoU with an ignored region.
        inside: `(N,)` whether the detection lies in an ignored region.
    """

    faces: NDArray[np.float64]
    ignored: NDArray[np.float64]
    inside: NDArray[np.bool_]


def overlaps_of(boxes: Boxes, faces: Boxes, ignored: Boxes) -> Overlaps:
    """Return the overlaps of detections with faces and ignored regions."""
    own = np.maximum(area(boxes), np.finfo(np.float64).tiny)[:, None]
    in_region = intersection(boxes, ignored) >= _INSIDE_IGNORED * own
    on_region = iou(boxes, ignored).max(axis=1, initial=0.0)
    return Overlaps(iou(boxes, faces), on_region, np.asarray(in_region.any(axis=1)))


def match(
    detections: Detections,
    faces: Boxes,
    ignored: Boxes,
    iou_threshold: float = 0.5,
    sizes: SizeRange | None = None,
    overlaps: Overlaps | None = None,
) -> Matches:
    """Match the detections of one photograph with its faces.

    Args:
        detections: what was found.
        faces: `(M, 4)` annotated faces.
        ignored: `(K, 4)` regions that count neither way.
        iou_threshold: the least overlap of a hit, in (0, 1].
        sizes: only faces of these heights count; None is all.
        overlaps: what `overlaps_of` gave for them, if it is known.
    """
    sizes = sizes or SizeRange()
    known = overlaps or overlaps_of(detections.boxes, faces, ignored)
    counted = sizes.holds(faces)
    near = known.faces >= iou_threshold
    excused = near[:, ~counted].any(axis=1) | known.inside | ~sizes.holds(detections.boxes)
    excused |= known.ignored >= iou_threshold
    outcomes = np.where(excused, UNCOUNTED, FALSE_ALARM).astype(np.int8)
    taken = np.full(len(detections.boxes), -1, dtype=np.int64)
    near &= counted
    candidates = np.flatnonzero(near.any(axis=1))
    free = set(np.flatnonzero(counted).tolist())
    for index in candidates[np.argsort(-detections.scores[candidates], kind="stable")]:
        row = known.faces[index]
        within = [int(face) for face in np.flatnonzero(near[index]) if int(face) in free]
        if within:
            best = max(within, key=row.__getitem__)
            free.remove(best)
            outcomes[index], taken[index] = HIT, best
    return Matches(outcomes, taken, int(counted.sum()))
