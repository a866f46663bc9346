"""Measure detections on a set of photographs: average precision overall and by face size, raw and fitted.

"Fitted" is after one shift and stretch of all boxes, found on one half of the set (see `evaluation.style`).
It is printed beside the raw figure, never in its place, on the whole set and on the half that the fit has
not seen.

This module knows photographs and detections; how a detector works or where a set comes from it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers.fddb import FddbPhotograph
from deepevent_trainer.evaluation.average_precision import Scene, mean_average_precision, precision_recall
from deepevent_trainer.evaluation.fddb import FALSE_POSITIVES_READ, EllipseScene, roc, roc_by_fold
from deepevent_trainer.evaluation.matching import Detections, SizeRange
from deepevent_trainer.evaluation.style import Style, fit_style, in_training_half

# Faces of at least 24, 40 and 80 pixels, as the budgets ask, and the bands between.
SIZES = (
    SizeRange(),
    SizeRange(24),
    SizeRange(40),
    SizeRange(80),
    SizeRange(24, 40),
    SizeRange(40, 80),
)


@dataclass(frozen=True)
class Row:
    """The figures for one range of face sizes.

    Attributes:
        sizes: the range, as text.
        n_faces: how many faces count in it.
        ap: average precision at IoU 0.5.
        ap_fitted: the same after the fit, on the whole set.
        ap_unseen: raw, on the half of the set that the fit has not seen.
        ap_fitted_unseen: after the fit, on that half.
        map: mean over IoU 0.5 to 0.95, raw.
        map_fitted: the same after the fit.
        recall: share of the faces found at any score, raw, at IoU 0.5.
    """

    sizes: str
    n_faces: int
    ap: float
    ap_fitted: float
    ap_unseen: float
    ap_fitted_unseen: float
    map: float
    map_fitted: float
    recall: float


@dataclass(frozen=True)
class Measurement:
    """What one detector reaches on one set.

    Attributes:
        n_photographs: how many were measured.
        style: the fitted shift and stretch.
        rows: one per range of sizes.
    """

    n_photographs: int
    style: Style
    rows: list[Row]

    def as_json(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return asdict(self)


def scenes_of(
    photographs: Sequence[Photograph],
    detections: Mapping[str, Detections],
    scales: Mapping[str, float] | None = None,
) -> list[Scene]:
    """Return each photograph with its detections; one without detections counts as an empty answer.

    Args:
        photographs: of one set.
        detections: by the photographs' names, in pixels of the original image.
        scales: by name, what all boxes are multiplied by, so that sizes are those of the scaled image.
    """
    scenes = []
    for photograph in photographs:
        found = detections.get(photograph.name, Detections())
        factor = np.float32((scales or {}).get(photograph.name, 1.0))
        in_scale = Detections(found.boxes * factor, found.scores)
        scenes.append(Scene(photograph.faces * factor, photograph.ignored * factor, in_scale))
    return scenes


def measure(
    photographs: Sequence[Photograph],
    detections: Mapping[str, Detections],
    sizes: Sequence[SizeRange] = SIZES,
    scales: Mapping[str, float] | None = None,
) -> Measurement:
    """Measure detections on a set.

    Args:
        photographs: all of the set; its training split, or else a half chosen by hash, serves the fit.
        detections: what was found, by the photographs' names.
        sizes: the ranges of face heights to report.
        scales: see `scenes_of`.
    """
    scenes = scenes_of(photographs, detections, scales)
    for_fit = _training_half(photographs)
    style = fit_style([scene for scene, taken in zip(scenes, for_fit, strict=True) if taken])
    fitted = [style.restyle(scene) for scene in scenes]
    unseen = [scene for scene, taken in zip(scenes, for_fit, strict=True) if not taken]
    fitted_unseen = [scene for scene, taken in zip(fitted, for_fit, strict=True) if not taken]
    rows = []
    for size in sizes:
        raw = precision_recall(scenes, 0.5, size)
        rows.append(
            Row(
                sizes=str(size),
                n_faces=raw.n_faces,
                ap=raw.average_precision,
                ap_fitted=precision_recall(fitted, 0.5, size).average_precision,
                ap_unseen=precision_recall(unseen, 0.5, size).average_precision,
                ap_fitted_unseen=precision_recall(fitted_unseen, 0.5, size).average_precision,
                map=mean_average_precision(scenes, size),
                map_fitted=mean_average_precision(fitted, size),
                recall=float(raw.recall.max(initial=0.0)),
            )
        )
    return Measurement(len(photographs), style, rows)


def measure_fddb(
    photographs: Sequence[FddbPhotograph], detections: Mapping[str, Detections]
) -> dict[str, Any]:
    """Return FDDB's true-positive rates, over all folds and per fold, as plain data."""
    scenes = [
        EllipseScene(photograph.ellipses, detections.get(photograph.name, Detections()), photograph.fold)
        for photograph in photographs
    ]
    whole = roc(scenes)
    figures: dict[str, Any] = {"n_faces": whole.n_faces, "discrete": {}, "continuous": {}, "folds": {}}
    for limit in FALSE_POSITIVES_READ:
        figures["discrete"][str(limit)] = whole.rate_at(limit)
        figures["continuous"][str(limit)] = whole.rate_at(limit, continuous=True)
    for fold, curves in roc_by_fold(scenes).items():
        # A fold is a tenth of the set, and so is its share of false positives.
        figures["folds"][str(fold)] = {
            "discrete": curves.rate_at(FALSE_POSITIVES_READ[0] // 10),
            "continuous": curves.rate_at(FALSE_POSITIVES_READ[0] // 10, continuous=True),
        }
    return figures


def _training_half(photographs: Sequence[Photograph]) -> list[bool]:
    """Return which photographs serve the fit: the set's training split if it has one, else a half."""
    own = [photograph.split == "train" for photograph in photographs]
    if any(own) and not all(own):
        return own
    return [in_training_half(photograph.name, photograph.group) for photograph in photographs]
