"""What each project may hold: runs, points, bytes. Beyond it nothing more is taken, and nothing is deleted.

What a project holds is counted in the store every REFRESH_S, so that several servers agree, and in between by
what this process takes: a project may end up a little above its quota. Bytes are those of compressed points
and of artifacts. A script that is refused keeps its records and goes on when there is room.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from deepevent.errors import QuotaExceeded, SettingsError
from deepevent.store import schema
from deepevent.store.connection import Database

REFRESH_S = 10.0
RETRY_AFTER_S = 60.0
EVERY = "*"
_SIZE = re.compile(r"([0-9]{1,15})(k|M|G|T)?B?\Z")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(slots=True)
class Holding:
    """How much there is, or may be; a quota that is None is no limit."""

    runs: int | None = None
    points: int | None = None
    bytes: int | None = None


KINDS = ("runs", "points", "bytes")


def read(texts: Iterable[str]) -> dict[str, Holding]:
    """Read quotas such as `faces:runs=100,points=10M,bytes=5GB`; the project `*` is each that has none.

    Raises:
        SettingsError: one of them is none, each named.
    """
    found: dict[str, Holding] = {}
    wrong = []
    for text in texts:
        project, _, rules = text.rpartition(":")
        quota = Holding()
        for rule in rules.split(","):
            kind, _, size = rule.partition("=")
            match = _SIZE.match(size)
            if kind not in KINDS or match is None or not project:
                wrong.append(f"--quota must be like faces:runs=100,points=10M,bytes=5GB, got {text!r}")
                break
            setattr(quota, kind, int(match[1]) * _UNITS[match[2] or ""])
        found[project] = quota
    if wrong:
        raise SettingsError("; ".join(wrong))
    return found


class Quotas:
    """Says whether a project may have more; used by one committer's thread and by request threads."""

    def __init__(self, db: Database, quotas: Mapping[str, Holding]) -> None:
        self._db = db
        self._quotas = dict(quotas)
        self._held: dict[str, Holding] = {}
        self._counted_at = float("-inf")

    def refresh(self) -> None:
        """Count again if it is time."""
        if self._quotas and time.monotonic() - self._counted_at > REFRESH_S:
            self._held = count(self._db, any(quota.bytes is not None for quota in self._quotas.values()))
            self._counted_at = time.monotonic()

    def take(self, project: str, runs: int = 0, points: int = 0) -> None:
        """Note that a project gets more.

        Raises:
            QuotaExceeded: it has as much as it may have, of what it would get more.
        """
        quota = self._quotas.get(project, self._quotas.get(EVERY))
        if quota is None:
            return
        held = self._held.setdefault(project, Holding(0, 0, 0))
        for kind, more in (("runs", runs), ("points", points), ("bytes", points)):
            limit, now = getattr(quota, kind), getattr(held, kind) or 0
            if more and limit is not None and now >= limit:
                raise QuotaExceeded(
                    f"the project {project!r} has {now:,} {kind}, and its quota is {limit:,}: delete or thin "
                    "runs, or ask for more",
                    RETRY_AFTER_S,
                )
        held.runs = (held.runs or 0) + runs
        held.points = (held.points or 0) + points


def count(db: Database, with_bytes: bool) -> dict[str, Holding]:
    """Return what each project holds."""
    runs, metrics, blocks, artifacts = schema.runs, schema.metrics, schema.blocks, schema.artifacts
    there = runs.c.deleted == sa.false()
    found: dict[str, Holding] = {}
    with db.read() as connection:
        made = sa.select(runs.c.project, sa.func.count()).where(there).group_by(runs.c.project)
        for project, n in connection.execute(made):
            found[project] = Holding(int(n), 0, 0)
        points = sa.func.sum(metrics.c.n_points)
        joined = runs.join(metrics, metrics.c.run_id == runs.c.id)
        for project, n in connection.execute(
            sa.select(runs.c.project, points).select_from(joined).where(there).group_by(runs.c.project)
        ):
            found[project].points = int(n or 0)
        if with_bytes:
            columns = (blocks.c[name] for name in ("steps", "times", "values"))
            length: Any = sum(map(sa.func.length, columns))
            deep = joined.join(blocks, blocks.c.metric_id == metrics.c.id)
            files = runs.join(artifacts, artifacts.c.run_id == runs.c.id)
            for query in (
                sa.select(runs.c.project, sa.func.sum(length)).select_from(deep),
                sa.select(runs.c.project, sa.func.sum(artifacts.c.size_bytes)).select_from(files),
            ):
                for project, n in connection.execute(query.where(there).group_by(runs.c.project)):
                    found[project].bytes = (found[project].bytes or 0) + int(n or 0)
    return found
