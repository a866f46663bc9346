"""The scales of an image, the windows of a scale, and where they lie in the original.

A level is the image resized so that a face of some size fills the net's window. Windows of `size_px` stand
every `step_px` pixels, the first at the top-left corner, and only whole ones (Li et al., CVPR 2015, section
3.1: 2,494 windows for an 800x600 image and 40 px faces). Knows images and boxes; nothing of networks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deepevent.errors import SettingsError

STEP_PX = 4
# Between the article's calibration scales of 0.83 and 1.21 any face is within one step of 1.18 of some level.
SCALE_STEP = 1.18


@dataclass(frozen=True, eq=False)
class Level:
    """One scale of an image.

    Attributes:
        index: 0 is the finest.
        pixels: `(H, W, 3)` uint8, or `(H, W)` of luminance.
        scale: `(2,)` level pixels per pixel of the original, x and y; they differ by rounding.
    """

    index: int
    pixels: NDArray[np.uint8]
    scale: NDArray[np.float64]

    def boxes(self, corners: NDArray[np.integer], size_px: int) -> NDArray[np.float32]:
        """Return windows of this level as boxes of the original, `(N, 4)`; `corners` is `(N, 2)` of x, y."""
        first = corners.astype(np.float64)
        both = np.concatenate([first / self.scale, (first + size_px) / self.scale], axis=1)
        return both.astype(np.float32)


def luminance(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the luminance of an RGB image, `(H, W)`; a grey one as it is."""
    if image.ndim == 2:
        return image
    if image.shape[2] == 1:
        return np.ascontiguousarray(image[..., 0])
    code = cv2.COLOR_RGBA2GRAY if image.shape[2] == 4 else cv2.COLOR_RGB2GRAY
    return np.asarray(cv2.cvtColor(image, code), dtype=np.uint8)


def levels(
    image: NDArray[np.uint8], size_px: int, min_face_px: float, scale_step: float = SCALE_STEP
) -> Iterator[Level]:
    """Yield the scales of `image`, finest first; none if a face of `min_face_px` does not fit in.

    Args:
        image: `(H, W, 3)` uint8.
        size_px: side of the net's window.
        min_face_px: smallest face to find, in pixels of `image`.
        scale_step: ratio between neighbouring scales, above 1.

    Raises:
        SettingsError: if `min_face_px` or `scale_step` cannot be used.
    """
    if min_face_px <= 0:
        raise SettingsError(f"min_face_px must be > 0, got {min_face_px!r}")
    if scale_step <= 1:
        raise SettingsError(f"scale_step must be > 1, got {scale_step!r}")
    height, width = image.shape[:2]
    scale, index = size_px / min_face_px, 0
    source = image
    while True:
        w, h = round(width * scale), round(height * scale)
        if min(w, h) < size_px:
            return
        # Averaging by area reads the whole source: a coarse level is made of the image halved before.
        while min(source.shape[1] / w, source.shape[0] / h) >= _HALVE_LEVELS_FROM:
            source = _half(source)
        # Area averaging on the way down; it degrades to nearest on the way up.
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        pixels = cv2.resize(source, (w, h), interpolation=method).astype(np.uint8, copy=False)
        yield Level(index, pixels, np.array([w / width, h / height]))
        scale, index = scale / scale_step, index + 1


def window_corners(height: int, width: int, size_px: int, step_px: int = STEP_PX) -> NDArray[np.int64]:
    """Return the top-left corners of the windows of a level, `(N, 2)` of x, y, row by row."""
    xs = np.arange(0, width - size_px + 1, step_px)
    ys = np.arange(0, height - size_px + 1, step_px)
    return np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).astype(np.int64)


# From this many image pixels per pixel of a level or crop on, it is made of the image halved as often as that
# takes: averaging reads a quarter as much each time. Levels are few, crops are what a detection waits for.
_HALVE_LEVELS_FROM, _HALVE_CROPS_FROM = 4.0, 2.0


def crop_windows(image: NDArray[np.uint8], boxes: NDArray[np.floating], size_px: int) -> NDArray[np.uint8]:
    """Return the boxes of `image` as crops, `(N, size_px, size_px[, 3])` uint8, cut to parts of a pixel.

    What lies outside of the image repeats its border. Down-scaling averages by area. A box without area is a
    pixel.
    """
    crops = np.zeros((len(boxes), size_px, size_px, *image.shape[2:]), dtype=np.uint8)
    if not len(boxes):
        return crops
    corners = boxes[:, :2].astype(np.float64)
    sides = np.maximum(boxes[:, 2:] - corners, 1.0)
    wanted = np.floor(np.log2(sides.min(axis=1) / size_px / _HALVE_CROPS_FROM)) + 1
    halved = [image]
    while len(halved) <= wanted.max() and min(halved[-1].shape[:2]) > 1:
        halved.append(_half(halved[-1]))
    times = np.clip(wanted, 0, len(halved) - 1).astype(np.int64)
    scale = np.array([(one.shape[1] / image.shape[1], one.shape[0] / image.shape[0]) for one in halved])[
        times
    ]
    # At most one pixel of the source between two samples, then an average over whole samples.
    samples = np.maximum(1, np.ceil((sides * scale).max(axis=1) / size_px - 0.01)).astype(np.int64)
    steps = sides * scale / (size_px * samples)[:, None]
    matrices = np.zeros((len(boxes), 2, 3))
    matrices[:, 0, 0], matrices[:, 1, 1] = steps.T
    matrices[:, :, 2] = corners * scale + steps / 2 - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for crop, matrix, time, n in zip(crops, matrices, times.tolist(), samples.tolist(), strict=True):
        size = (size_px * n, size_px * n)
        fine = cv2.warpAffine(halved[time], matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        if n == 1:
            crop[:] = fine
        else:
            cv2.resize(fine, (size_px, size_px), dst=crop, interpolation=cv2.INTER_AREA)
    return crops


def _half(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return `image` at half its size, each pixel the mean of four."""
    height, width = image.shape[:2]
    size = (max(1, width // 2), max(1, height // 2))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
