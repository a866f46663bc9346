"""The 45 calibration classes: how a face box is moved, and how the answer moves it back.

A class is a scale and a shift (Li et al., CVPR 2015, section 3.2). The crop of class (s, x, y) is the face
box with its top-left corner moved by (x*w, y*h) and its sides multiplied by s; applying the same class to
that crop gives the face box back. s scales about the top-left corner, as in the article, not about the
centre.

This module knows NumPy and boxes; nothing of networks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer.boxes import Boxes

SCALES = (0.83, 0.91, 1.0, 1.10, 1.21)
SHIFTS = (-0.17, 0.0, 0.17)
N_CLASSES = len(SCALES) * len(SHIFTS) ** 2
# A class below chance says nothing; the article drops it and averages the others by their probabilities.
CHANCE = 1.0 / N_CLASSES

# (45, 3) float64: s, x, y; index = 9*i_s + 3*i_x + i_y.
CLASSES: NDArray[np.float64] = np.array([(s, x, y) for s in SCALES for x in SHIFTS for y in SHIFTS])
CLASSES.setflags(write=False)
IDENTITY = 9 * SCALES.index(1.0) + 3 * SHIFTS.index(0.0) + SHIFTS.index(0.0)


def encode(faces: Boxes, classes: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the crops to which `classes` `(N,)` are the right answers, `(N, 4)`, of faces `(N, 4)`."""
    transforms = CLASSES[classes]
    corner, sides = _corner_and_sides(faces)
    moved = corner + transforms[:, 1:] * sides
    return np.asarray(np.concatenate([moved, moved + sides * transforms[:, :1]], axis=1))


def apply(boxes: Boxes, transforms: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return `boxes` `(N, 4)` moved back by `transforms` `(N, 3)` of (s, x, y).

    Source: Li et al., equation 3: x - x_n*w/s_n, w/s_n.
    """
    corner, sides = _corner_and_sides(boxes)
    scale = transforms[:, :1]
    moved = corner - transforms[:, 1:] * sides / scale
    return np.concatenate([moved, moved + sides / scale], axis=1)


def average(probabilities: NDArray[np.floating], floor: float = CHANCE) -> NDArray[np.float64]:
    """Return the transforms that `probabilities` mean, `(N, 3)` of (s, x, y).

    Classes under `floor` are dropped, the rest is averaged with the probabilities as weights. With 45
    probabilities that sum to 1 the largest is never under 1/45; should a higher `floor` drop all of them, the
    box stays as it is.

    Args:
        probabilities: `(N, 45)`, softmax over the classes.
        floor: smallest probability that counts; the article's 1/45, Li et al.'s repositories 0.1.
    """
    # Rounding must not drop a uniform answer.
    weights = np.where(probabilities >= floor - 1e-9, probabilities, 0.0).astype(np.float64)
    total = weights.sum(axis=1, keepdims=True)
    mean = np.divide(weights @ CLASSES, total, out=np.zeros((len(weights), 3)), where=total > 0)
    return np.asarray(np.where(total > 0, mean, CLASSES[IDENTITY]), dtype=np.float64)


def calibrate(
    boxes: Boxes, probabilities: NDArray[np.floating], floor: float = CHANCE
) -> NDArray[np.float64]:
    """Return `boxes` `(N, 4)` as corrected by the net's `probabilities` `(N, 45)`."""
    return apply(boxes, average(probabilities, floor))


def _corner_and_sides(boxes: Boxes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    wide = boxes.astype(np.float64)
    return wide[:, :2], wide[:, 2:] - wide[:, :2]
