"""The text of `/metrics`, in the form that Prometheus reads. One process's own, named by its number.

A server with several workers answers with the one that took the request, so every sample but the store's
carries `process`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from deepevent.store import schema
from deepevent.store.figures import Histogram

if TYPE_CHECKING:
    from deepevent_web.requests_seen import RequestsSeen
    from deepevent_web.services import Services
    from deepevent_web.tail import Tail

Labels = tuple[tuple[str, str], ...]


class Text:
    """Samples, one family after another."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._process = str(os.getpid())

    def store(self, name: str, kind: str, meaning: str, value: float) -> None:
        """A figure of the store: the same from every process."""
        self._head(name, kind, meaning)
        self._lines.append(f"deepevent_{name} {value:g}" if value % 1 else f"deepevent_{name} {int(value)}")

    def value(self, name: str, kind: str, meaning: str, value: float) -> None:
        """A figure of this process."""
        self.values(name, kind, meaning, {(): value})

    def values(self, name: str, kind: str, meaning: str, values: Mapping[Labels, float]) -> None:
        """Figures of this process that differ by labels."""
        self._head(name, kind, meaning)
        for labels, value in sorted(values.items()):
            self._sample(name, labels, value)

    def histogram(self, name: str, meaning: str, histogram: Histogram) -> None:
        """How often something took how long, cumulated as Prometheus wants it."""
        self._head(name, "histogram", meaning)
        below = 0
        for bound, count in zip((*histogram.bounds, float("inf")), tuple(histogram.counts), strict=True):
            below += count
            self._sample(
                f"{name}_bucket", (("le", "+Inf" if bound == float("inf") else f"{bound:g}"),), below
            )
        self._sample(f"{name}_sum", (), histogram.total)
        self._sample(f"{name}_count", (), below)

    def __str__(self) -> str:
        """All of it."""
        return "".join(f"{line}\n" for line in self._lines)

    def _head(self, name: str, kind: str, meaning: str) -> None:
        self._lines += [f"# HELP deepevent_{name} {meaning}", f"# TYPE deepevent_{name} {kind}"]

    def _sample(self, name: str, labels: Labels, value: float) -> None:
        named = ",".join(f'{key}="{label}"' for key, label in (("process", self._process), *labels))
        number = repr(float(value)) if value % 1 else str(int(value))
        self._lines.append(f"deepevent_{name}{{{named}}} {number}")


def text(here: Services, tail: Tail, seen: RequestsSeen) -> str:
    """All figures of this process, now."""
    told = Text()
    revision = here.db.revision()
    told.store("revision", "counter", "Commits so far", revision)
    told.store("points_dropped_by_clients", "gauge", "Points that scripts had no room for", _dropped(here))
    figures = here.committer.figures
    n_waiting, bytes_waiting = here.committer.waiting
    told.value("ingest_queue_batches", "gauge", "Batches that wait for their commit", n_waiting)
    told.value("ingest_queue_bytes", "gauge", "Their bytes", bytes_waiting)
    told.value("ingest_batches_total", "counter", "Batches answered", figures.batches)
    told.value("ingest_bytes_total", "counter", "Their bytes", figures.size_bytes)
    told.value("ingest_records_total", "counter", "Records of the batches acknowledged", figures.records)
    refused: dict[Labels, float] = {
        (("reason", reason),): count for reason, count in dict(figures.refused).items()
    }
    told.values("ingest_refused_total", "counter", "Batches not taken, by the reason", refused)
    told.histogram("ingest_lag_seconds", "From a batch's arrival to its durable answer", figures.lag)
    told.histogram("commit_seconds", "Of each transaction", figures.commit)
    told.value("pages_open", "gauge", "Pages with an open socket", here.seats.n_taken)
    told.value("watchers", "gauge", "Pages that the live path tells", tail.n_watchers)
    told.value("live_lag_revisions", "gauge", "Commits not told yet", max(0, revision - tail.revision))
    told.value("live_failures_total", "counter", "Failed rounds of the live path", tail.n_failures)
    told.value("pages_dropped_total", "counter", "Pages that read nothing for too long", tail.n_too_slow)
    answered: dict[Labels, float] = {
        (("method", method), ("status", str(status))): count
        for (method, status), count in seen.counts.items()
    }
    told.values("requests_total", "counter", "Requests answered", answered)
    told.value("threads", "gauge", "Threads of this process", threading.active_count())
    told.value("memory_bytes", "gauge", "Resident memory of this process", _resident())
    told.value("stopping", "gauge", "1 while no more events are taken", int(here.stopping.is_set()))
    return str(told)


def _dropped(here: Services) -> int:
    table = schema.runs
    with here.db.read() as connection:
        counted = connection.execute(sa.select(sa.func.sum(table.c.n_dropped)).where(table.c.n_dropped > 0))
        return int(counted.scalar() or 0)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
