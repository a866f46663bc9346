"""Groups of runs by any key, with mean and spread of chosen metrics over each: seeds side by side.

A run counts once in each group that it belongs to; several tags put it into several. Knows the tables and
the names of `query`, and nothing of pages.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from deepevent.errors import FilterError
from deepevent.store import schema
from deepevent.store.connection import Database
from deepevent.store.query import Field, parse_field
from deepevent.store.run_rows import Row
from deepevent.store.runs import listed

RUNS_LIMIT = 20_000
GROUPS_LIMIT = 500
IDS_SHOWN = 50
Key = str | float | None
"""A group's key; None: the runs that have none."""


@dataclass(slots=True)
class _Group:
    key: Key
    runs: list[str] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grouping:
    """Groups as docs/api.md has them.

    Attributes:
        groups: by key, numbers before texts, runs without the key last.
        n_groups: how many there are; GROUPS_LIMIT of them are in `groups`.
        n_runs: how many runs were looked at.
        truncated: whether older runs were left out.
    """

    groups: list[Row]
    n_groups: int
    n_runs: int
    truncated: bool


def group_runs(
    db: Database,
    by: str,
    metrics: Sequence[tuple[str, str]] = (),
    filter: str | None = None,
    among: str = "all",
) -> Grouping:
    """Group runs.

    Args:
        db: the store.
        by: a name of the filter language: `group`, `tags`, `project`, `status`, `config.lr`, …
        metrics: pairs of a metric's name and `last`, `min` or `max`.
        filter: as for `runs.list_runs`.
        among: likewise.

    Raises:
        FilterError: in `by` or `filter`.
    """
    key = parse_field(by)
    condition = listed(filter, among)
    columns, source = _key_columns(key)
    runs = schema.runs
    wanted = (
        sa.select(runs.c.id, runs.c.status, *columns)
        .select_from(source)
        .where(condition)
        .order_by(runs.c.created.desc(), runs.c.id.desc())
        .limit(RUNS_LIMIT + 1)
    )
    found: dict[Key, _Group] = {}
    with db.read() as connection:
        rows = connection.execute(wanted).all()
        for run_id, status, *parts in rows[:RUNS_LIMIT]:
            value = next((part for part in parts if part not in (None, "")), None)
            group = found.setdefault(value, _Group(value))
            group.runs.append(run_id)
            group.statuses[status] = group.statuses.get(status, 0) + 1
        values = [_metric_values(connection, name, what, condition) for name, what in metrics]
    ordered = sorted(found.values(), key=lambda group: _order(group.key))
    groups = [
        {
            "key": group.key,
            "filter": _filter_of(key, by, group.key),
            "n": len(group.runs),
            "runs": group.runs[:IDS_SHOWN],
            "statuses": group.statuses,
            "metrics": [
                {"metric": name, "what": what} | _spread([known[run] for run in group.runs if run in known])
                for (name, what), known in zip(metrics, values, strict=True)
            ],
        }
        for group in ordered[:GROUPS_LIMIT]
    ]
    return Grouping(groups, len(ordered), min(len(rows), RUNS_LIMIT), len(rows) > RUNS_LIMIT)


def _key_columns(key: Field) -> tuple[list[Any], sa.FromClause]:
    runs, tags, values = schema.runs, schema.run_tags, schema.run_values
    match key.kind:
        case "text":
            return [runs.c[key.name]], runs
        case "tags":
            return [tags.c.tag], runs.outerjoin(tags, tags.c.run_id == runs.c.id)
        case "value":
            same = (values.c.run_id == runs.c.id, values.c.source == key.name, values.c.key == key.key)
            return [values.c.text, values.c.number], runs.outerjoin(values, sa.and_(*same))
        case _:
            raise FilterError(f"runs cannot be grouped by {key.name}", key.position)


def _metric_values(
    connection: sa.Connection, name: str, what: str, condition: sa.ColumnElement[bool]
) -> dict[str, float]:
    table, runs = schema.metrics, schema.runs
    rows: Any = connection.execute(
        sa.select(table.c.run_id, table.c.rank, table.c[what])
        .select_from(table.join(runs, runs.c.id == table.c.run_id))
        .where(table.c.name == name, condition)
        .order_by(table.c.rank.desc())
    )
    return {run_id: value for run_id, _, value in rows}  # of several ranks, the lowest


def _spread(values: list[float]) -> Row:
    """Mean and sample deviation of the finite ones; how many were not is said too."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return dict.fromkeys(("mean", "deviation", "min", "max")) | {"n": 0, "n_nonfinite": len(values)}
    deviation = statistics.stdev(finite) if len(finite) > 1 else None
    return {
        "mean": math.fsum(finite) / len(finite),
        "deviation": deviation,
        "min": min(finite),
        "max": max(finite),
        "n": len(finite),
        "n_nonfinite": len(values) - len(finite),
    }


def _order(key: Key) -> tuple[int, float, str]:
    if isinstance(key, str):
        return (1, 0.0, key)
    return (2, 0.0, "") if key is None else (0, key, "")


def _filter_of(key: Field, by: str, value: Key) -> str:
    """Return the filter that lets exactly the runs of a group through."""
    if key.kind == "text":
        return f"{key.name} = {json.dumps(value or '', ensure_ascii=False)}"
    if value is None:
        return f"not {by} exists"
    text = json.dumps(value, ensure_ascii=False)
    return f"{text} in tags" if key.kind == "tags" else f"{by} = {text}"
