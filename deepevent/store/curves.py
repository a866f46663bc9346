"""Reads curves at the resolution of a screen, and raw points.

A curve of up to 2 · pixels points is exact. A longer one is thinned (`thinning`): from its points up
to about half a million of them, beyond that from the coarsest level of detail with at least
2 · pixels buckets in range, so that its cost depends on the pixels and not on its length.

On the axes of steps and epochs a step is shown with its newest value; on the axes of time every
point stands where it was logged. How the order of arrival and that of the axis are brought together
is said in `drawing`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from deepevent.errors import QueryInvalid, RunNotFound
from deepevent.store import schema
from deepevent.store.blocks import Float64, Int64, Points
from deepevent.store.connection import Database, read_revision
from deepevent.store.drawing import Axis, Drawing, draw
from deepevent.store.epochs import EpochAxis, read_epochs
from deepevent.store.reader import METRIC_COLUMNS, Metric, MetricReader, read_range, read_whole
from deepevent.store.run_rows import require_run
from deepevent.store.smoothing import parse

QUERIES_LIMIT = 1000
PIXELS_LIMIT = 10_000
SHORT = 8192  # metrics of up to so many points are read many at a time
TOGETHER = 64  # how many of them
AxisName = Literal["step", "time", "relative", "epoch"]


@dataclass(frozen=True, slots=True)
class Query:
    """One curve that is wanted; without a rank, the lowest that the metric has."""

    run: str
    metric: str
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve as docs/api.md describes it.

    Attributes:
        run, metric, rank: of the query; the rank as it was found.
        n_points: how many of the metric's points the answer covers, in order of arrival.
        thinned: whether points were left out.
        x: (V,) float64, in the unit of the axis.
        step: (V,) int64.
        value: (V,) float64.
        smooth: (V,) float64, or None if no smoothing was asked for.
        mean: (V,) float64 if it is thinned: the mean of all points of the vertex's bin, the same for all
            vertices of one bin, so that a drawing can show it with the band from minimum to maximum.
        nonfinite: `{x, step, value}` of values that are NaN or infinite, at most 1,000 of them.
        n_nonfinite: how many there are in range.
    """

    run: str
    metric: str
    rank: int
    n_points: int
    thinned: bool
    x: Float64
    step: Int64
    value: Float64
    smooth: Float64 | None = None
    mean: Float64 | None = None
    nonfinite: list[dict[str, Any]] = field(default_factory=list)
    n_nonfinite: int = 0

    @property
    def columns(self) -> dict[str, Float64 | Int64]:
        """The columns that this curve has, by name."""
        columns: dict[str, Float64 | Int64] = {"x": self.x, "step": self.step, "value": self.value}
        more = {"smooth": self.smooth, "mean": self.mean}
        return columns | {name: column for name, column in more.items() if column is not None}


@dataclass(frozen=True, slots=True)
class CurveSet:
    """Curves in the order of their queries, read from one snapshot."""

    revision: int
    curves: list[Curve]


