"""What a net is worth, from its probabilities on a validation set. Arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer import calibration
from deepevent_trainer.boxes import Boxes
from deepevent_trainer.networks import FACE

# Li et al., CVPR 2015, section 4.2: the first net's threshold lets 99 % of the faces through.
FIRST_STAGE_RECALL = 0.99


def detection_measures(probabilities: NDArray[np.floating], targets: NDArray[np.integer]) -> dict[str, float]:
    """Return accuracy, precision and recall at probability 1/2, and what remains when 99 % of the faces pass.

    Args:
        probabilities: `(N, 2)`.
        targets: `(N,)`, 1 where there is a face.
    """
    scores, faces = probabilities[:, FACE], targets == FACE
    accepted = scores >= 0.5
    hits = int((accepted & faces).sum())
    threshold = threshold_for_recall(scores[faces], FIRST_STAGE_RECALL)
    return {
        "accuracy": float((accepted == faces).mean()) if len(faces) else float("nan"),
        "precision": _share(hits, int(accepted.sum())),
        "recall": _share(hits, int(faces.sum())),
        "threshold_at_99_recall": threshold,
        "false_positive_rate_at_99_recall": _share(
            int((scores[~faces] >= threshold).sum()), int((~faces).sum())
        ),
    }


def threshold_for_recall(face_scores: NDArray[np.floating], recall: float) -> float:
    """Return the highest threshold that at least `recall` of `face_scores` `(N,)` reach; 0 without any."""
    if not len(face_scores):
        return 0.0
    ordered = np.sort(face_scores)[::-1]
    needed = int(np.ceil(recall * len(ordered)))
    return float(ordered[max(needed, 1) - 1])


def first_stage_threshold(measures: Mapping[str, float]) -> float:
    """Return the score from which a detection net with these validation `measures` accepts a window.

    It lets 99 % of the held-out faces through (Li et al., section 4.2); 1/2 where nothing was measured.
    """
    return measures.get("val/threshold_at_99_recall", 0.5)


def calibration_measures(
    probabilities: NDArray[np.floating], targets: NDArray[np.integer], size_px: int
) -> dict[str, float]:
    """Return accuracy, and error of the centre and overlap with the face before and after calibration.

    Args:
        probabilities: `(N, 45)`.
        targets: `(N,)` the transform by which each face was moved.
        size_px: side of the net's window; centre errors are in its pixels, the face being as large as the
        window.
    """
    face = np.tile(np.array([[0.0, 0.0, 1.0, 1.0]]), (len(targets), 1))
    moved = calibration.encode(face, targets)
    back = calibration.calibrate(moved, probabilities)
    measures = {
        "accuracy": float((probabilities.argmax(1) == targets).mean()) if len(targets) else float("nan")
    }
    for name, boxes in (("before", moved), ("after", back)):
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2 - 0.5
        distance = np.hypot(centre[:, 0], centre[:, 1]) * size_px
        measures[f"centre_error_px_{name}"] = float(distance.mean()) if len(distance) else float("nan")
        overlaps = paired_iou(boxes, face)
        measures[f"iou_{name}"] = float(overlaps.mean()) if len(overlaps) else float("nan")
    return measures


def paired_iou(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Return the intersection over union of each box of `first` with its partner in `second`, `(N,)`."""
    corner, far = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    common = np.maximum(far - corner, 0).prod(1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (first, second)]
    return np.asarray(common / np.maximum(areas[0] + areas[1] - common, 1e-12), dtype=np.float64)


def _share(part: int, whole: int) -> float:
    """Return part/whole; NaN says that there was nothing to judge."""
    return part / whole if whole else float("nan")
