"""The audit log: who did what to jobs, agents, tokens and runs, and what was refused.

What the store changes itself is noted in the same transaction. The table is called `job_audit` after its
first use; a line that is about no job has none.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from deepevent.store.clock import server_time
from deepevent.store.connection import Database
from deepevent.store.schema import job_audit

ENTRIES_KEPT = 100_000


def note(connection: sa.Connection, job_id: int | None, actor: str, action: str, detail: str = "") -> None:
    """Add an entry to the transaction."""
    connection.execute(
        sa.insert(job_audit).values(
            time=server_time(), job_id=job_id, actor=actor[:250], action=action[:32], detail=detail[:2_000]
        )
    )


def record(db: Database, actor: str, action: str, detail: str = "") -> None:
    """Add an entry that belongs to no transaction of the store."""
    with db.write() as connection:
        note(connection, None, actor, action, detail)


def list_entries(
    db: Database, job_id: int | None = None, limit: int = 100, before: int | None = None
) -> list[dict[str, Any]]:
    """List entries, the newest first: of one job, or of all; those before entry `before`."""
    query = sa.select(job_audit).order_by(job_audit.c.id.desc()).limit(limit)
    if job_id is not None:
        query = query.where(job_audit.c.job_id == job_id)
    if before is not None:
        query = query.where(job_audit.c.id < min(before, 2**62))
    with db.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def forget(db: Database, kept: int = ENTRIES_KEPT) -> int:
    """Drop the oldest entries beyond `kept`; return how many."""
    with db.read() as connection:
        newest = connection.execute(sa.select(sa.func.max(job_audit.c.id))).scalar()
        oldest = connection.execute(sa.select(sa.func.min(job_audit.c.id))).scalar()
    if newest is None or oldest is None or newest - oldest < kept:
        return 0
    with db.write() as connection:
        return connection.execute(sa.delete(job_audit).where(job_audit.c.id <= newest - kept)).rowcount
