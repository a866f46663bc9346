"""Who did what to jobs and agents, in the transaction that did it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from deepevent.store.clock import server_time
from deepevent.store.connection import Database
from deepevent.store.schema import job_audit


def note(connection: sa.Connection, job_id: int | None, actor: str, action: str, detail: str = "") -> None:
    """Add an entry to the transaction."""
    connection.execute(
        sa.insert(job_audit).values(
            time=server_time(), job_id=job_id, actor=actor[:250], action=action, detail=detail[:2_000]
        )
    )


def list_entries(db: Database, job_id: int | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """List entries, the newest first: of one job, or of all."""
    query = sa.select(job_audit).order_by(job_audit.c.id.desc()).limit(limit)
    if job_id is not None:
        query = query.where(job_audit.c.job_id == job_id)
    with db.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
