"""Checks that a store is what it should be. Reads only; `deepevent doctor` repairs.

Knows nothing of spools and servers.
"""

from __future__ import annotations

import time

import sqlalchemy as sa

from deepevent.store import schema
from deepevent.store.connection import Database

PROBLEMS_SHOWN = 20
SILENT_S = 86_400.0


def integrity(db: Database) -> list[str]:
    """Return what the database itself finds wrong: damaged pages and rows without their parents."""
    if db.path is None:
        return []  # PostgreSQL checks its pages and its foreign keys by itself
    with db.read() as connection:
        pages = connection.exec_driver_sql(f"PRAGMA integrity_check({PROBLEMS_SHOWN})").scalars().all()
        if pages != ["ok"]:  # nothing else can be asked of such a file
            return [f"the file is damaged: {text}" for text in pages]
        orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(PROBLEMS_SHOWN)
    return [f"a row of table {row[0]} has lost its {row[2]}" for row in orphans]


def gaps(db: Database) -> list[str]:
    """Return the metrics whose blocks do not hold exactly the points that were counted."""
    table, blocks = schema.metrics, schema.blocks
    held = (
        sa.select(
            blocks.c.metric_id,
            sa.func.sum(blocks.c.n).label("points"),
            sa.func.min(blocks.c.first_index).label("first"),
            sa.func.max(blocks.c.first_index + blocks.c.n).label("end"),
        )
        .group_by(blocks.c.metric_id)
        .subquery()
    )
    wanted = (
        sa.select(table.c.run_id, table.c.name, table.c.n_points, held.c.points, held.c.end)
        .outerjoin(held, held.c.metric_id == table.c.id)
        .join(schema.runs, schema.runs.c.id == table.c.run_id)
        .where(
            schema.runs.c.deleted == sa.false(),
            sa.or_(
                held.c.points.is_(None),
                held.c.points != table.c.n_points,
                held.c.end != table.c.n_points,
                held.c.first != 0,
            ),
        )
        .limit(PROBLEMS_SHOWN)
    )
    with db.read() as connection:
        return [
            f"metric {name!r} of run {run_id} counts {n} points, "
            f"and its blocks hold {points or 0} up to {end or 0}"
            for run_id, name, n, points, end in connection.execute(wanted)
        ]


def stuck_writers(db: Database, now: float | None = None) -> list[dict[str, object]]:
    """Return writers of running runs that were not heard of for a day."""
    writers, runs = schema.writers, schema.runs
    before = (time.time() if now is None else now) - SILENT_S
    wanted = (
        sa.select(writers.c.run_id, writers.c.id, writers.c.host, writers.c.pid, writers.c.last_seen)
        .join(runs, runs.c.id == writers.c.run_id)
        .where(
            runs.c.status.in_(("running", "lost")), writers.c.finished.is_(None), writers.c.last_seen < before
        )
        .order_by(writers.c.last_seen)
    )
    with db.read() as connection:
        return [dict(row) for row in connection.execute(wanted).mappings()]


def free_bytes(db: Database) -> int:
    """Return what deleted rows still take in the file."""
    if db.path is None:
        return 0
    with db.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
        return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
