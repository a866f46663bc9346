"""Deletes a run: at once for whoever reads, a piece at a time on disk.

The run becomes a tombstone in one short transaction; from then on nothing is taken for it. What belonged to
it may be millions of rows and gigabytes, so it goes in transactions of CHUNK_ROWS rows, with a pause after
each as long as the piece took: ingest never waits long for the write lock. What is not gone in time, or was
interrupted by a kill, goes with the server's next `purge`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import sqlalchemy as sa

from deepevent.store import schema
from deepevent.store.apply import new_run
from deepevent.store.connection import Database, next_revision
from deepevent.store.run_rows import require_run

CHUNK_ROWS = 512  # full blocks of so many rows are about 7 MB
RECLAIM_PAGES = 2_000
PATIENCE_S = 5.0  # how long whoever asks for a deletion waits for the disk
PAUSE_S = 0.002


def delete_run(db: Database, run_id: str, limit_s: float = PATIENCE_S) -> bool:
    """Delete a run and all that belongs to it, and keep its id as a tombstone for late batches.

    Args:
        db: the store.
        run_id: the run.
        limit_s: how long to wait until its room is given back.

    Returns:
        Whether its room is given back; else `purge` goes on.

    Raises:
        RunNotFound: there is none.
    """
    empty = new_run(run_id, 0.0).row | {"status": "stopped", "deleted": True}
    with db.write() as connection:
        require_run(connection, run_id)
        connection.execute(
            sa.update(schema.runs)
            .where(schema.runs.c.id == run_id)
            .values(**empty, revision=next_revision(connection))
        )
        # Neither the compaction nor anybody else looks at a metric that is on its way out.
        metrics = schema.metrics
        connection.execute(sa.update(metrics).where(metrics.c.run_id == run_id).values(n_short_blocks=0))
        for table in (schema.run_tags, schema.run_values, schema.trash):
            connection.execute(sa.delete(table).where(table.c.run_id == run_id))
    return _carry_out(db, [run_id], limit_s)


def purge(db: Database, limit_s: float = 60.0) -> bool:
    """Go on with the deletions that were not carried out to their end.

    Returns:
        Whether nothing is left to do.
    """
    waiting = sa.or_(
        *(
            sa.exists().where(table.c.run_id == schema.runs.c.id)
            for table in (schema.metrics, schema.writers, schema.media, schema.logs)
        )
    )
    with db.read() as connection:
        found = sa.select(schema.runs.c.id).where(schema.runs.c.deleted == sa.true(), waiting)
        run_ids = list(connection.execute(found).scalars())
    return _carry_out(db, run_ids, limit_s)


def _carry_out(db: Database, run_ids: list[str], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    for delete in _deletions(run_ids):
        whole = False
        while not whole:
            began = time.monotonic()
            if began > deadline:
                return False
            with db.write() as connection:
                whole = connection.execute(delete).rowcount < CHUNK_ROWS
            time.sleep(max(PAUSE_S, time.monotonic() - began))
    return reclaim(db, max(0.1, deadline - time.monotonic()))


def reclaim(db: Database, limit_s: float = 60.0) -> bool:
    """Give back to the file system what deleted rows took.

    Returns:
        Whether nothing is left to give back.

    Raises:
        StoreBusy: another writer held the lock too long.
    """
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        began = time.monotonic()
        if db.reclaim(RECLAIM_PAGES):
            return True
        time.sleep(max(PAUSE_S, time.monotonic() - began))
    return False


def _deletions(run_ids: list[str]) -> Iterator[sa.Delete]:
    """Yield the statements that take a piece each of what runs have; owners come after what they own."""
    for run_id in run_ids:
        metrics, writers = schema.metrics, schema.writers
        for table in (schema.blocks, schema.levels):
            of_run = sa.select(metrics.c.id).where(metrics.c.run_id == run_id)
            yield _piece(table, table.c.metric_id.in_(of_run))
        for table in (schema.writer_shapes, schema.media, schema.logs, schema.artifacts, schema.alerts):
            yield _piece(table, table.c.run_id == run_id)
        for table in (metrics, writers):
            yield _piece(table, table.c.run_id == run_id)


def _piece(table: sa.Table, condition: sa.ColumnElement[bool]) -> sa.Delete:
    key = list(table.primary_key.columns)
    chosen = sa.select(*key).where(condition).limit(CHUNK_ROWS).correlate(None)
    return sa.delete(table).where((sa.tuple_(*key) if len(key) > 1 else key[0]).in_(chosen))
