"""Thins curves for a drawing without losing an extreme. Pure: knows no database.

M4 (Jugel et al., VLDB 2014): of each bin of the x-axis the first point, the minimum, the maximum and
the last point draw the same line as all its points would. A bin is two pixels wide, so a curve has at
most 2 · pixels vertices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from deepevent.store.blocks import Float64, Int64, Points
from deepevent.store.levels import Buckets, combine, first_of_each

PIXELS_PER_BIN = 2


@dataclass(frozen=True, slots=True)
class Vertices:
    """Points to draw, in the order of the axis.

    Attributes:
        steps: (V,) int64.
        times: (V,) float64.
        values: (V,) float64.
        means: (V,) the mean of the finite values of the bin that the vertex belongs to; None where no point
            was left out.
    """

    steps: Int64
    times: Float64
    values: Float64
    means: Float64 | None = None

    def select(self, wanted: npt.NDArray[np.bool_] | Int64) -> Vertices:
        """Return those that are wanted."""
        means = None if self.means is None else self.means[wanted]
        return Vertices(self.steps[wanted], self.times[wanted], self.values[wanted], means)


def newest_per_step(points: Points) -> Points:
    """Sort points, given in order of arrival, by step, and of those with one step keep the newest."""
    order = np.argsort(points.steps, kind="stable")
    steps = points.steps[order]
    newest = np.ones(len(steps), bool)
    newest[:-1] = steps[1:] != steps[:-1]
    order = order[newest]
    return Points(0, points.steps[order], points.times[order], points.values[order])


def bin_starts(x: Int64 | Float64, low: float, high: float, pixels: int) -> Int64:
    """Return where in `x`, which never falls, a new bin starts; bins without points are left out."""
    n_bins = max(1, pixels // PIXELS_PER_BIN)
    width = (high - low) / n_bins
    if width <= 0 or not len(x):
        return np.zeros(min(1, len(x)), np.int64)
    bins = np.minimum((x - low) / width, n_bins - 1).astype(np.int64)
    new = np.ones(len(bins), bool)
    new[1:] = bins[1:] > np.maximum.accumulate(bins)[:-1]
    return np.flatnonzero(new)


def thin_points(points: Points, x: Int64 | Float64, pixels: int) -> tuple[Int64, Float64]:
    """Choose what to draw of points whose `x` never falls.

    Returns: (V,) the positions of the vertices, and (V,) the mean of each one's bin.
    """
    starts = bin_starts(x, float(x[0]), float(x[-1]), pixels)
    ends = np.append(starts[1:], len(points))
    group = np.repeat(np.arange(len(starts)), ends - starts)
    values = np.where(np.isfinite(points.values), points.values, np.nan)
    corners = [starts, ends - 1]
    for pick in (np.fmin, np.fmax):
        extreme = pick.reduceat(values, starts)
        corners.append(first_of_each(values == extreme[group], group, starts))
    chosen = np.unique(np.concatenate(corners))
    finite = np.isfinite(points.values)
    n_finite = np.maximum(np.add.reduceat(finite, starts, dtype=np.int64), 1)
    # Divided before it is summed: the sum of many values near 1e308 would overflow.
    means = np.add.reduceat(np.where(finite, points.values, 0.0) / n_finite[group], starts)
    means = np.where(np.add.reduceat(finite, starts, dtype=np.int64) > 0, means, np.nan)
    return chosen, means[group[chosen]]


def thin_buckets(buckets: Buckets, axis: str, pixels: int) -> tuple[Buckets, Int64]:
    """Sum up buckets, whose `axis` (`step` or `time`) never falls, into one per bin.

    Returns: the bins, and where each starts in `buckets`.
    """
    x = buckets[f"first_{axis}"]
    starts = bin_starts(x, float(x[0]), float(buckets[f"last_{axis}"].max()), pixels)
    return combine(buckets, starts), starts


def vertices(bins: Buckets, axis: str) -> Vertices:
    """Return first, minimum, maximum and last of each bin, each point once, in the order of `axis`."""
    corners = ("first", "min", "max", "last")
    steps = _column(bins, [f"{corner}_step" for corner in corners])
    times = _column(bins, [f"{corner}_time" for corner in corners])
    values = _column(bins, list(corners))
    key = steps if axis == "step" else times
    order = np.argsort(key, axis=1, kind="stable")
    steps, times, values = (np.take_along_axis(column, order, 1) for column in (steps, times, values))
    keep = np.ones(steps.shape, bool)
    # Within a bin a point is known by its step, and its time where steps repeat.
    keep[:, 1:] = (steps[:, 1:] != steps[:, :-1]) | (times[:, 1:] != times[:, :-1])
    means = np.repeat(bins["mean"], keep.sum(axis=1))
    return Vertices(steps[keep], times[keep], values[keep], means)


def _column(bins: Buckets, names: list[str]) -> npt.NDArray[Any]:
    return np.stack([bins[name] for name in names], axis=1)
