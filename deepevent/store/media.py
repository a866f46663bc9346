"""Reads what a run logged beside numbers: media, log lines, artifacts. Keys as in docs/api.md."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from deepevent.errors import FilterError
from deepevent.store import schema
from deepevent.store.connection import Database
from deepevent.store.run_rows import require_run

PAGE_LIMIT = 2000
Row = dict[str, Any]
MEDIA_COLUMNS = [
    schema.media.c.id,
    schema.media.c.run_id.label("run"),
    *(schema.media.c[name] for name in ("kind", "name", "step", "epoch", "time", "blob", "mime", "data")),
]


def list_media(
    db: Database,
    run_id: str,
    kind: str | None = None,
    name: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
    *,
    blob: str | None = None,
    until: int | None = None,
    newest: bool = False,
) -> tuple[list[Row], str | None]:
    """List a run's media in the order in which they were committed.

    Args:
        db: the store.
        run_id: the run.
        kind: only of one kind.
        name: only of one name.
        limit: at most so many.
        cursor: where the page before ended.
        blob: only of one file, by its hash: the same photograph in every run.
        until: only up to this step.
        newest: by falling step, of one step the latest first; without a cursor.

    Returns: the page, and the cursor of the next one or None.

    Raises:
        RunNotFound: there is no such run.
        FilterError: the cursor is none of ours.
    """
    table = schema.media
    limit = min(max(limit, 1), PAGE_LIMIT)
    wanted = sa.select(*MEDIA_COLUMNS).where(table.c.run_id == run_id)
    if kind is not None:
        wanted = wanted.where(table.c.kind == kind)
    if name is not None:
        wanted = wanted.where(table.c.name == name)
    if blob is not None:
        wanted = wanted.where(table.c.blob == blob)
    if until is not None:
        wanted = wanted.where(table.c.step <= until)
    order = (table.c.step.desc(), table.c.id.desc()) if newest else (table.c.id,)
    if cursor is not None and newest:
        raise FilterError("newest media have no next page: ask up to a step instead", 0)
    if cursor is not None:
        wanted = wanted.where(table.c.id > _number(cursor))
    with db.read() as connection:
        require_run(connection, run_id)
        rows = connection.execute(wanted.order_by(*order).limit(limit + 1)).mappings().all()
    page = [media_dictionary(row) for row in rows[:limit]]
    return page, str(page[-1]["id"]) if len(rows) > limit and not newest else None


def media_dictionary(row: Any) -> Row:
    """Return a row of MEDIA_COLUMNS as docs/api.md has it."""
    return {**row, "data": json.loads(row["data"])}


def list_logs(
    db: Database, run_id: str, after: int = 0, limit: int = 1000, search: str | None = None
) -> tuple[list[Row], int]:
    """List the log lines whose index is above `after` (indices count from 1).

    Args:
        db: the store.
        run_id: of the run.
        after: an index.
        limit: how many at most.
        search: only lines that hold this text, in whatever case.

    Returns: the lines, and the index to ask `after` next.

    Raises:
        RunNotFound: there is no such run.
    """
    table = schema.logs
    wanted = sa.select(table.c.index, table.c.stream, table.c.text, table.c.time).where(
        table.c.run_id == run_id, table.c.index > min(max(after, 0), 2**62)
    )
    if search:
        wanted = wanted.where(sa.func.lower(table.c.text).contains(search.lower(), autoescape=True))
    with db.read() as connection:
        require_run(connection, run_id)
        rows = connection.execute(
            wanted.order_by(table.c.index).limit(min(max(limit, 1), PAGE_LIMIT))
        ).mappings()
        lines = [dict(row) for row in rows]
    return lines, lines[-1]["index"] if lines else max(after, 0)


def list_artifacts(db: Database, run_id: str) -> list[Row]:
    """List a run's artifacts, each with all its versions, oldest first.

    Raises:
        RunNotFound: there is no such run.
    """
    table = schema.artifacts
    with db.read() as connection:
        require_run(connection, run_id)
        rows = connection.execute(
            sa.select(
                table.c.id,
                table.c.run_id.label("run"),
                *(table.c[name] for name in ("name", "kind", "blob", "size_bytes", "path", "time")),
            )
            .where(table.c.run_id == run_id)
            .order_by(table.c.id)
            .limit(10_000)
        ).mappings()
        return [dict(row) for row in rows]


def list_alerts(db: Database, run_id: str) -> list[Row]:
    """List a run's alerts, oldest first.

    Raises:
        RunNotFound: there is no such run.
    """
    with db.read() as connection:
        require_run(connection, run_id)
        rows = connection.execute(
            sa.select(*ALERT_COLUMNS)
            .where(schema.alerts.c.run_id == run_id)
            .order_by(schema.alerts.c.id)
            .limit(10_000)
        ).mappings()
        return [dict(row) for row in rows]


ALERT_COLUMNS = [
    schema.alerts.c.id,
    schema.alerts.c.run_id.label("run"),
    *(schema.alerts.c[name] for name in ("title", "text", "level", "time")),
]


def _number(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise FilterError(
            f"the cursor {cursor[:40]!r} does not belong to this list; leave it out to begin again"
        )
    return int(cursor)
