"""The axis of epochs: which epoch a step belongs to.

A step's epoch is the last one that the run logged at or before it (the reserved metric `epoch`);
nothing is interpolated, and a step before the first epoch has none. Of long runs only the places where
the epoch changes are read: a bucket whose minimum is its maximum has one epoch for all its points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from deepevent.store.blocks import Float64, Int64
from deepevent.store.drawing import Axis
from deepevent.store.levels import MAX_LEVEL, Buckets, nonfinite
from deepevent.store.reader import Metric, MetricReader
from deepevent.store.thinning import newest_per_step

FEW_POINTS = 1 << 17
_FEW_BUCKETS = 4096


@dataclass(frozen=True, slots=True)
class EpochAxis:
    """Where epochs begin.

    Attributes:
        steps: (E,) first step of each stretch with one epoch, rising.
        epochs: (E,) that epoch.
        start: first epoch to show, or None.
        stop: last epoch to show, or None.
    """

    steps: Int64
    epochs: Float64
    start: float | None
    stop: float | None

    def at(self, steps: Int64) -> Float64:
        """Return (N,) the epoch of each of the (N,) steps; NaN before the first."""
        if not len(self.steps):
            return np.full(len(steps), np.nan)
        where = np.searchsorted(self.steps, steps, "right") - 1
        return np.where(where >= 0, self.epochs[where], np.nan)

    def shows(self, epochs: Float64) -> npt.NDArray[np.bool_]:
        """Return which of the epochs lie in the range to show."""
        return self._inside(epochs)

    def axis(self, axis: Axis) -> Axis:
        """Return the axis of steps that holds the range of epochs to show."""
        inside = np.flatnonzero(self._inside(self.epochs))
        if not len(inside):
            return replace(axis, start=1, stop=0)
        behind = int(inside[-1]) + 1
        stop = int(self.steps[behind]) - 1 if behind < len(self.steps) else None
        return replace(axis, start=int(self.steps[inside[0]]), stop=stop)

    def _inside(self, epochs: Float64) -> npt.NDArray[np.bool_]:
        low = -math.inf if self.start is None else self.start
        high = math.inf if self.stop is None else self.stop
        inside: npt.NDArray[np.bool_] = (epochs >= low) & (epochs <= high)
        return inside


def read_epochs(
    connection: sa.Connection, metric: Metric | None, start: float | None, stop: float | None
) -> EpochAxis:
    """Read where epochs begin; `metric` is the run's metric `epoch`, if it has one."""
    if metric is None:
        return EpochAxis(np.empty(0, np.int64), np.empty(0), start, stop)
    reader = MetricReader(connection, metric)
    if metric.n_points <= FEW_POINTS or metric.n_breaks:
        points = newest_per_step(reader.points(0, metric.n_points, times=False))
        finite = np.isfinite(points.values)
        steps, epochs = points.steps[finite], points.values[finite]
    else:
        level = MAX_LEVEL
        while level > 1 and reader.n_buckets(level - 1) <= _FEW_BUCKETS:
            level -= 1
        cover = reader.refine(reader.cover(0, metric.n_compacted, level), level, _mixed)
        tail = reader.points(metric.n_compacted, metric.n_points, times=False)
        steps = np.concatenate([cover.buckets["first_step"], tail.steps])
        epochs = np.concatenate([cover.buckets["first"], tail.values])
        finite = np.isfinite(epochs)
        steps, epochs = steps[finite], epochs[finite]
    changes = np.ones(len(epochs), bool)
    changes[1:] = epochs[1:] != epochs[:-1]
    return EpochAxis(steps[changes], epochs[changes], start, stop)


def _mixed(buckets: Buckets) -> npt.NDArray[np.bool_]:
    mixed: npt.NDArray[np.bool_] = (buckets["min"] != buckets["max"]) | (nonfinite(buckets) > 0)
    return mixed
