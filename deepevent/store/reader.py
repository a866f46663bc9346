"""Reads ranges of one metric: points out of blocks, buckets out of levels, and finds places in them.

Knows the tables `blocks` and `levels`, and nothing of axes, pixels or smoothing. Indices count a
metric's points in order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from deepevent.store import schema
from deepevent.store.blocks import BLOCK_POINTS, Float64, Int64, Points, decode_floats, decode_steps
from deepevent.store.levels import (
    BUCKET,
    MAX_LEVEL,
    ROW_BUCKETS,
    Buckets,
    bucket_points,
    summarise,
    unpack,
)

_TIMELESS_COLUMNS = [
    schema.blocks.c[name] if name != "times" else sa.null()
    for name in ("metric_id", "first_index", "steps", "times", "values")
]
Mask = npt.NDArray[np.bool_]
LOOSE_BUCKETS = 8192  # that points without levels are gathered into
_BLOCK_COLUMNS = [schema.blocks.c[name] for name in ("metric_id", "first_index", "steps", "times", "values")]


@dataclass(frozen=True, slots=True)
class Cover:
    """Buckets that tile a range of points.

    Attributes:
        buckets: (B,) in order of arrival.
        ends: (B,) index behind each bucket's last point.
    """

    buckets: Buckets
    ends: Int64

    @staticmethod
    def join(parts: Sequence[Cover]) -> Cover:
        """Join parts that follow each other."""
        if len(parts) == 1:
            return parts[0]
        return Cover(
            np.concatenate([part.buckets for part in parts] or [np.empty(0, BUCKET)]),
            np.concatenate([part.ends for part in parts] or [np.empty(0, np.int64)]),
        )

    def slice(self, first: int, last: int) -> Cover:
        """Return the buckets `[first, last)` of these."""
        return Cover(self.buckets[first:last], self.ends[first:last])

    @property
    def starts(self) -> Int64:
        """(B,) index of each bucket's first point."""
        starts: Int64 = self.ends - self.buckets["count"]
        return starts


@dataclass(frozen=True, slots=True)
class Metric:
    """What a reader must know of a metric: columns of `metrics`."""

    id: int
    run_id: str
    name: str
    rank: int
    n_points: int
    n_compacted: int
    n_breaks: int
    times_ordered: bool


METRIC_COLUMNS = tuple(Metric.__dataclass_fields__)


