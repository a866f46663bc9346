"""Non-maximum suppression: of boxes that mean the same face, keep the best.

Runs within one scale behind a calibration, over all scales at the end (Li et al., CVPR 2015, section 3.3: a
12 px net's scores rank too badly for a global one at once). Knows boxes and scores only.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer.boxes import Boxes, area, intersection

Overlap = Literal["iou", "smaller"]

# Rows of the overlap matrix that are made at a time: 512 x 20,000 float64 is 80 MB, and more rows gain
# nothing.
_ROWS = 512


def suppress(
    boxes: Boxes,
    scores: NDArray[np.floating],
    threshold: float,
    *,
    groups: NDArray[np.integer] | None = None,
    overlap: Overlap = "iou",
) -> NDArray[np.int64]:
    """Return the indices of the boxes that no better box overlaps, by falling score.

    Of equal scores the one that stands first wins, so the answer never depends on the sort.

    Args:
        boxes: `(N, 4)`.
        scores: `(N,)`.
        threshold: a box goes when its overlap with a kept one is above this, in [0, 1].
        groups: `(N,)`; boxes of different groups never suppress each other (scales of a pyramid). None: one
        group.
        overlap: intersection over union, or over the smaller of the two.
    """
    order = np.argsort(-scores, kind="stable").astype(np.int64)
    ranked = boxes[order].astype(np.float64)
    areas = area(ranked)
    ranked_groups = None if groups is None else groups[order]
    alive = np.ones(len(order), dtype=bool)
    for start in range(0, len(order), _ROWS):
        rows = np.flatnonzero(alive[start : start + _ROWS]) + start
        if not len(rows):
            continue
        later = np.flatnonzero(alive[start:]) + start
        common = intersection(ranked[rows], ranked[later])
        if overlap == "iou":
            base = areas[rows, None] + areas[None, later] - common
        else:
            base = np.minimum(areas[rows, None], areas[None, later])
        kills = common > threshold * base
        if ranked_groups is not None:
            kills &= ranked_groups[rows, None] == ranked_groups[None, later]
        kills &= rows[:, None] < later[None, :]
        living = np.ones(len(later), dtype=bool)
        busy = np.flatnonzero(kills.any(axis=1))
        for index, here in zip(busy.tolist(), np.searchsorted(later, rows[busy]).tolist(), strict=True):
            if living[here]:
                living &= ~kills[index]
        alive[later[~living]] = False
    return order[alive]
