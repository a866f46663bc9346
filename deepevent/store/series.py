"""The running summary of one metric: what `metrics` holds beside the points. Pure.

A series is (run, name, rank): the same metric logged by two ranks is two series.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from deepevent.store.blocks import Points

_FEW = 8  # up to so many points plain Python is faster than NumPy


@dataclass(slots=True)
class Series:
    """One row of `metrics`, and the points that this transaction adds to it."""

    id: int
    run_id: str
    name: str
    rank: int
    ordinal: int
    n_points: int = 0
    first_step: int = 0
    last_step: int = -1
    last_time: float = -math.inf
    last: float = math.nan
    min: float = math.nan
    min_step: int | None = None
    max: float = math.nan
    max_step: int | None = None
    n_nan: int = 0
    n_positive_infinity: int = 0
    n_negative_infinity: int = 0
    n_breaks: int = 0
    times_ordered: bool = True
    fresh: list[Points] = field(default_factory=list)

    def absorb(self, points: Points) -> None:
        """Take points that follow those already summed up."""
        n = len(points)
        if self.n_points == 0:
            self.first_step = int(points.steps[0])
        if n <= _FEW:
            self._absorb_few(points)
        else:
            self._absorb_many(points)
        self.n_points += n
        self.last_step, self.last_time = int(points.steps[-1]), float(points.times[-1])
        self.last = float(points.values[-1])

    def _absorb_few(self, points: Points) -> None:
        step, time = self.last_step, self.last_time
        columns = (points.steps.tolist(), points.times.tolist(), points.values.tolist())
        for next_step, next_time, value in zip(*columns, strict=True):
            if next_step <= step:
                self.n_breaks += 1
            if next_time < time:
                self.times_ordered = False
            step, time = next_step, next_time
            if math.isfinite(value):
                self._widen(value, next_step, value, next_step)
            elif value != value:  # noqa: PLR0124 - NaN alone differs from itself
                self.n_nan += 1
            elif value > 0:
                self.n_positive_infinity += 1
            else:
                self.n_negative_infinity += 1

    def _absorb_many(self, points: Points) -> None:
        steps, times, values = points.steps, points.times, points.values
        self.n_breaks += int(steps[0] <= self.last_step) + int((steps[1:] <= steps[:-1]).sum())
        if times[0] < self.last_time or (times[1:] < times[:-1]).any():
            self.times_ordered = False
        finite = np.isfinite(values)
        if not finite.all():
            self.n_nan += int(np.isnan(values).sum())
            self.n_positive_infinity += int((values == np.inf).sum())
            self.n_negative_infinity += int((values == -np.inf).sum())
            steps, values = steps[finite], values[finite]
        if len(values):
            low, high = values.argmin(), values.argmax()
            self._widen(float(values[low]), int(steps[low]), float(values[high]), int(steps[high]))

    def _widen(self, low: float, low_step: int, high: float, high_step: int) -> None:
        if not self.min <= low:
            self.min, self.min_step = low, low_step
        if not self.max >= high:
            self.max, self.max_step = high, high_step


SUMMARY = (
    "n_points",
    "first_step",
    "last_step",
    "last_time",
    "last",
    "min",
    "min_step",
    "max",
    "max_step",
    "n_nan",
    "n_positive_infinity",
    "n_negative_infinity",
    "n_breaks",
    "times_ordered",
)
