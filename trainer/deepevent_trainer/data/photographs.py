"""A photograph and what is known about it: the one type that every reader returns.

Readers make these, crops and evaluation take them. Pixels are read late: a data set of thousands is a list of
small objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deepevent_trainer.boxes import as_boxes


def _no_boxes() -> NDArray[np.float32]:
    return np.zeros((0, 4), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Photograph:
    """One image with its face boxes.

    Attributes:
        name: unique within its set; what a split and a report call it.
        path: the image file, or None when `pixels` holds the image.
        faces: `(N, 4)` float32 boxes (see `boxes`).
        ignored: `(M, 4)` regions that count neither as face nor as background.
        group: photographs of one group (a person, a series) never stand on both sides of a split.
        pixels: `(H, W, 3)` uint8 RGB, or None when `path` has it.
        complete: whether every face is annotated; only then may its background serve as negatives.
        split: `train`, `val`, `test` as the set's authors divide it, or None.
    """

    name: str
    path: Path | None = None
    faces: NDArray[np.float32] = field(default_factory=_no_boxes)
    ignored: NDArray[np.float32] = field(default_factory=_no_boxes)
    group: str = ""
    pixels: NDArray[np.uint8] | None = None
    complete: bool = True
    split: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "faces", as_boxes(self.faces))
        object.__setattr__(self, "ignored", as_boxes(self.ignored))

    def read(self) -> NDArray[np.uint8]:
        """Return the pixels, `(H, W, 3)` uint8 RGB.

        Raises:
            ValueError: if the file is missing or is not an image that OpenCV reads.
        """
        if self.pixels is not None:
            return self.pixels
        image = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"cannot read {self.path} as an image: check that the file is there and whole")
        return np.ascontiguousarray(image[..., ::-1]).astype(np.uint8, copy=False)