class MetricReader:
    """One metric in one snapshot."""

    def __init__(self, connection: sa.Connection, metric: Metric) -> None:
        self._connection = connection
        self.metric = metric

    def points(self, start: int, stop: int, times: bool = True) -> Points:
        """Read the points with indices in `[start, stop)`; without `times`, these are all 0."""
        return read_range(self._connection, self.metric.id, start, stop, times)

    def near(self, axis: str, low: float, high: float, limit: int) -> tuple[Points | None, int, int]:
        """Read the points of all blocks that reach into `[low, high]` of `step` or `time`.

        Returns: the points in order of arrival, or None if they would be more than `limit`; and the range
        of indices that they lie in.
        """
        table = schema.blocks
        conditions = [
            table.c.metric_id == self.metric.id,
            table.c[f"max_{axis}"] >= low,
            table.c[f"min_{axis}"] <= high,
        ]
        first, last, n = self._connection.execute(
            sa.select(
                sa.func.min(table.c.first_index),
                sa.func.max(table.c.first_index + table.c.n),
                sa.func.sum(table.c.n),
            ).where(*conditions)
        ).one()
        if n is None:
            return Points.empty(), 0, 0
        if n > limit:
            return None, first, last
        rows = self._connection.execute(
            sa.select(*_BLOCK_COLUMNS).where(*conditions).order_by(table.c.first_index)
        )
        return Points.join([_points(row) for row in rows]), first, last

    def values(self, start: int, stop: int) -> Float64:
        """Read the values alone of the points with indices in `[start, stop)`."""
        table = schema.blocks
        rows = self._connection.execute(
            sa.select(table.c.first_index, table.c["values"])
            .where(*_in_range(self.metric.id, start, stop))
            .order_by(table.c.first_index)
        ).all()
        if not rows:
            return np.empty(0)
        first = rows[0][0]
        joined = np.concatenate([decode_floats(data) for _, data in rows])
        return joined[max(0, start - first) : stop - first]

    def buckets(self, level: int, start: int, stop: int) -> Buckets:
        """Read the buckets `[start, stop)` of a level, all of which exist."""
        table = schema.levels
        rows = self._connection.execute(
            sa.select(table.c.first_bucket, table.c.n, table.c.buckets)
            .where(
                table.c.metric_id == self.metric.id,
                table.c.level == level,
                table.c.first_bucket < stop,
                table.c.first_bucket > start - ROW_BUCKETS,
            )
            .order_by(table.c.first_bucket)
        ).all()
        if not rows or start >= stop:
            return np.empty(0, BUCKET)
        joined = np.concatenate([unpack(data, n) for _, n, data in rows])
        return joined[start - rows[0][0] : stop - rows[0][0]]

    def n_buckets(self, level: int) -> int:
        """Return how many buckets of a level exist."""
        return self.metric.n_compacted // bucket_points(level)

    def cover(self, start: int, stop: int, level: int) -> Cover:
        """Tile `[start, stop)` with buckets of `level`, finer ones at the edges, points at last.

        Level 0 are the points themselves.
        """
        if start >= stop:
            return Cover(np.empty(0, BUCKET), np.empty(0, np.int64))
        if level == 0:
            points = self.points(start, stop)
            # One bucket a point, unless the compaction is far behind.
            firsts = np.arange(0, len(points), 1 + len(points) // LOOSE_BUCKETS)
            ends = np.append(firsts[1:], len(points)) + start
            return Cover(summarise(points, firsts), ends)
        size = bucket_points(level)
        first, last = -(-start // size), min(stop // size, self.n_buckets(level))
        if first >= last:
            return self.cover(start, stop, level - 1)
        middle = Cover(self.buckets(level, first, last), np.arange(first + 1, last + 1) * size)
        return Cover.join(
            [self.cover(start, first * size, level - 1), middle, self.cover(last * size, stop, level - 1)]
        )

    def find(self, axis: str, value: float, start: int, stop: int, behind: bool = False) -> int:
        """Find the first index in `[start, stop)` whose step or time is >= `value` (> with `behind`).

        Args:
            axis: `step` or `time`; it must not fall within the range.
            value: to look for.
            start: of the range.
            stop: of the range; returned if no point of it is that far.
            behind: look for > instead of >=.
        """
        side: Literal["left", "right"] = "right" if behind else "left"
        for level in range(MAX_LEVEL, 0, -1):
            size = bucket_points(level)
            first, last = -(-start // size), min(stop // size, self.n_buckets(level))
            if first >= last:
                continue
            at = int(np.searchsorted(self.buckets(level, first, last)[f"last_{axis}"], value, side))
            if at < last - first:
                stop = (first + at + 1) * size
            if at > 0:
                start = (first + at) * size
        while stop - start > BLOCK_POINTS:
            # Points that are not in levels yet, of a metric that grows faster than it is compacted.
            middle = start + (stop - start) // 2
            point = self.points(middle, middle + 1)
            key = (point.steps if axis == "step" else point.times)[0]
            if key < value or (behind and key == value):
                start = middle + 1
            else:
                stop = middle + 1
        points = self.points(start, stop)
        return start + int(np.searchsorted(points.steps if axis == "step" else points.times, value, side))

    def refine(self, cover: Cover, level: int, wanted: Callable[[Buckets], Mask]) -> Cover:
        """Replace buckets that are `wanted` finer by those of the level below, down to points."""
        while level > 0:
            level -= 1
            finer = wanted(cover.buckets) & (cover.buckets["count"] > 1)
            if not finer.any():
                return cover
            edges = np.flatnonzero(np.diff(finer.astype(np.int8), prepend=0, append=0))
            parts, done = [], 0
            starts = cover.starts
            for first, last in edges.reshape(-1, 2).tolist():
                parts.append(cover.slice(done, first))
                parts.append(self.cover(int(starts[first]), int(cover.ends[last - 1]), level))
                done = last
            cover = Cover.join([*parts, cover.slice(done, len(finer))])
        return cover


def read_range(
    connection: sa.Connection, metric_id: int, start: int, stop: int, times: bool = True
) -> Points:
    """Read the points of a metric with indices in `[start, stop)`; without `times`, these are all 0."""
    rows = connection.execute(
        sa.select(*(_BLOCK_COLUMNS if times else _TIMELESS_COLUMNS))
        .where(*_in_range(metric_id, start, stop))
        .order_by(schema.blocks.c.first_index)
    )
    return Points.join([_points(row) for row in rows]).slice(start, stop)


def _in_range(metric_id: int, start: int, stop: int) -> list[sa.ColumnElement[bool]]:
    table = schema.blocks
    return [
        table.c.metric_id == metric_id,
        table.c.first_index < stop,
        table.c.first_index > start - BLOCK_POINTS,
    ]


def read_whole(connection: sa.Connection, metric_ids: Sequence[int]) -> dict[int, Points]:
    """Read all points of several short metrics in one statement."""
    table = schema.blocks
    rows = connection.execute(
        sa.select(*_BLOCK_COLUMNS)
        .where(table.c.metric_id.in_(metric_ids))
        .order_by(table.c.metric_id, table.c.first_index)
    )
    parts: dict[int, list[Points]] = {}
    for row in rows:
        parts.setdefault(row[0], []).append(_points(row))
    return {metric_id: Points.join(listed) for metric_id, listed in parts.items()}


def _points(row: Sequence[Any]) -> Points:
    _, first_index, steps, times, values = row
    decoded = decode_steps(steps)
    clock = np.zeros(len(decoded)) if times is None else decode_floats(times)
    return Points(first_index, decoded, clock, decode_floats(values))
