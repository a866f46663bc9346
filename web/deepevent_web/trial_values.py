"""A metric's n-th value, as the pruner counts them: what a trial has reached after n looks at its metric.

Steps are no measure between trials: one script counts epochs, another batches. The n-th value is, and it
stays the same when a resumed run logs its last steps again: a step counts once, with its newest value. Of
long curves the pruner sees fewer and fewer values, the same numbers for all trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deepevent.errors import RunNotFound
from deepevent.store import curves

if TYPE_CHECKING:
    from deepevent.store.connection import Database

DENSE_VALUES = 64
"""Up to here every value is shown; from here on sixteen on the way to twice as many."""


class TrialValues:
    """The shown values of a metric that grows: `reports`, by their number, out of `n_points` points."""

    def __init__(self) -> None:
        self.n_points = 0
        self.reports: dict[int, float] = {}
        self._n_values = 0
        self._last_step = -1

    def read(self, db: Database, run: str, metric: str, rank: int) -> None:
        """Read on to the metric's end. A step that goes back changes what came before: all is read again."""
        try:
            while len((points := curves.read_points(db, run, metric, rank, self.n_points)).steps):
                self.n_points += len(points.steps)
                if not self._take(points.steps.tolist(), points.values.tolist()):
                    self._sort_out(db, run, metric, rank)
        except RunNotFound:
            return  # deleted between two reads

    def _take(self, steps: Sequence[int], values: Sequence[float]) -> bool:
        for step, value in zip(steps, values, strict=True):
            if step < self._last_step:
                return False
            if step > self._last_step:
                self._n_values += 1
                self._last_step = step
            if is_shown(self._n_values):
                self.reports[self._n_values] = value
        return True

    def _sort_out(self, db: Database, run: str, metric: str, rank: int) -> None:
        newest: dict[int, float] = {}
        self.n_points = 0
        while len((points := curves.read_points(db, run, metric, rank, self.n_points)).steps):
            newest.update(zip(points.steps.tolist(), points.values.tolist(), strict=True))
            self.n_points += len(points.steps)
        self._n_values, self._last_step = len(newest), max(newest)
        self.reports = {n: newest[step] for n, step in enumerate(sorted(newest), 1) if is_shown(n)}


def is_shown(n: int) -> bool:
    """Tell whether the pruner sees the n-th value."""
    return n <= DENSE_VALUES or n % (1 << ((n - 1).bit_length() - 5)) == 0