def read_curves(
    db: Database,
    queries: Sequence[Query],
    x: AxisName = "step",
    start: float | None = None,
    stop: float | None = None,
    pixels: int = 1000,
    smoothing: Mapping[str, Any] | None = None,
) -> CurveSet:
    """Read many curves.

    Args:
        db: the store.
        queries: at most QUERIES_LIMIT; what does not exist gives an empty curve.
        x: the axis: the step, the time (s since 1970), the time since the run started, or the epoch that
            was the last one logged at or before the step (points before the first epoch have none).
        start: first x to show, included.
        stop: last x to show, included.
        pixels: width of the drawing.
        smoothing: `{"kind": "ema", "weight": w}` for a debiased exponential moving average with a weight
            of the past in [0, 1), or `{"kind": "mean" or "median", "window": n}` for that of the latest n
            points.

    Raises:
        QueryInvalid: a parameter is out of range.
    """
    _check(queries, x, start, stop, pixels)
    smooth = None if smoothing is None else parse(smoothing)
    axis = Axis("step" if x in {"step", "epoch"} else "time", start, stop, pixels, smooth)
    with db.read() as connection:
        found = _find(connection, queries)
        begun = _starts(connection, queries) if x == "relative" else {}
        epochs: dict[tuple[str, int], EpochAxis] = {}
        curves: list[Curve] = []
        for first in range(0, len(queries), TOGETHER):
            part = queries[first : first + TOGETHER]
            metrics = [found.get((query.run, query.metric, query.rank)) for query in part]
            short = {metric.id for metric in metrics if metric is not None and metric.n_points <= SHORT}
            whole = read_whole(connection, sorted(short)) if short else {}
            for query, metric in zip(part, metrics, strict=True):
                if metric is None:
                    curves.append(_empty(query, smooth is not None))
                    continue
                reader = MetricReader(connection, metric)
                points = whole.get(metric.id)
                if x == "epoch":
                    key = (query.run, metric.rank)
                    if key not in epochs:
                        epochs[key] = read_epochs(connection, _find_epoch(connection, *key), start, stop)
                    drawn = draw(reader, epochs[key].axis(axis), points)
                    curves.append(_curve(query, metric, drawn, epochs[key]))
                else:
                    zero = begun.get(query.run, 0.0)
                    drawn = draw(reader, axis.moved(zero) if zero else axis, points)
                    curves.append(_curve(query, metric, drawn, None, axis.name, zero))
        return CurveSet(read_revision(connection), curves)


def read_points(
    db: Database, run_id: str, metric: str, rank: int = 0, after_index: int = 0, limit: int = 1 << 20
) -> Points:
    """Read raw points in order of arrival, from index `after_index` on, at most `limit` of them.

    Raises:
        RunNotFound: there is no such metric.
    """
    table = schema.metrics
    with db.read() as connection:
        row = connection.execute(
            sa.select(*(table.c[name] for name in METRIC_COLUMNS)).where(
                table.c.run_id == run_id, table.c.name == metric, table.c.rank == rank
            )
        ).first()
        if row is None:
            raise RunNotFound(f"there is no metric {metric!r} of rank {rank} in run {run_id!r}")
        require_run(connection, run_id)  # it may be on its way out
        found = Metric(*row)
        start = min(max(after_index, 0), found.n_points)
        return MetricReader(connection, found).points(start, min(found.n_points, start + limit))


def read_news(db: Database, starts: Mapping[tuple[str, str, int], int]) -> dict[tuple[str, str, int], Points]:
    """Read many series at once, in one snapshot: of each the raw points from an index on.

    Args:
        db: the store.
        starts: the first index wanted of each `(run_id, metric, rank)`.

    Returns: the points of those that there are, in order of arrival.
    """
    if not starts:
        return {}
    with db.read() as connection:
        found = _find(connection, [Query(*key) for key in starts])
        news = {}
        for key, start in starts.items():
            metric = found.get(key)
            if metric is not None:
                first = min(max(start, 0), metric.n_points)
                news[key] = MetricReader(connection, metric).points(first, metric.n_points)
        return news


def lowest_rank(db: Database, run_id: str, metric: str) -> int:
    """Return the rank that a reader means who names none: the lowest that has logged this metric.

    Raises:
        RunNotFound: there is no such metric.
    """
    with db.read() as connection:
        found = _find(connection, [Query(run_id, metric)]).get((run_id, metric, None))
    if found is None:
        raise RunNotFound(f"there is no metric {metric!r} in run {run_id!r}")
    return found.rank


def read_tail(connection: sa.Connection, metric_id: int, start: int, stop: int) -> Points:
    """Read the points `[start, stop)` of a metric by its id, for the live path, which has a snapshot open."""
    return read_range(connection, metric_id, start, stop)


def _find_epoch(connection: sa.Connection, run_id: str, rank: int) -> Metric | None:
    """Return the run's metric `epoch`: that of the rank, else of the lowest one."""
    found = _find(connection, [Query(run_id, "epoch", rank), Query(run_id, "epoch")])
    return found.get((run_id, "epoch", rank)) or found.get((run_id, "epoch", None))


