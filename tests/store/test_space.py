"""Deleting a run frees its space: rows in the file, and blobs that no other run has."""

from __future__ import annotations

import hashlib
import io
import os
import time

import numpy as np
import pytest
import sqlalchemy as sa

from deepevent.errors import RunDeleted, RunNotFound
from deepevent.store import (
    changes,
    compaction,
    curves,
    deletion,
    ingest,
    inspection,
    runs,
    schema,
    sweeping,
)
from deepevent.store.blobs import BlobStore

DAY_S = 86_400


@pytest.fixture
def blobs(tmp_path):
    return BlobStore(tmp_path / "blobs")


def put(blobs, content):
    sha256 = hashlib.sha256(content).hexdigest()
    blobs.put(io.BytesIO(content), sha256, 1 << 20)
    return sha256


def image(writer, sha256):
    return writer.event(
        "media", kind="image", name="i", step=0, time=1.0, blob=sha256, mime="image/png", data={}
    )


def test_a_deleted_run_shrinks_the_file(sqlite_db, script):
    """After a large run is deleted, the file is nearly as small as before it came."""
    committer = ingest.Committer(sqlite_db)
    committer.submit(script().start().series("loss", [1.0]).batch())
    big = script().start()
    chance = np.random.default_rng(1)
    for _ in range(4):
        committer.submit(big.series("noise", chance.standard_normal(20_000).tolist(), big.next).batch())
    committer.close()
    with sqlite_db.write() as c:
        size = c.exec_driver_sql("PRAGMA page_count").scalar_one()
    checkpoint(sqlite_db)
    before = sqlite_db.path.stat().st_size
    deletion.delete_run(sqlite_db, big.run)
    checkpoint(sqlite_db)
    after = sqlite_db.path.stat().st_size
    assert before > 700_000
    assert after < before - 500_000
    assert inspection.free_bytes(sqlite_db) == 0
    assert size > 0


