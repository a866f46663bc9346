"""Boxes, and the few operations that everything else is built on.

A box array is `(N, 4)` float, `x1, y1, x2, y2` in pixels of the original image, right and bottom exclusive:
a box has width `x2 - x1`. This convention is stated here once; other modules link to it.

This module knows NumPy and nothing of images, networks or files.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.floating]


def as_boxes(boxes: ArrayLike) -> NDArray[np.float32]:
    """Return `boxes` as a `(N, 4)` float32 array; an empty list becomes `(0, 4)`.

    Raises:
        ValueError: if the array cannot be seen as `(N, 4)`.
    """
    array = np.asarray(boxes, dtype=np.float32)
    if array.size == 0:
        return np.zeros((0, 4), dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes must have shape (N, 4), got {array.shape}")
    return array


def area(boxes: Boxes) -> NDArray[np.float64]:
    """Return the areas of `boxes`, `(N,)` in square pixels; a box turned inside out has area 0."""
    sides = np.maximum(boxes[:, 2:].astype(np.float64) - boxes[:, :2], 0.0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def intersection(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Return the pairwise intersection areas, `(N, M)` in square pixels."""
    left, top, right, bottom = first.astype(np.float64).T[:, :, None]
    other_left, other_top, other_right, other_bottom = second.astype(np.float64).T
    # One plain matrix for each direction is several times faster than one of pairs.
    width = np.minimum(right, other_right) - np.maximum(left, other_left)
    height = np.minimum(bottom, other_bottom) - np.maximum(top, other_top)
    np.maximum(width, 0.0, out=width)
    np.maximum(height, 0.0, out=height)
    return np.asarray(width * height)


def iou(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Return the pairwise intersection over union, `(N, M)` in [0, 1]; two empty boxes have 0."""
    common = intersection(first, second)
    union = area(first)[:, None] + area(second)[None, :] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def squared(boxes: Boxes) -> NDArray[np.float32]:
    """Return the smallest squares that share centre and longer side with `boxes`, `(N, 4)`."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.max(boxes[:, 2:] - boxes[:, :2], axis=1, keepdims=True, initial=0) / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
