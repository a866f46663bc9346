"""Find pictures that are the same to the eye, by perceptual hashes.

A difference hash keeps, of a picture shrunk to a few pixels, whether each is brighter than its neighbour:
scaling, recompression and a change of brightness hardly touch it. A coarse one of 64 bits finds candidates
among all pairs; a fine one of 256 bits, across and down, decides. Pictures without contrast have no hash
worth comparing.

Source: N. Krawetz, Kind of Like That, 2013 (dHash).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Of 64 bits, and of 512. Two unrelated pictures differ in half of the bits; recompressed ones in one or two
# of 100.
COARSE_BITS = 8
FINE_BITS = 40

_COARSE, _FINE = 8, 16
_MIN_CONTRAST = 2.0
_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class PictureHash:
    """The hashes of one picture.

    Attributes:
        coarse: `(1,)` uint64, across.
        fine: `(8,)` uint64, 256 bits across and 256 down.
        flat: whether the picture has no contrast worth comparing.
    """

    coarse: NDArray[np.uint64]
    fine: NDArray[np.uint64]
    flat: bool


def picture_hash(pixels: NDArray[np.uint8]) -> PictureHash:
    """Return the hashes of a picture, `(H, W, 3)` or `(H, W)` uint8."""
    grey = np.asarray(
        cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.ndim == 3 else pixels, dtype=np.uint8
    )
    across = _differences(grey, _FINE, down=False)
    down = _differences(grey, _FINE, down=True)
    return PictureHash(
        coarse=_packed(_differences(grey, _COARSE, down=False)),
        fine=np.concatenate([_packed(across), _packed(down)]),
        flat=float(np.std(cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA))) < _MIN_CONTRAST,
    )


def similar_pairs(
    hashes: list[PictureHash], coarse_bits: int = COARSE_BITS, fine_bits: int = FINE_BITS
) -> Iterator[tuple[int, int, int]]:
    """Yield `(first, second, fine bits that differ)` for all pairs of like pictures, `first < second`.

    Every pair is compared: 20,000 pictures take some seconds.
    """
    usable = np.array([index for index, one in enumerate(hashes) if not one.flat], dtype=np.int64)
    if len(usable) < 2:
        return
    coarse = np.array([hashes[index].coarse[0] for index in usable])
    fine = np.stack([hashes[index].fine for index in usable])
    for start in range(0, len(usable), _ROWS_AT_ONCE):
        rows = coarse[start : start + _ROWS_AT_ONCE]
        near = np.bitwise_count(rows[:, None] ^ coarse[None, start:]) <= coarse_bits
        for row, column in zip(*np.nonzero(np.triu(near, k=1)), strict=True):
            first, second = start + int(row), start + int(column)
            differing = int(np.bitwise_count(fine[first] ^ fine[second]).sum())
            if differing <= fine_bits:
                yield int(usable[first]), int(usable[second]), differing


def _differences(grey: NDArray[np.uint8], side: int, down: bool) -> NDArray[np.bool_]:
    """Return `(side, side)`: whether each cell is darker than the next one, to the right or below."""
    size = (side, side + 1) if down else (side + 1, side)
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.asarray(np.diff(small, axis=0 if down else 1) > 0)


def _packed(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    return np.packbits(bits.reshape(-1)).view(np.uint64)
