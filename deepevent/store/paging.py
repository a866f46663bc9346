"""Sorted pages by keyset: a cursor holds the last row's sort values, not an offset.

A cursor is data from outside: it is checked for its form and for belonging to the same sort key, and
its values are only ever compared with.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa

from deepevent.errors import FilterError
from deepevent.store import schema
from deepevent.store.events import clean
from deepevent.store.query import DURATION, Field, parse_sort, runs

CURSOR_LENGTH_LIMIT = 4000
Scalar = str | float | int
MISSING = (math.inf, -math.inf)  # what sorts last, rising and falling


@dataclass(frozen=True, slots=True)
class Order:
    """What to sort by.

    Attributes:
        text: the sort key as it was given.
        columns: expressions that are never NULL, the last one unique.
        falling: which of them fall.
        source: what to select from, with the joins that the columns need.
    """

    text: str
    columns: Sequence[sa.ColumnElement[Any]]
    falling: Sequence[bool]
    source: sa.FromClause

    def clauses(self) -> list[sa.ColumnElement[Any]]:
        """Return the ORDER BY list."""
        return [
            column.desc() if falls else column.asc()
            for column, falls in zip(self.columns, self.falling, strict=True)
        ]

    def after(self, cursor: str) -> sa.ColumnElement[bool]:
        """Return the condition for rows behind the one that `cursor` names."""
        values = self._read(cursor)
        alternatives = []
        for depth, (column, falls) in enumerate(zip(self.columns, self.falling, strict=True)):
            equal = [column == value for column, value in zip(self.columns[:depth], values, strict=False)]
            beyond = column < values[depth] if falls else column > values[depth]
            alternatives.append(sa.and_(*equal, beyond))
        return sa.or_(*alternatives)

    def cursor(self, values: Sequence[Any]) -> str:
        """Return the cursor of a row with these sort values."""
        text = json.dumps([self.text, *values], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _read(self, cursor: str) -> list[Scalar]:
        wrong = FilterError(
            f"the cursor {cursor[:40]!r} does not belong to this list; leave it out to begin again"
        )
        if len(cursor) > CURSOR_LENGTH_LIMIT:
            raise wrong
        try:
            text, *values = json.loads(
                base64.b64decode(cursor + "=" * (-len(cursor) % 4), "-_", validate=True)
            )
        except (ValueError, TypeError, binascii.Error, RecursionError):
            raise wrong from None
        if text != self.text or len(values) != len(self.columns):
            raise wrong
        for column, value in zip(self.columns, values, strict=True):
            wants_text = isinstance(column.type, sa.String)
            if wants_text != isinstance(value, str) or not isinstance(value, (str, int, float)):
                raise wrong
            if isinstance(value, str) and value != clean(value):
                raise wrong
            if not isinstance(value, str) and not -(2**63) <= value < 2**63 and not math.isinf(value):
                raise wrong
        return cast(list[Scalar], values)


def run_order(text: str) -> Order:
    """Return the order for a sort key of the run list; runs without the value come last.

    Raises:
        FilterError: it is no sort key.
    """
    field, falls = parse_sort(text)
    columns, source = _columns(field, falls)
    # Whether the value is missing comes first and always rises: rows without it are last either way.
    falling = [False, *[falls] * (len(columns) - 1)] if len(columns) > 1 else [falls]
    return Order(text, [*columns, runs.c.id], [*falling, falls], source)


def _columns(field: Field, falls: bool) -> tuple[list[sa.ColumnElement[Any]], sa.FromClause]:
    if field.kind == "text":
        return [cast(Any, runs.c[field.name])], runs
    if field.kind == "number":
        return [cast(Any, runs.c.created if field.name == "created" else DURATION)], runs
    if field.kind == "value":
        values = schema.run_values
        source = runs.outerjoin(
            values,
            sa.and_(values.c.run_id == runs.c.id, values.c.source == field.name, values.c.key == field.key),
        )
        missing = sa.case((values.c.number.is_not(None), 0), (values.c.text.is_not(None), 1), else_=2)
        return [missing, sa.func.coalesce(values.c.number, 0.0), sa.func.coalesce(values.c.text, "")], source
    metrics = schema.metrics
    column: Any = metrics.c.n_points if field.name == "n" else metrics.c[field.name]
    # Of several ranks the lowest minimum counts, and else the highest value.
    best: Any = sa.func.min(column) if field.name == "min" else sa.func.max(column)
    value = sa.type_coerce(
        sa.select(best)
        .where(metrics.c.name == field.key, metrics.c.run_id == runs.c.id)
        .correlate(runs)
        .scalar_subquery(),
        sa.Double,
    )
    # One column for value and absence together, since each mention is evaluated anew.
    return [sa.func.coalesce(value, MISSING[falls])], runs
