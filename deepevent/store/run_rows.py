"""Turns rows of runs and metrics into the dictionaries of docs/api.md. Knows no filters and no pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from deepevent.errors import RunNotFound
from deepevent.store import schema

METRICS_SHOWN = 50  # of a run in a list, unless some are asked for by name
Row = dict[str, Any]

RUN_COLUMNS = [
    schema.runs.c[name]
    for name in (
        "id",
        "name",
        "project",
        "status",
        "group",
        "notes",
        "created",
        "started",
        "finished",
        "heartbeat",
        "host",
        "archived",
        "config",
        "summary",
        "n_media",
        "n_logs",
    )
]
METRIC_COLUMNS = [
    schema.metrics.c[name]
    for name in (
        "name",
        "rank",
        "n_points",
        "first_step",
        "last_step",
        "last",
        "last_time",
        "min",
        "min_step",
        "max",
        "max_step",
        "n_nan",
        "n_positive_infinity",
        "n_negative_infinity",
    )
]


def read_runs(connection: sa.Connection, run_ids: Sequence[str], metrics: Sequence[str] | None) -> list[Row]:
    """Return those of the runs that exist, in the order of their ids.

    Args:
        connection: with a snapshot open.
        run_ids: each once.
        metrics: names to show; None shows each run's first METRICS_SHOWN.
    """
    # `deleted` is tested here: as a condition it lures SQLite away from the primary key.
    rows = connection.execute(
        sa.select(*RUN_COLUMNS, schema.runs.c.deleted).where(schema.runs.c.id.in_(run_ids))
    ).mappings()
    kept = [row for row in rows if not row["deleted"]]
    found = {row["id"]: row for row in run_dictionaries(connection, kept, metrics)}
    return [found[run_id] for run_id in run_ids if run_id in found]


def run_dictionaries(
    connection: sa.Connection, rows: Sequence[Any], metrics: Sequence[str] | None
) -> list[Row]:
    """Return rows of RUN_COLUMNS with their tags and metrics."""
    ids = [row["id"] for row in rows]
    tags: dict[str, list[str]] = {run_id: [] for run_id in ids}
    table = schema.run_tags
    found: Any = connection.execute(
        sa.select(table.c.run_id, table.c.tag).where(table.c.run_id.in_(ids)).order_by(table.c.tag)
    )
    for run_id, tag in found:
        tags[run_id].append(tag)
    table = schema.trash
    trashed: dict[str, Row] = {
        run_id: {"time": time, "by": actor}
        for run_id, time, actor in connection.execute(sa.select(table).where(table.c.run_id.in_(ids)))
    }
    table = schema.metrics
    wanted = sa.select(table.c.run_id, *METRIC_COLUMNS).where(table.c.run_id.in_(ids))
    if metrics is None:
        wanted = wanted.where(table.c.ordinal < METRICS_SHOWN)
    else:
        wanted = wanted.where(table.c.name.in_(list(metrics)))
    summaries: dict[str, dict[str, Row]] = {run_id: {} for run_id in ids}
    for run_id, *metric in connection.execute(wanted.order_by(table.c.ordinal)):
        shown = summaries[run_id].get(metric[0])
        if shown is None or metric[1] < shown["rank"]:  # of several ranks, the lowest
            summaries[run_id][metric[0]] = metric_dictionary(metric)
    return [
        _run_dictionary(row, tags[row["id"]], summaries[row["id"]]) | {"trashed": trashed.get(row["id"])}
        for row in rows
    ]


def _run_dictionary(row: Any, tags: list[str], metrics: dict[str, Row]) -> Row:
    run = {column.name: row[column.name] for column in RUN_COLUMNS}
    run["tags"] = tags
    run["config"], run["summary"] = json.loads(row["config"]), json.loads(row["summary"])
    start = row["created"] if row["started"] is None else row["started"]
    end = next(value for value in (row["finished"], row["heartbeat"], row["created"]) if value is not None)
    run["duration_s"] = end - start
    run["metrics"] = metrics
    return run


def metric_dictionary(row: Sequence[Any]) -> Row:
    """Return a row of METRIC_COLUMNS."""
    name, rank, n, first_step, last_step, last, last_time, low, low_step, high, high_step, *counts = row
    return {
        "name": name,
        "rank": rank,
        "n": n,
        "first_step": first_step,
        "last_step": last_step,
        "last": last,
        "last_time": last_time,
        "min": low,
        "min_step": low_step,
        "max": high,
        "max_step": high_step,
        "n_nan": counts[0],
        "n_positive_infinity": counts[1],
        "n_negative_infinity": counts[2],
    }


def require_run(connection: sa.Connection, run_id: str) -> None:
    """Check that a run exists.

    Raises:
        RunNotFound: there is none.
    """
    found = connection.execute(
        sa.select(schema.runs.c.id).where(schema.runs.c.id == run_id, schema.runs.c.deleted == sa.false())
    ).first()
    if found is None:
        raise RunNotFound(f"there is no run {run_id!r}")
