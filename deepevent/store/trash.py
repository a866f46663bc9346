"""Empties the trash: deletes for good what has lain there for long enough.

How runs get into it and out of it: `runs.update_runs`. Knows no pages and no clock but the one it is given.
"""

from __future__ import annotations

import time

import sqlalchemy as sa

from deepevent.store import schema
from deepevent.store.connection import Database
from deepevent.store.deletion import delete_run

KEEP_S = 7 * 86400.0
AT_ONCE = 100


def purge(db: Database, now: float | None = None, keep_s: float = KEEP_S) -> list[str]:
    """Delete runs that were put into the trash more than `keep_s` seconds ago; housekeeping calls this.

    Returns: their ids, at most AT_ONCE of them; the rest goes with the next call.
    """
    before = (time.time() if now is None else now) - keep_s
    table = schema.trash
    with db.read() as connection:
        old = list(
            connection.execute(
                sa.select(table.c.run_id).where(table.c.time < before).order_by(table.c.time).limit(AT_ONCE)
            ).scalars()
        )
    for run_id in old:
        delete_run(db, run_id)
    return old
