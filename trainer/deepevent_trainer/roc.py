"""The receiver operating characteristic of a detection net: faces found against background let through.

Arrays in, a curve and a figure out. The figure is plain JSON in plotly's public form, so that training needs
no plotting library.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What a figure needs at most: a page draws no more.
MOST_POINTS = 200


@dataclass(frozen=True, eq=False)
class Roc:
    """A curve from (0, 0) to (1, 1), both rates rising.

    Attributes:
        false_positive_rate: `(N,)` share of the background at or above each threshold.
        true_positive_rate: `(N,)` share of the faces at or above it.
        thresholds: `(N,)`, falling; the first is above every score.
    """

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Return the area under it: how often a face has a higher score than background, ties as half."""
        return float(np.trapezoid(self.true_positive_rate, self.false_positive_rate))

    def figure(self) -> RocFigure:
        """Return it as something that `run.log_figure` takes."""
        n = len(self.thresholds)
        shown = np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).round().astype(np.int64))
        return RocFigure(
            self.false_positive_rate[shown].tolist(),
            self.true_positive_rate[shown].tolist(),
            self.thresholds[shown].tolist(),
            self.area,
        )


def roc(face_scores: NDArray[np.floating], background_scores: NDArray[np.floating]) -> Roc | None:
    """Return the curve of two sets of scores, equal scores taken together; None if one of them is empty."""
    if not len(face_scores) or not len(background_scores):
        return None
    scores = np.concatenate([face_scores, background_scores]).astype(np.float64)
    faces = np.arange(len(scores)) < len(face_scores)
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], faces[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    found, passed = np.cumsum(hits)[last], np.cumsum(~hits)[last]
    return Roc(
        np.append(0.0, passed / len(background_scores)),
        np.append(0.0, found / len(face_scores)),
        np.append(np.nextafter(ranked[0], np.inf), ranked[last]),
    )


@dataclass(frozen=True)
class RocFigure:
    """A curve with its thresholds, in plotly's JSON."""

    false_positive_rate: list[float]
    true_positive_rate: list[float]
    thresholds: list[float]
    area: float

    def to_plotly_json(self) -> dict[str, Any]:
        """Return data and layout."""
        curve = {
            "type": "scatter",
            "mode": "lines",
            "name": f"area {self.area:.4f}",
            "x": self.false_positive_rate,
            "y": self.true_positive_rate,
            "customdata": self.thresholds,
            "hovertemplate": "background %{x:.4f}<br>faces %{y:.4f}<br>from %{customdata:.4f} on",
        }
        layout = {
            "title": {"text": f"area {self.area:.4f}"},
            "xaxis": {"title": {"text": "background let through"}, "range": [0, 1]},
            "yaxis": {"title": {"text": "faces found"}, "range": [0, 1.01]},
        }
        return {"data": [curve], "layout": layout}

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(self.to_plotly_json())
