"""Counts and times that the committer keeps of itself, for whoever watches the server."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Histogram:
    """How often something took how long; written by one thread, read by any.

    Attributes:
        bounds: upper ends, in seconds; one more bucket has what is above.
        counts: of each bucket alone.
        total: the sum of all.
    """

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def note(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


@dataclass
class IngestFigures:
    """What a committer has done since it was started.

    Attributes:
        commit: from the begin of a transaction until it was durable.
        lag: from a batch's arrival until its answer: what a point waits for in the server.
        batches: answered, of whatever kind.
        size_bytes: of their bodies.
        records: that were committed.
        refused: batches that were not taken, by the reason.
    """

    commit: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    batches: int = 0
    size_bytes: int = 0
    records: int = 0
    refused: Counter[str] = field(default_factory=Counter)
