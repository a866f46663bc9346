"""What the cascade noted about an image, as `log_detections` takes it (docs/formats.md).

A first stage accepts thousands of windows; only the best are sent, and every window that is sent has its
whole line of ancestors with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer.boxes import Boxes, iou
from deepevent_trainer.cascade import StageRecord

MAX_WINDOWS = 400
FACE_IOU = 0.5  # a window covers a face from here on, as in the evaluation


def detections(
    stages: Sequence[StageRecord], truth: Boxes, *, train: bool, max_windows: int = MAX_WINDOWS
) -> dict[str, Any]:
    """Return `{truth, train, stages: […]}` with of each stage what `deepevent.detections` names.

    Args:
        stages: in order; `parents` of each point into the one before it.
        truth: `(N, 4)` annotated faces.
        train: whether the image belongs to the training set.
        max_windows: of a stage's windows the best are kept up to this number: ancestors of later ones first,
            then for each face the one that covers it best, then by score.
            `total` says how many it accepted, `seen` how many it looked at.
    """
    kept = _kept(stages, truth, max_windows)
    told = []
    previous: NDArray[np.int64] | None = None
    before: StageRecord | None = None
    for stage, indices in zip(stages, kept, strict=True):
        parents = (
            np.full(len(indices), -1)
            if previous is None
            else np.searchsorted(previous, stage.parents[indices])
        )
        told.append(
            {
                "name": stage.name,
                "kind": stage.kind,
                # Hundredths of a pixel are more than any net can tell, and shorter to send.
                "boxes": np.round(stage.boxes[indices].astype(np.float64), 2).tolist(),
                "scores": np.round(stage.scores[indices].astype(np.float64), 4).tolist(),
                "parents": parents.astype(int).tolist(),
                "threshold": stage.threshold,
                "total": len(stage.boxes),
                "seen": stage.n_seen,
                "face_scores": None if before is None else _face_scores(stage, before, truth),
            }
        )
        previous, before = indices, stage
    return {"truth": np.round(truth.astype(np.float64), 2).tolist(), "train": train, "stages": told}


def _face_scores(stage: StageRecord, before: StageRecord, truth: Boxes) -> list[float | None] | None:
    """Return the best score that a stage gave to a window on each face, turned down ones included."""
    if stage.judged is None or not len(truth):
        return None
    covering = iou(truth, before.boxes) >= FACE_IOU
    return [round(float(stage.judged[windows].max()), 4) if windows.any() else None for windows in covering]


def _kept(stages: Sequence[StageRecord], truth: Boxes, max_windows: int) -> list[NDArray[np.int64]]:
    """Return the indices kept of each stage, rising; found from the end back, so no ancestor is missing."""
    kept: list[NDArray[np.int64]] = []
    ancestors = np.zeros(0, dtype=np.int64)
    for position in range(len(stages) - 1, -1, -1):
        stage = stages[position]
        best = iou(truth, stage.boxes).argmax(axis=1) if len(truth) and len(stage.boxes) else ancestors[:0]
        ranked = np.concatenate([ancestors, best, np.argsort(-stage.scores, kind="stable")]).astype(np.int64)
        _, first = np.unique(ranked, return_index=True)
        indices = np.sort(ranked[np.sort(first)][: max(max_windows, len(ancestors))])
        kept.append(indices)
        ancestors = np.unique(stage.parents[indices])
    return kept[::-1]
