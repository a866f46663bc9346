"""What is kept of old runs, when somebody asks: finds them, deletes them, or thins their curves.

Nothing here runs by itself. Thinning keeps of each GROUP points in order of arrival the first, the lowest,
the highest and the last, at their own steps and times, and every NaN and infinity: a curve is drawn from far
as it was, with a sixtieth of its points. What a resumed run has logged again is put in its place first. The
run gets the tag `thinned`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from deepevent.store import audit, schema
from deepevent.store.blocks import BLOCK_POINTS, Int64, Points
from deepevent.store.compaction import write_blocks
from deepevent.store.connection import Database, next_revision
from deepevent.store.deletion import delete_run
from deepevent.store.jobs import ENDED
from deepevent.store.levels import first_of_each
from deepevent.store.reader import METRIC_COLUMNS, Metric, read_range
from deepevent.store.series import SUMMARY, Series
from deepevent.store.thinning import newest_per_step

GROUP = 256
FEW_POINTS = 4 * GROUP
"""Metrics with fewer are left as they are."""
PIECE_POINTS = 1 << 20
WHOLE_LIMIT_POINTS = 20_000_000
"""Up to so many points a metric whose steps go back is put in order in memory; a longer one is left alone."""
TAG = "thinned"
ACTOR = "deepevent prune"


@dataclass(frozen=True, slots=True)
class OldRun:
    """A run that a rule is about.

    Attributes:
        id, name, project, status: of the run.
        ended: when it finished, or was last heard of; seconds since 1970.
        n_points: of all its metrics.
    """

    id: str
    name: str
    project: str
    status: str
    ended: float
    n_points: int


def find(
    db: Database,
    before: float,
    *,
    project: str | None = None,
    filter: str | None = None,
    keep_tagged: bool = False,
    keep_thinned: bool = False,
) -> list[OldRun]:
    """Return the runs that ended before a moment, the oldest first.

    Runs that are running, that lie in the trash, or whose job may yet go on are never among them.

    Args:
        db: the store.
        before: seconds since 1970.
        project: only its runs.
        filter: only those that this lets through, in the language of `query`.
        keep_tagged: leave out runs with any tag but `thinned`.
        keep_thinned: leave out runs that are thinned already.

    Raises:
        FilterError: in `filter`.
    """
    runs, tags, jobs = schema.runs, schema.run_tags, schema.jobs
    ended = sa.func.coalesce(runs.c.finished, runs.c.heartbeat, runs.c.created)
    points = (
        sa.select(sa.func.coalesce(sa.func.sum(schema.metrics.c.n_points), 0))
        .where(schema.metrics.c.run_id == runs.c.id)
        .scalar_subquery()
    )
    wanted = [
        runs.c.deleted == sa.false(),
        runs.c.status != "running",
        ended < before,
        ~sa.exists().where(schema.trash.c.run_id == runs.c.id),
        ~sa.exists().where(jobs.c.run_id == runs.c.id, jobs.c.state.not_in(ENDED)),
    ]
    if project is not None:
        wanted.append(runs.c.project == project)
    if filter is not None and filter.strip():
        from deepevent.store.query import parse_filter

        wanted.append(parse_filter(filter))
    if keep_tagged:
        wanted.append(~sa.exists().where(tags.c.run_id == runs.c.id, tags.c.tag != TAG))
    if keep_thinned:
        wanted.append(~sa.exists().where(tags.c.run_id == runs.c.id, tags.c.tag == TAG))
    query = sa.select(runs.c.id, runs.c.name, runs.c.project, runs.c.status, ended, points)
    with db.read() as connection:
        return [OldRun(*row) for row in connection.execute(query.where(*wanted).order_by(ended, runs.c.id))]


def remove(db: Database, run: OldRun) -> None:
    """Delete a run for good, and note it in the audit log.

    Raises:
        RunNotFound: somebody else has deleted it.
    """
    delete_run(db, run.id)
    audit.record(db, ACTOR, "run deleted", f"{run.id} {run.name}")


def thin(db: Database, run: OldRun) -> int:
    """Thin a run's metrics; return how many points went.

    A metric is rewritten in one transaction, so whoever reads sees it before or after. `epoch` stays whole:
    it says where the axis of epochs has its marks.
    """
    table = schema.metrics
    with db.read() as connection:
        metrics = [
            Metric(*row)
            for row in connection.execute(
                sa.select(*(table.c[name] for name in METRIC_COLUMNS)).where(
                    table.c.run_id == run.id, table.c.name != "epoch", table.c.n_points > FEW_POINTS
                )
            )
        ]
    gone = sum(_thin_metric(db, metric) for metric in metrics)
    tags = schema.run_tags
    with db.write() as connection:
        there = sa.select(tags.c.tag).where(tags.c.run_id == run.id, tags.c.tag == TAG)
        if connection.execute(there).first() is None:
            connection.execute(sa.insert(tags).values(run_id=run.id, tag=TAG))
        connection.execute(
            sa.update(schema.runs)
            .where(schema.runs.c.id == run.id)
            .values(revision=next_revision(connection))
        )
        audit.note(connection, None, ACTOR, "run thinned", f"{run.id} {run.name}: {gone} points")
    return gone


def choose(points: Points) -> Int64:
    """Return the positions of the points that thinning keeps, rising."""
    n = len(points)
    starts = np.arange(0, n, GROUP)
    ends = np.append(starts[1:], n)
    group = np.repeat(np.arange(len(starts)), ends - starts)
    finite = np.isfinite(points.values)
    values = np.where(finite, points.values, np.nan)
    kept = [starts, ends - 1, np.flatnonzero(~finite)]
    for pick in (np.fmin, np.fmax):
        extreme = pick.reduceat(values, starts)
        kept.append(first_of_each(values == extreme[group], group, starts))
    chosen: Int64 = np.unique(np.concatenate(kept))
    return chosen


def _thin_metric(db: Database, metric: Metric) -> int:
    kept = _read_thinned(db, metric)
    if kept is None or len(kept) >= metric.n_points:
        return 0
    series = Series(metric.id, metric.run_id, metric.name, metric.rank, 0)
    series.absorb(kept)
    table, n_full = schema.metrics, len(kept) // BLOCK_POINTS * BLOCK_POINTS
    row: dict[str, Any] = {name: getattr(series, name) for name in SUMMARY}
    with db.write() as connection:
        now = connection.execute(sa.select(table.c.n_points).where(table.c.id == metric.id)).scalar()
        if now != metric.n_points:
            return 0  # the run goes on after all
        for piece in (schema.blocks, schema.levels):
            connection.execute(sa.delete(piece).where(piece.c.metric_id == metric.id))
        fresh = Metric(
            metric.id,
            metric.run_id,
            metric.name,
            metric.rank,
            len(kept),
            0,
            series.n_breaks,
            series.times_ordered,
        )
        write_blocks(connection, fresh, kept, kept.slice(0, n_full))
        row |= {
            "n_compacted": n_full,
            "n_short_blocks": int(len(kept) > n_full),
            "revision": next_revision(connection),
        }
        connection.execute(sa.update(table).where(table.c.id == metric.id).values(row))
    return metric.n_points - len(kept)


def _read_thinned(db: Database, metric: Metric) -> Points | None:
    """Read a metric piece by piece, each thinned at once; None if it is too long to be put in order."""
    if metric.n_breaks and metric.n_points > WHOLE_LIMIT_POINTS:
        return None
    step = metric.n_points if metric.n_breaks else PIECE_POINTS
    pieces = []
    for start in range(0, metric.n_points, step):
        with db.read() as connection:
            points = read_range(connection, metric.id, start, start + step)
        if metric.n_breaks:
            points = newest_per_step(points)
        chosen = choose(points)
        pieces.append((points.steps[chosen], points.times[chosen], points.values[chosen]))
    steps, times, values = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    return Points(0, steps, times, values)