def checkpoint(db):
    import sqlite3

    connection = sqlite3.connect(db.path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def test_blobs_of_a_deleted_run_go(db, committer, script, blobs):
    """A blob goes with the last run that refers to it, and not before."""
    own, shared = put(blobs, b"own"), put(blobs, b"shared")
    one, two = script().start(), script().start()
    committer.submit(image(image(one, own), shared).batch())
    committer.submit(image(two, shared).batch())
    later = time.time() + DAY_S
    assert sweeping.sweep(db, blobs, now=later) == sweeping.Swept(0, 0)
    deletion.delete_run(db, one.run)
    assert sweeping.sweep(db, blobs, now=later) == sweeping.Swept(1, 3)
    assert (blobs.exists(own), blobs.exists(shared)) == (False, True)
    deletion.delete_run(db, two.run)
    assert sweeping.sweep(db, blobs, now=later) == sweeping.Swept(1, 6)
    assert list(blobs.list()) == []


def test_a_fresh_blob_stays(sqlite_db, blobs):
    """A file that was just uploaded waits for its batch, and an upload of an old one makes it fresh."""
    sha256 = put(blobs, b"early")
    os.utime(blobs.path(sha256), (0, 0))
    put(blobs, b"early")
    assert sweeping.sweep(sqlite_db, blobs).blobs == 0
    assert not blobs.remove(sha256, modified_before=time.time() - 60)
    assert blobs.exists(sha256)
    os.utime(blobs.path(sha256), (0, 0))
    assert sweeping.sweep(sqlite_db, blobs).blobs == 1


def test_a_missing_blob_is_named(db, committer, script, blobs):
    """A blob that a run refers to and that is gone is reported."""
    sha256 = put(blobs, b"x")
    committer.submit(image(script().start(), sha256).batch())
    assert sweeping.missing(db, blobs) == []
    blobs.path(sha256).unlink()
    assert sweeping.missing(db, blobs) == [sha256]


def test_lost_blocks_are_named(db, committer, script):
    """A metric whose blocks do not hold what was counted is reported."""
    writer = script().start().series("loss", [1.0, 2.0])
    committer.submit(writer.batch())
    assert inspection.gaps(db) == []
    with db.write() as c:
        c.execute(sa.text("DELETE FROM blocks"))
    (problem,) = inspection.gaps(db)
    assert "counts 2 points" in problem


def test_a_damaged_file_is_noticed(sqlite_db, script):
    """A page that was overwritten is found by the integrity check."""
    committer = ingest.Committer(sqlite_db)
    committer.submit(script().start().series("loss", [float(i) for i in range(5000)]).batch())
    committer.close()
    assert inspection.integrity(sqlite_db) == []
    sqlite_db.close()
    checkpoint(sqlite_db)
    with sqlite_db.path.open("r+b") as file:
        for page in range(8, 40):
            file.seek(page * 4096)
            file.write(b"\xff" * 2000)
    assert inspection.integrity(sqlite_db)


def test_a_deletion_goes_in_short_transactions(db, script):
    """While a large run is deleted others get the write lock between the pieces, and readers see it gone."""
    committer = ingest.Committer(db)
    big, other = script().start(), script().start()
    for number in range(deletion.CHUNK_ROWS * 3 // 2):  # each commit leaves a block
        committer.submit(big.series("noise", [float(number)], number).batch())
    committer.submit(other.batch())
    assert not deletion.delete_run(db, big.run, limit_s=0.0)  # the tombstone alone
    assert rows(db, schema.blocks) == deletion.CHUNK_ROWS * 3 // 2
    before = db.revision()
    for read in (lambda: runs.list_metrics(db, big.run), lambda: curves.read_points(db, big.run, "noise")):
        with pytest.raises(RunNotFound):
            read()
    assert curves.read_curves(db, [curves.Query(big.run, "noise")]).curves[0].n_points == 0
    assert changes.since(db, 0).metrics == []
    assert compaction.compact(db, min_short_blocks=2).metrics == 0
    assert inspection.gaps(db) == []
    with pytest.raises(RunDeleted):
        committer.submit(big.series("noise", [0.0]).batch())
    seen: list[int] = []

    def between(connection: sa.Connection) -> None:
        del connection
        seen.append(1)

    sa.event.listen(db._writer, "commit", between)
    assert deletion.purge(db)
    sa.event.remove(db._writer, "commit", between)
    assert len(seen) >= 3
    assert [rows(db, table) for table in (schema.blocks, schema.metrics)] == [0, 0]
    assert deletion.purge(db)
    assert db.revision() == before  # nobody is told twice
    committer.submit(other.series("loss", [1.0]).batch())
    committer.close()
    assert curves.read_points(db, other.run, "loss").values.tolist() == [1.0]


def rows(db, table):
    with db.read() as c:
        return c.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_nothing_of_a_deleted_run_stays(db, committer, script):
    """Every table that hangs on runs is empty afterwards, whatever tables there are; the tombstone stays."""
    writer = script().start(tags=["t"], config={"lr": 0.1}).series("loss", [1.0, 2.0])
    writer.event("summary", values={"best": 1.0})
    writer.event("log", stream="stdout", text="line", time=1.0)
    writer.event("alert", title="a", text="", level="info", time=1.0)
    writer.event("artifact", name="w", kind="file", blob="0" * 64, size_bytes=1, path="w", time=1.0)
    committer.submit(image(writer, "1" * 64).batch())
    runs.update_run(db, writer.run, trashed=True)
    hanging = [
        table
        for table in schema.metadata.sorted_tables
        if any(key.column.table.name in ("runs", "metrics", "writers") for key in table.foreign_keys)
    ]
    held = {table.name for table in hanging if rows(db, table)}
    assert held >= {"metrics", "blocks", "writers", "writer_shapes", "media", "logs", "artifacts", "alerts"}
    assert held >= {"run_tags", "run_values", "trash"}
    assert deletion.delete_run(db, writer.run)
    assert {table.name for table in hanging if rows(db, table)} == set()
    assert rows(db, schema.runs) == 1
