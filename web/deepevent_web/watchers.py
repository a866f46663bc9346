"""What one browser watches, and how far it has been told.

No data waits here, only positions: whatever a browser has not been sent is read from the store when its
socket has room again. So a browser that stopped reading costs a few numbers and holds up nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from deepevent_web.limits import LIMITS
from deepevent_web.rates import Bucket

MAX_RUNS = 200
MAX_METRICS = 1000
MAX_PENDING = 2000
_ULID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}\Z")

SeriesKey = tuple[str, str, int]
"""Run id, metric name, rank."""


class WatchRefused(ValueError):
    """A `watch` message that cannot be followed."""


@dataclass(frozen=True)
class Watch:
    """The content of a `watch` message."""

    runs: frozenset[str] = frozenset()
    metrics: frozenset[str] | None = None
    after: int | None = None

    def wants(self, run: str, metric: str) -> bool:
        """Whether points of this metric are to be sent."""
        return run in self.runs and (self.metrics is None or metric in self.metrics)


def read_watch(message: object) -> Watch:
    """Check a `watch` message.

    Raises:
        WatchRefused: with one sentence.
    """
    if not isinstance(message, dict):
        raise WatchRefused("watch takes an object {runs, metrics, after}")
    unknown = set(message) - {"runs", "metrics", "after"}
    if unknown:
        raise WatchRefused(f"watch has no field {sorted(map(str, unknown))[0][:80]!r}")
    runs = message.get("runs", [])
    if not isinstance(runs, list) or len(runs) > MAX_RUNS:
        raise WatchRefused(f"runs must be a list of at most {MAX_RUNS} run ids")
    if not all(isinstance(run, str) and _ULID.match(run) for run in runs):
        raise WatchRefused("a run id has 26 characters")
    metrics = message.get("metrics")
    if metrics is not None and (
        not isinstance(metrics, list)
        or len(metrics) > MAX_METRICS
        or not all(isinstance(name, str) and len(name) <= 250 for name in metrics)
    ):
        raise WatchRefused(f"metrics must be null or a list of at most {MAX_METRICS} names")
    after = message.get("after")
    if after is not None and (type(after) is not int or not 0 <= after < 2**53):
        raise WatchRefused("after must be null or a revision")
    return Watch(frozenset(runs), None if metrics is None else frozenset(metrics), after)


class Outlet(Protocol):
    """The way to one browser."""

    def waiting(self) -> int:
        """Messages that its socket has not taken yet."""
        ...

    def send(self, event: str, *arguments: Any) -> None:
        """Put a message into its queue."""
        ...

    def close(self, reason: str) -> None:
        """Say why, and hang up."""
        ...


@dataclass
class Watcher:
    """One connected browser."""

    sid: str
    outlet: Outlet
    secret: tuple[str, bool]
    watch: Watch = field(default_factory=Watch)
    told: dict[SeriesKey, int] = field(default_factory=dict)
    pending: dict[SeriesKey, int] = field(default_factory=dict)
    runs: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    media: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    jobs: set[int] = field(default_factory=set)
    sweeps: set[int] = field(default_factory=set)
    logs: dict[str, int] = field(default_factory=dict)
    queue: bool = False
    overflowed: bool = False
    blocked_since: float | None = None
    messages: Bucket = field(default_factory=lambda: Bucket(200, LIMITS.messages_per_second))
    watches: Bucket = field(default_factory=lambda: Bucket(20, 4))

    def has_news(self) -> bool:
        """Whether something is to be sent."""
        waiting = (self.pending, self.runs, self.deleted, self.media, self.alerts, self.jobs)
        return any(waiting) or bool(self.sweeps or self.logs) or self.queue or self.overflowed

    def note_runs(self, changed: set[str], deleted: set[str]) -> None:
        """Runs that changed or went; beyond a bound the browser is told to ask anew."""
        self.runs |= changed
        self.deleted |= deleted
        if len(self.runs) + len(self.deleted) > MAX_PENDING:
            self.overflow()

    def note_items(self, media: list[dict[str, Any]], alerts: list[dict[str, Any]]) -> None:
        """New media of watched runs, and alerts."""
        self.media.extend(media)
        self.alerts.extend(alerts)
        if len(self.media) + len(self.alerts) > MAX_PENDING:
            self.overflow()

    def note_jobs(self, changed: set[int], sweeps: set[int], queue: bool) -> None:
        """Jobs and sweeps that changed, and whether agents or the queue itself did."""
        self.jobs |= changed
        self.sweeps |= sweeps
        self.queue = self.queue or queue
        if len(self.jobs) + len(self.sweeps) > MAX_PENDING:
            self.overflow()

    def note_logs(self, lengths: dict[str, int]) -> None:
        """Watched runs that printed something; the lines themselves are fetched by who shows them."""
        self.logs |= {run: n for run, n in lengths.items() if run in self.watch.runs}

    def overflow(self) -> None:
        """Forget all details: the browser fetches afresh."""
        self.runs.clear()
        self.deleted.clear()
        self.media.clear()
        self.alerts.clear()
        self.jobs.clear()
        self.sweeps.clear()
        self.queue = False
        self.overflowed = True
