"""A store moves into another database and back, and nothing of it changes on the way."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from deepevent.errors import StoreError
from deepevent.store import access, connection, copying, curves, ingest, runs, schema

COMMAND = str(Path(sys.executable).with_name("deepevent"))


@pytest.fixture
def filled(sqlite_db, script):
    """A store with points that are hard to keep, text that is hard to keep, and a token; and its run."""
    committer = ingest.Committer(sqlite_db)
    writer = script().start(config={"lr": 0.1}, tags=["ä", "b"], notes="q\u2028\U0001f600 '\"")
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e308, *map(float, range(600))]
    writer.series("loss", values).log({"other": math.nan}, 2**63 - 1)
    writer.event("media", kind="text", name="t", step=3, time=1.0, data={"text": "x"})
    writer.event("log", stream="stdout", text="\x1b[31mred", time=1.0)
    committer.submit(writer.batch())
    committer.close()
    access.create_token(sqlite_db, "one", "viewer")
    return sqlite_db, writer.run


def raw(db, run_id):
    points = curves.read_points(db, run_id, "loss")
    return struct.pack(f"<{len(points.values)}d", *points.values), np.asarray(points.steps).tolist()


def test_there_and_back(filled, postgresql, tmp_path):
    """SQLite to PostgreSQL and back: runs, points bit for bit, and all checksums are the same."""
    source, run_id = filled
    middle = connection.open_database(postgresql())
    last = connection.open_database(f"sqlite:///{tmp_path / 'last.db'}")
    copied = copying.copy_store(source, middle)
    assert copying.copy_store(middle, last) == copied == copying.sums(source)
    for db in (middle, last):
        assert raw(db, run_id) == raw(source, run_id)
        assert repr(runs.get_run(db, run_id)) == repr(runs.get_run(source, run_id))
        assert db.revision() == source.revision()
    middle.close()
    last.close()


def test_the_copy_goes_on(filled, postgresql, script):
    """What comes after the copy gets ids and numbers behind those that were copied."""
    source, _ = filled
    target = connection.open_database(postgresql())
    copying.copy_store(source, target)
    access.create_token(target, "two", "viewer")
    assert sorted(token["id"] for token in access.list_tokens(target)) == [1, 2]
    committer = ingest.Committer(target)
    writer = script().start().series("loss", [1.0])
    committer.submit(writer.batch())
    committer.close()
    assert curves.read_points(target, writer.run, "loss").values.tolist() == [1.0]
    target.close()


def test_a_target_that_holds_something_is_refused(filled, tmp_path):
    """A store with rows is no target, and stays as it is."""
    source, _ = filled
    target = connection.open_database(f"sqlite:///{tmp_path / 'target.db'}")
    copying.migrate.upgrade(target)
    runs.create_run(target, name="mine")
    before = copying.sums(target)
    with pytest.raises(StoreError, match="not empty"):
        copying.copy_store(source, target)
    assert copying.sums(target) == before
    target.close()


def test_a_difference_is_found(filled):
    """One changed value changes the checksum of its table, and of no other."""
    db, run_id = filled
    before = copying.sums(db)
    with db.write() as c:
        c.execute(sa.update(schema.runs).where(schema.runs.c.id == run_id).values(notes="other"))
    changed = [one.table for one, two in zip(before, copying.sums(db), strict=True) if one != two]
    assert changed == ["runs"]


def test_the_command(filled, tmp_path):
    """`deepevent copy-store` prints what it copied, and refuses to do so twice."""
    source, _ = filled
    words = [COMMAND, "copy-store", str(source.url), f"sqlite:///{tmp_path / 'target.db'}", "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tables"]["runs"]["rows"] == 1
    again = subprocess.run(words, capture_output=True, text=True)
    assert again.returncode == 1
    assert "not empty" in again.stderr
    assert "Traceback" not in again.stderr