def _check(
    queries: Sequence[Query],
    x: str,
    start: float | None,
    stop: float | None,
    pixels: int,
) -> None:
    if len(queries) > QUERIES_LIMIT:
        raise QueryInvalid(f"queries may be {QUERIES_LIMIT} at most, got {len(queries)}")
    if x not in {"step", "time", "relative", "epoch"}:
        raise QueryInvalid(f"x must be step, time, relative or epoch, got {x!r}")
    if not 1 <= pixels <= PIXELS_LIMIT:
        raise QueryInvalid(f"pixels must be 1 to {PIXELS_LIMIT}, got {pixels}")
    for name, bound in (("from", start), ("to", stop)):
        if bound is not None and math.isnan(bound):
            raise QueryInvalid(f"{name} must be a number, got NaN")


def _find(connection: sa.Connection, queries: Sequence[Query]) -> dict[tuple[str, str, int | None], Metric]:
    table = schema.metrics
    runs, names = {query.run for query in queries}, {query.metric for query in queries}
    rows = connection.execute(
        sa.select(*(table.c[name] for name in METRIC_COLUMNS)).where(
            table.c.run_id.in_(runs), table.c.name.in_(names)
        )
    )
    # Runs that are on their way out; as a condition `deleted` lures SQLite away from the primary key.
    marks = connection.execute(
        sa.select(schema.runs.c.id, schema.runs.c.deleted).where(schema.runs.c.id.in_(runs))
    )
    gone = {run_id for run_id, deleted in marks if deleted}
    found: dict[tuple[str, str, int | None], Metric] = {}
    for row in rows:
        metric = Metric(*row)
        if metric.run_id in gone:
            continue
        found[metric.run_id, metric.name, metric.rank] = metric
        lowest = found.get((metric.run_id, metric.name, None))
        if lowest is None or metric.rank < lowest.rank:
            found[metric.run_id, metric.name, None] = metric
    return found


def _starts(connection: sa.Connection, queries: Sequence[Query]) -> dict[str, float]:
    table = schema.runs
    rows = connection.execute(
        sa.select(table.c.id, sa.func.coalesce(table.c.started, table.c.created)).where(
            table.c.id.in_({query.run for query in queries})
        )
    )
    return {row[0]: row[1] for row in rows}


def _empty(query: Query, smooth: bool) -> Curve:
    return Curve(
        query.run,
        query.metric,
        query.rank or 0,
        0,
        False,
        np.empty(0),
        np.empty(0, np.int64),
        np.empty(0),
        np.empty(0) if smooth else None,
    )


def _curve(
    query: Query,
    metric: Metric,
    drawn: Drawing,
    epochs: EpochAxis | None,
    axis: str = "step",
    zero: float = 0.0,
) -> Curve:
    def place(steps: Int64, times: Float64) -> Float64:
        if epochs is not None:
            return epochs.at(steps)
        return steps.astype(np.float64) if axis == "step" else times - zero

    spots = drawn.nonfinite
    where = place(spots.steps, spots.times)
    points, smooth = drawn.vertices, drawn.smooth
    x = place(points.steps, points.times)
    if epochs is not None:
        shown, spots_shown = epochs.shows(x), epochs.shows(where)
        points, x = points.select(shown), x[shown]
        smooth = None if smooth is None else smooth[shown]
        spots, where = spots.select(spots_shown), where[spots_shown]
    return Curve(
        query.run,
        query.metric,
        metric.rank,
        metric.n_points,
        drawn.thinned,
        x,
        points.steps,
        points.values,
        smooth,
        points.means,
        [
            {"x": at, "step": step, "value": value}
            for at, step, value in zip(
                where.tolist(), spots.steps.tolist(), spots.values.tolist(), strict=True
            )
        ],
        drawn.n_nonfinite,
    )
