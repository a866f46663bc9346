"""Hard examples: background that the cascade so far takes for faces.

Source: Li et al., CVPR 2015, section 4.2: the later nets learn from what the earlier ones let through on
photographs without faces. Here photographs with faces give some too, away from every face. Knows photographs,
crops and a function that finds windows; not the nets behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer.boxes import as_boxes, squared
from deepevent_trainer.cascade import Candidates
from deepevent_trainer.data import crops
from deepevent_trainer.data.crops import Crops, is_background
from deepevent_trainer.data.photographs import Photograph

# Images to what is found on each, in their order.
Find = Callable[[Iterable[NDArray[np.uint8]]], Iterator[Candidates]]
# So that one busy photograph does not fill the pool.
MOST_A_PHOTOGRAPH = 40


def mine(
    find: Find,
    photographs: Sequence[Photograph],
    size_px: int,
    most: int,
    smallest_px: float = 0.0,
    planes: int = 3,
    before_each: Callable[[], None] = lambda: None,
) -> Crops:
    """Return about `most` windows of background that `find` takes for faces, no photograph giving too many.

    Photographs whose faces are not all annotated give none, and no window overlaps a face or an ignored
    region (`crops.is_background`).

    Args:
        find: the cascade so far.
        photographs: searched in this order until there are enough.
        size_px: side of the window of the net that will learn from them.
        most: windows after which the search ends.
        smallest_px: smaller windows are left out.
        planes: 1 for luminance alone.
        before_each: called before each photograph; what it raises ends the search.
    """
    found: list[NDArray[np.float32]] = []
    n = 0
    for photograph in photographs:
        before_each()
        boxes = as_boxes([])
        if photograph.complete and n < most:
            windows = squared(next(find([photograph.read()])).boxes)
            wrong = is_background(windows, photograph) & (windows[:, 2] - windows[:, 0] >= smallest_px)
            boxes = windows[wrong][:MOST_A_PHOTOGRAPH]
        n += len(boxes)
        found.append(boxes)
    return crops.cut(photographs, found, size_px, planes)


def joined(parts: Sequence[Crops]) -> Crops:
    """Return several pools as one; the indices of photographs of later pools mean nothing any more."""
    return Crops(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.photographs for part in parts]),
        parts[0].size_px,
    )
