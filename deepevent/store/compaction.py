"""Merges short blocks into full ones and writes levels of detail; readers see no difference.

Fresh commits leave a short block per metric and transaction. A call looks at the metrics with the
most of them and rewrites what lies behind their last full block: full blocks of 4,096 points, one
short one for the rest, and the buckets of all levels that the full blocks complete. A transaction
rewrites one metric, or TRANSACTION_POINTS of it, so that ingest never waits long for the lock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from deepevent.store import schema
from deepevent.store.blocks import BLOCK_POINTS, Points, encode
from deepevent.store.connection import Database
from deepevent.store.levels import (
    FAN_OUT,
    MAX_LEVEL,
    ROW_BUCKETS,
    Buckets,
    bucket_points,
    coarsen,
    pack,
    regular,
)
from deepevent.store.reader import METRIC_COLUMNS, Metric, MetricReader, read_range

MANY_SHORT_BLOCKS = 32
IDLE_S = 60.0
TRANSACTION_POINTS = 1 << 18  # about a tenth of a second with the write lock held


@dataclass(frozen=True, slots=True)
class Report:
    """What one call did.

    Attributes:
        metrics: how many were rewritten.
        points: how many points were.
        more: whether work is left that another call would do.
    """

    metrics: int
    points: int
    more: bool


def compact(
    db: Database,
    min_short_blocks: int = MANY_SHORT_BLOCKS,
    max_metrics: int = 64,
    max_points: int = 1 << 20,
    now: float | None = None,
) -> Report:
    """Do a bounded amount of merging.

    Args:
        db: the store.
        min_short_blocks: metrics with fewer are left alone, unless nothing was logged to them for
            IDLE_S; 2 merges all there is.
        max_metrics: of one call.
        max_points: of one call.
        now: seconds since 1970.
    """
    idle_before = (time.time() if now is None else now) - IDLE_S
    table = schema.metrics
    ripe = sa.or_(
        table.c.n_short_blocks >= min_short_blocks,
        # One block of 4,096 points or more may wait for its levels alone.
        table.c.n_points - table.c.n_compacted >= BLOCK_POINTS * min_short_blocks,
        sa.and_(
            table.c.last_time < idle_before,
            sa.or_(table.c.n_short_blocks >= 2, table.c.n_points - table.c.n_compacted >= BLOCK_POINTS),
        ),
    )
    with db.read() as connection:
        waiting = list(
            connection.execute(
                sa.select(table.c.id)
                .where(table.c.n_short_blocks >= 1, ripe)
                .order_by(table.c.n_short_blocks.desc())
                .limit(max_metrics + 1)
            ).scalars()
        )
    n_metrics = n_points = 0
    unfinished = len(waiting) > max_metrics
    for metric_id in waiting[:max_metrics]:
        if n_points >= max_points:
            unfinished = True
            break
        n_metrics += 1
        whole = False
        while not whole and n_points < max_points:
            points, whole = _compact_metric(db, metric_id, min(TRANSACTION_POINTS, max_points - n_points))
            n_points += points
        unfinished = unfinished or not whole
    return Report(n_metrics, n_points, unfinished)


def _compact_metric(db: Database, metric_id: int, max_points: int) -> tuple[int, bool]:
    table = schema.metrics
    with db.write() as connection:
        row = connection.execute(
            sa.select(*(table.c[name] for name in METRIC_COLUMNS)).where(table.c.id == metric_id)
        ).first()
        if row is None:
            return 0, True
        metric = Metric(*row)
        start = metric.n_compacted
        # In one call at least one full block, so that every call gets ahead.
        stop = min(metric.n_points, start + max(max_points, BLOCK_POINTS) // BLOCK_POINTS * BLOCK_POINTS)
        n_full = (stop - start) // BLOCK_POINTS
        behind = read_range(connection, metric_id, start, _block_end(connection, metric_id, stop))
        blocks = schema.blocks
        connection.execute(
            sa.delete(blocks).where(
                blocks.c.metric_id == metric_id,
                blocks.c.first_index >= start,
                blocks.c.first_index < behind.first_index + len(behind),
            )
        )
        full = behind.slice(start, start + n_full * BLOCK_POINTS)
        write_blocks(connection, metric, behind, full)
        short = connection.execute(
            sa.select(sa.func.count()).where(
                blocks.c.metric_id == metric_id, blocks.c.first_index >= start + len(full)
            )
        ).scalar_one()
        connection.execute(
            sa.update(table)
            .where(table.c.id == metric_id)
            .values(n_compacted=start + len(full), n_short_blocks=short)
        )
    return len(behind), stop == metric.n_points


def write_blocks(connection: sa.Connection, metric: Metric, points: Points, full: Points) -> None:
    """Insert points that follow the metric's compacted ones, in blocks as large as may be, and their levels.

    Args:
        connection: of a write transaction.
        metric: as it is before.
        points: all of them, from `metric.n_compacted` on.
        full: those of them that fill blocks.
    """
    end = points.first_index + len(points)
    connection.execute(
        sa.insert(schema.blocks),
        [
            _block_row(metric.id, points.slice(at, at + BLOCK_POINTS))
            for at in range(points.first_index, end, BLOCK_POINTS)
        ],
    )
    if len(full):
        _write_levels(connection, metric, full)


def _block_end(connection: sa.Connection, metric_id: int, index: int) -> int:
    """Return where the block ends that holds the point before `index`."""
    blocks = schema.blocks
    end = connection.execute(
        sa.select(sa.func.max(blocks.c.first_index + blocks.c.n)).where(
            blocks.c.metric_id == metric_id, blocks.c.first_index < index
        )
    ).scalar_one()
    return int(end)


def _block_row(metric_id: int, points: Points) -> dict[str, int | float | bytes]:
    thorough = len(points) == BLOCK_POINTS
    return {
        "metric_id": metric_id,
        "first_index": points.first_index,
        "n": len(points),
        "min_step": int(points.steps.min()),
        "max_step": int(points.steps.max()),
        "min_time": float(points.times.min()),
        "max_time": float(points.times.max()),
        "steps": encode(points.steps, thorough),
        "times": encode(points.times, thorough),
        "values": encode(points.values, thorough),
    }


def _write_levels(connection: sa.Connection, metric: Metric, full: Points) -> None:
    """Add the buckets that `full`, whole blocks behind the compacted ones, completes on every level."""
    reader = MetricReader(connection, metric)
    fresh = regular(full)
    for level in range(1, MAX_LEVEL + 1):
        before = metric.n_compacted // bucket_points(level)
        if level > 1:
            # What the level below has beyond the last bucket of this one, older ones included.
            below = metric.n_compacted // bucket_points(level - 1)
            waiting = reader.buckets(level - 1, before * FAN_OUT, below)
            joined = np.concatenate([waiting, fresh])
            fresh = (
                coarsen(joined[: len(joined) // FAN_OUT * FAN_OUT]) if len(joined) >= FAN_OUT else joined[:0]
            )
        if not len(fresh):
            return
        _append_buckets(connection, reader, level, before, fresh)


def _append_buckets(
    connection: sa.Connection, reader: MetricReader, level: int, before: int, fresh: Buckets
) -> None:
    row_start = before // ROW_BUCKETS * ROW_BUCKETS
    joined = np.concatenate([reader.buckets(level, row_start, before), fresh])
    table = schema.levels
    metric_id = reader.metric.id
    connection.execute(
        sa.delete(table).where(
            table.c.metric_id == metric_id, table.c.level == level, table.c.first_bucket == row_start
        )
    )
    connection.execute(
        sa.insert(table),
        [
            {
                "metric_id": metric_id,
                "level": level,
                "first_bucket": row_start + at,
                "n": len(part),
                "buckets": pack(part),
            }
            for at in range(0, len(joined), ROW_BUCKETS)
            for part in [joined[at : at + ROW_BUCKETS]]
        ],
    )
