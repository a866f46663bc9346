"""The names and values that a filter, a sort key or a column can use, as they occur in the store.

For completion while somebody types: names by skipping from one to the next in an index, values from the
newest runs. Knows no grammar but the names of fields.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from deepevent.errors import FilterError
from deepevent.store import schema
from deepevent.store.connection import Database
from deepevent.store.query import parse_field
from deepevent.store.runs import STATUSES, listed

NAMES_LIMIT = 1000
VALUES_LIMIT = 50
RUNS_LOOKED_AT = 2000


def names(db: Database) -> dict[str, list[str]]:
    """Return the keys of configs and summaries, the names of metrics, tags, projects and groups."""
    values, tags, metrics, runs = schema.run_values, schema.run_tags, schema.metrics, schema.runs
    with db.read() as connection:
        return {
            "config": _distinct(connection, values.c.key, values.c.source == "config"),
            "summary": _distinct(connection, values.c.key, values.c.source == "summary"),
            "metrics": _distinct(connection, metrics.c.name),
            "tags": _distinct(connection, tags.c.tag),
            "projects": _distinct(connection, runs.c.project),
            "groups": sorted(
                connection.execute(
                    sa.select(runs.c.group)
                    .where(runs.c.id.in_(_newest()), runs.c.group.is_not(None))
                    .distinct()
                ).scalars()
            ),
        }


def values(db: Database, field: str) -> list[str | float]:
    """Return values that a field of the filter language has in the newest runs, the commonest first.

    Raises:
        FilterError: it is no such field.
    """
    key = parse_field(field)
    if field == "status":
        return list(STATUSES)
    runs, tags, table = schema.runs, schema.run_tags, schema.run_values
    columns: list[Any]
    condition: sa.ColumnElement[bool]
    match key.kind:
        case "text":
            columns, condition = [runs.c[key.name]], runs.c.id.in_(_newest())
        case "tags":
            columns, condition = [tags.c.tag], tags.c.run_id.in_(_newest())
        case "value":
            columns = [table.c.text, table.c.number]
            condition = sa.and_(
                table.c.source == key.name, table.c.key == key.key, table.c.run_id.in_(_newest())
            )
        case _:
            raise FilterError(f"{key.name} has no list of values", key.position)
    wanted = sa.select(*columns).where(condition).group_by(*columns)
    ordered = wanted.order_by(sa.func.count().desc(), *columns).limit(VALUES_LIMIT)
    with db.read() as connection:
        found = [
            next((part for part in row if part is not None), "") for row in connection.execute(ordered).all()
        ]
    return [value for value in found if value != ""]


def _newest() -> sa.Select[tuple[str]]:
    runs = schema.runs
    return (
        sa.select(runs.c.id).where(listed(None, "all")).order_by(runs.c.created.desc()).limit(RUNS_LOOKED_AT)
    )


def _distinct(
    connection: sa.Connection, column: sa.ColumnElement[str], *condition: sa.ColumnElement[bool]
) -> list[str]:
    """Return the different values of an indexed column: one look into the index for each of them."""
    first = sa.select(sa.func.min(column).label("value")).where(*condition).cte(recursive=True)
    following = sa.select(sa.func.min(column)).where(*condition, column > first.c.value).scalar_subquery()
    every = first.union_all(sa.select(following).where(first.c.value.is_not(None)))
    wanted = sa.select(every.c.value).where(every.c.value.is_not(None)).limit(NAMES_LIMIT)
    return list(connection.execute(wanted).scalars())
