"""What the tables of `schema` are made of: types, lengths, keys, and the metadata that holds them all."""

from __future__ import annotations

import math
from typing import Any

import sqlalchemy as sa

LONG = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts up only a plain INTEGER key
NAME_LENGTH = 250
ID_LENGTH = 26  # a ULID


class Real(sa.types.TypeDecorator[float]):
    """A float64 in which NaN is NULL.

    SQLite cannot store NaN at all and PostgreSQL sorts it above everything; NULL is the same on both.
    Only summaries lie in such columns: points themselves are kept bit for bit in `blocks`.
    """

    impl = sa.Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Any) -> float | None:
        """Return what to store."""
        return None if value is None or math.isnan(value) else float(value)

    def process_result_value(self, value: float | None, dialect: Any) -> float:
        """Return what was stored."""
        return math.nan if value is None else value


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def run_key(**options: Any) -> sa.Column[str]:
    """Return the column that says whose row it is; it goes with its run."""
    return sa.Column(
        "run_id",
        sa.String(ID_LENGTH),
        sa.ForeignKey("runs.id", ondelete="CASCADE"),
        nullable=False,
        **options,
    )


def metric_key() -> sa.Column[int]:
    """Return the first column of a key below a metric; it goes with its metric."""
    return sa.Column(
        "metric_id",
        sa.BigInteger,
        sa.ForeignKey("metrics.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
