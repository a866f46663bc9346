"""Answers "what changed after revision 41?", exactly, from one snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from deepevent.store import schema
from deepevent.store.connection import Database, read_revision
from deepevent.store.media import ALERT_COLUMNS, MEDIA_COLUMNS, media_dictionary


@dataclass(frozen=True, slots=True)
class MetricChange:
    """A metric that got points; it has `n_points` now."""

    metric_id: int
    run_id: str
    name: str
    rank: int
    n_points: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What was committed after a revision, up to `revision`.

    Attributes:
        runs: ids of runs that were made or changed (points alone do not change a run).
        deleted: ids of runs that were deleted.
        metrics: metrics that got points.
        media, alerts: new ones, as docs/api.md has them.
        jobs: numbers of jobs that were made or changed.
        sweeps: numbers of sweeps that were made or changed, or one of whose trials was.
        queue: whether agents came, went or changed, or the queue was paused or let go on.
        logs: of runs that printed something, how many lines there are now.
    """

    revision: int
    runs: list[str]
    deleted: list[str]
    metrics: list[MetricChange]
    media: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    jobs: list[int] = field(default_factory=list)
    queue: bool = False
    logs: dict[str, int] = field(default_factory=dict)
    sweeps: list[int] = field(default_factory=list)


def since(db: Database, revision: int) -> Changes:
    """Return all that was committed after `revision`."""
    runs, metrics, jobs, sweeps = schema.runs, schema.metrics, schema.jobs, schema.sweeps
    with db.read() as connection:
        newest = read_revision(connection)
        if newest <= revision:
            return Changes(newest, [], [], [], [], [])
        changed = connection.execute(
            sa.select(runs.c.id, runs.c.deleted).where(runs.c.revision > revision).order_by(runs.c.revision)
        ).all()
        grown = connection.execute(
            sa.select(metrics.c.id, metrics.c.run_id, metrics.c.name, metrics.c.rank, metrics.c.n_points)
            .where(metrics.c.revision > revision)
            .order_by(metrics.c.revision, metrics.c.id)
        ).all()
        media = connection.execute(
            sa.select(*MEDIA_COLUMNS).where(schema.media.c.revision > revision).order_by(schema.media.c.id)
        ).mappings()
        alerts = connection.execute(
            sa.select(*ALERT_COLUMNS).where(schema.alerts.c.revision > revision).order_by(schema.alerts.c.id)
        ).mappings()
        gone = {run_id for run_id, deleted in changed if deleted}  # their rows may still be on their way out
        printed = sa.select(runs.c.id, runs.c.n_logs).where(runs.c.logs_revision > revision)
        return Changes(
            newest,
            [run_id for run_id, deleted in changed if not deleted],
            [run_id for run_id, deleted in changed if deleted],
            [MetricChange(*row) for row in grown if row.run_id not in gone],
            [media_dictionary(row) for row in media if row["run"] not in gone],
            [dict(row) for row in alerts if row["run"] not in gone],
            list(connection.execute(sa.select(jobs.c.id).where(jobs.c.revision > revision)).scalars()),
            _queue_changed(connection, revision),
            {row.id: row.n_logs for row in connection.execute(printed) if row.id not in gone},
            list(connection.execute(sa.select(sweeps.c.id).where(sweeps.c.revision > revision)).scalars()),
        )


def _queue_changed(connection: sa.Connection, revision: int) -> bool:
    found = sa.union_all(
        *(
            sa.select(table.c.revision).where(table.c.revision > revision)
            for table in (schema.agents, schema.queue)
        )
    )
    return connection.execute(found.limit(1)).first() is not None
