"""Hard negatives: windows of background that the cascade so far takes for faces.

Searched on face-free photographs and away from the faces of annotated ones. Knows photographs and the
cascade; not how a net is trained.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer import box_cascade
from deepevent_trainer.boxes import as_boxes, squared
from deepevent_trainer.data import crops
from deepevent_trainer.data.crops import Crops, is_background
from deepevent_trainer.data.photographs import Photograph

# So that no photograph fills the pool by itself.
MINED_A_PHOTOGRAPH = 40


def mine(
    judges: Sequence[box_cascade.Judge],
    photographs: Sequence[Photograph],
    size_px: int,
    *,
    most: int,
    min_face_px: float,
) -> Crops:
    """Return about `most` windows of background that `judges` take for faces, in luminance.

    Photographs whose faces are not all annotated give none, and no window overlaps a face or an ignored
    region by more than `crops.NEGATIVE_IOU`.
    """
    found: list[NDArray[np.float32]] = []
    n = 0
    for photograph in photographs:
        boxes = as_boxes([])
        if photograph.complete and n < most:
            candidates = next(box_cascade.pipeline([photograph.read()], judges, min_face_px))
            windows = squared(candidates.boxes)
            wrong = is_background(windows, photograph) & (windows[:, 2] - windows[:, 0] >= min_face_px / 2)
            boxes = windows[wrong][:MINED_A_PHOTOGRAPH]
        n += len(boxes)
        found.append(boxes)
    return crops.cut(photographs, found, size_px, planes=1)


def joined(parts: Sequence[Crops]) -> Crops:
    """Return several pools as one; the indices of photographs of later pools mean nothing any more."""
    return Crops(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.photographs for part in parts]),
        parts[0].size_px,
    )
