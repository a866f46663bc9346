"""Annotation style: one shift and stretch that turns a detector's boxes into a set's boxes.

Sets draw faces tight or loose, from hair or from brows, square or high. A detector trained on one style
loses overlap on another without being wrong. One shift and one stretch in each direction, relative to the
box and the same for all boxes, is fitted on one half of a set; it can correct a style, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer.boxes import Boxes
from deepevent_trainer.evaluation.average_precision import Scene
from deepevent_trainer.evaluation.matching import HIT, Detections

# Pairs for the fit need less overlap than a hit: two styles of one face easily differ by half.
_PAIR_IOU = 0.3
_MIN_PAIRS = 8
_ROUNDS = 10


@dataclass(frozen=True)
class Style:
    """A shift and a stretch, both as parts of the box's own width and height.

    Attributes:
        shift_x: how far the centre moves, in widths.
        shift_y: how far the centre moves, in heights.
        stretch_x: what the width is multiplied by.
        stretch_y: what the height is multiplied by.
        n_pairs: how many pairs it was fitted on.
    """

    shift_x: float = 0.0
    shift_y: float = 0.0
    stretch_x: float = 1.0
    stretch_y: float = 1.0
    n_pairs: int = 0

    def apply(self, boxes: Boxes) -> NDArray[np.float32]:
        """Return the boxes in this style, `(N, 4)`."""
        size = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
        centre = boxes[:, :2] + size / 2 + size * [self.shift_x, self.shift_y]
        half = size * [self.stretch_x, self.stretch_y] / 2
        return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)

    def restyle(self, scene: Scene) -> Scene:
        """Return `scene` with its detections in this style."""
        boxes = self.apply(scene.detections.boxes)
        return Scene(scene.faces, scene.ignored, Detections(boxes, scene.detections.scores))


def fit_style(scenes: Sequence[Scene]) -> Style:
    """Fit the style of a set.

    Pairs found at a low overlap give a shift and stretch, each the median over the pairs, in sizes of the box
    so that large faces weigh no more than small ones; with it, pairs are found anew, until nothing changes.
    Least squares were tried first: in crowds, boxes of a low score that lie across a much smaller face bent
    them until the fitted figure was a third of the raw one.

    Returns:
        The identity when there are too few pairs to tell.
    """
    style = Style()
    for _ in range(_ROUNDS):
        detected, annotated = _pairs(scenes, style)
        if len(detected) < _MIN_PAIRS:
            return style
        fitted = _medians(detected, annotated)
        if fitted == style:
            break
        style = fitted
    return style


def _pairs(scenes: Sequence[Scene], style: Style) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the original boxes of detections and the faces that they hit once restyled, both `(P, 4)`."""
    detected, annotated = [np.zeros((0, 4))], [np.zeros((0, 4))]
    for scene in scenes:
        matches = style.restyle(scene).match(_PAIR_IOU)
        hits = matches.outcomes == HIT
        detected.append(scene.detections.boxes[hits].astype(np.float64))
        annotated.append(np.asarray(scene.faces[matches.faces[hits]], dtype=np.float64))
    return np.concatenate(detected), np.concatenate(annotated)


def _medians(detected: NDArray[np.float64], annotated: NDArray[np.float64]) -> Style:
    size, size_true = detected[:, 2:] - detected[:, :2], annotated[:, 2:] - annotated[:, :2]
    centre, centre_true = (detected[:, 2:] + detected[:, :2]) / 2, (annotated[:, 2:] + annotated[:, :2]) / 2
    stretch = np.median(size_true / size, axis=0)
    shift = np.median((centre_true - centre) / size, axis=0)
    return Style(float(shift[0]), float(shift[1]), float(stretch[0]), float(stretch[1]), len(detected))


def in_training_half(name: str, group: str = "") -> bool:
    """Return whether a photograph belongs to the half of a set that styles are fitted on.

    Chosen by a hash of the group, or of the name where there is none: the same for every detector and
    machine.
    """
    return hashlib.sha256((group or name).encode()).digest()[0] < 128
