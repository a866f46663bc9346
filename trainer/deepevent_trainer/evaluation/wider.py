"""The protocol of WIDER FACE: average precision on the easy, medium and hard faces of its validation set.

Each difficulty keeps some of the annotated faces; the others, and nothing else, are ignored. Detections come
by falling score; each looks at the face it overlaps most, among all faces. If that one is ignored, the
detection counts neither way; if it is kept and free, it is found; a second detection of it is a false alarm.

Kept from the official program: corners are inclusive pixels, so a box of width w covers w + 1 of them, which
matters for faces of a few pixels; photographs without any annotated face are left out. Not kept: scores
there are squeezed into [0, 1] over the whole set and read at a thousand thresholds, so that one outlier
among the scores moves the result. Here every distinct score is a threshold.

Source: Yang, Luo, Loy, Tang, WIDER FACE, CVPR 2016, and its evaluation tools.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from deepevent.errors import DataSetError
from deepevent_trainer.boxes import iou
from deepevent_trainer.evaluation.average_precision import PrecisionRecall, curve
from deepevent_trainer.evaluation.matching import Detections

DIFFICULTIES = ("easy", "medium", "hard")
_IOU = 0.5


@dataclass(frozen=True)
class WiderTruth:
    """The annotation of one validation photograph.

    Attributes:
        faces: `(N, 4)` all annotated faces.
        kept: per difficulty, `(N,)` which of them count.
    """

    faces: NDArray[np.float32]
    kept: dict[str, NDArray[np.bool_]]


def read_wider_truth(folder: Path) -> dict[str, WiderTruth]:
    """Read the official evaluation files.

    Args:
        folder: holds `wider_face_val.mat` and `wider_{easy,medium,hard}_val.mat`.

    Returns:
        The truth by image name as the annotation file writes it, `<event>/<image>.jpg`.

    Raises:
        DataSetError: if a file is missing or is not what it should be.
    """
    try:
        whole = loadmat(folder / "wider_face_val.mat")
        lists = {name: loadmat(folder / f"wider_{name}_val.mat")["gt_list"] for name in DIFFICULTIES}
        return dict(_truths(whole, lists))
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise DataSetError(f"cannot read WIDER's evaluation files in {folder}: {error}") from error


def _truths(whole: dict[str, Any], lists: dict[str, Any]) -> list[tuple[str, WiderTruth]]:
    truths = []
    for event_index, event_cell in enumerate(whole["event_list"][:, 0]):
        event = str(event_cell[0])
        files = whole["file_list"][event_index, 0][:, 0]
        boxes = whole["face_bbx_list"][event_index, 0][:, 0]
        for index, (file_cell, rows) in enumerate(zip(files, boxes, strict=True)):
            corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1).astype(np.float32)
            kept = {}
            for name in DIFFICULTIES:
                numbers = np.asarray(lists[name][event_index, 0][index, 0], dtype=np.int64).reshape(-1)
                kept[name] = np.zeros(len(corners), dtype=np.bool_)
                kept[name][numbers - 1] = True  # counted from one
            truths.append((f"{event}/{file_cell[0]}.jpg", WiderTruth(corners, kept)))
    return truths


def wider_precision_recall(
    truths: Mapping[str, WiderTruth], detections: Mapping[str, Detections], difficulty: str
) -> PrecisionRecall:
    """Return precision over recall at one difficulty; photographs without detections count as empty ones.

    Args:
        truths: what `read_wider_truth` returned, or a part of it.
        detections: by the same names.
        difficulty: one of `DIFFICULTIES`.
    """
    hits, alarms, scores = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    n_faces = 0
    for name, truth in truths.items():
        kept = truth.kept[difficulty]
        n_faces += int(kept.sum())
        found = detections.get(name)
        if found is None or len(found.boxes) == 0 or len(truth.faces) == 0:
            continue
        order = np.argsort(-found.scores, kind="stable")
        outcome = _outcomes(found.boxes[order], truth.faces, kept)
        hits.append(outcome[0])
        alarms.append(outcome[1])
        scores.append(found.scores[order])
    return curve(np.concatenate(hits), np.concatenate(alarms), np.concatenate(scores), n_faces)


def wider_average_precision(
    truths: Mapping[str, WiderTruth], detections: Mapping[str, Detections]
) -> dict[str, float]:
    """Return the average precision at each difficulty."""
    return {name: wider_precision_recall(truths, detections, name).average_precision for name in DIFFICULTIES}


def _outcomes(
    boxes: NDArray[np.float32], faces: NDArray[np.float32], kept: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return per detection, by falling score, whether it finds a face and whether it is a false alarm."""
    hits, alarms = np.zeros(len(boxes)), np.ones(len(boxes))
    inclusive = np.array([0, 0, 1, 1], dtype=np.float32)
    overlaps = iou(boxes + inclusive, faces + inclusive)
    best = overlaps.argmax(axis=1)
    found: set[int] = set()
    for index, face in enumerate(best):
        if overlaps[index, face] < _IOU:
            continue
        if not kept[face]:
            alarms[index] = 0.0
        elif int(face) not in found:
            found.add(int(face))
            hits[index], alarms[index] = 1.0, 0.0
    return hits, alarms
