"""The revision counter, the change feed and the bell that wakes the live path."""

from __future__ import annotations

import threading

import pytest

from deepevent.errors import StoreBusy
from deepevent.store import changes, connection, ingest, runs
from deepevent.store.connection import next_revision


def test_what_changed_after_a_revision_is_exact(db, committer, script):
    """A reader that asks for what is after its last revision sees each change once."""
    one, two = script().start(name="one"), script().start(name="two")
    committer.submit(one.log({"a": 1.0}, 0).batch())
    first = changes.since(db, 0)
    assert first.runs == [one.run]
    assert [(change.name, change.n_points) for change in first.metrics] == [("a", 1)]
    committer.submit(two.log({"b": 1.0}, 0).batch())
    committer.submit(one.log({"a": 1.0}, 1).event("media", kind="text", name="t", step=1, time=1.0).batch())
    second = changes.since(db, first.revision)
    assert second.runs == [two.run]
    assert [(change.run_id, change.name, change.n_points) for change in second.metrics] == [
        (two.run, "b", 1),
        (one.run, "a", 2),
    ]
    assert [medium["name"] for medium in second.media] == ["t"]
    assert changes.since(db, second.revision) == changes.Changes(second.revision, [], [], [], [], [])


def test_a_transaction_that_fails_leaves_nothing(db):
    """An error inside a write transaction undoes it, its revision included."""
    before = db.revision()
    with pytest.raises(RuntimeError), db.write() as c:
        next_revision(c)
        raise RuntimeError
    assert db.revision() == before
    with db.write() as c:
        assert next_revision(c) == before + 1 == next_revision(c)


def test_a_reader_sees_one_snapshot(db, committer, script):
    """What is committed while a read transaction is open stays out of it."""
    with db.read() as c:
        before = connection.read_revision(c)
        committer.submit(script().start().batch())
        assert connection.read_revision(c) == before
    assert db.revision() > before


def test_a_reader_cannot_write(db):
    """Read transactions refuse to change anything."""
    import sqlalchemy as sa

    from deepevent.store import schema

    with pytest.raises(sa.exc.DBAPIError), db.read() as c:
        c.execute(sa.update(schema.store).values(revision=99))


@pytest.mark.parametrize("whose", ["own", "another's"])
def test_a_commit_wakes_who_waits(url, db, whose):
    """A commit of this process, and one of another connection to the store, ends a wait with its revision."""
    revision = db.revision()
    elsewhere = connection.open_database(url)
    heard = []
    thread = threading.Thread(target=lambda: heard.append(db.commits.wait(revision, timeout=20)))
    thread.start()
    runs.create_run(db if whose == "own" else elsewhere, name="x")
    thread.join()
    elsewhere.close()
    assert heard == [db.revision()]
    assert heard[0] > revision


def test_waiting_ends_in_time_and_with_the_store(db):
    """A wait without a commit ends at its time-out, and at once when the store is closed."""
    revision = db.revision()
    assert db.commits.wait(revision, timeout=0.05) <= revision
    ended = threading.Event()
    thread = threading.Thread(target=lambda: (db.commits.wait(revision), ended.set()))
    thread.start()
    db.commits.close()
    thread.join(20)
    assert ended.is_set()


def test_a_locked_store_answers_busy(url, db, script, monkeypatch):
    """While another process holds the write lock, submit says try again, and works once it is free."""
    monkeypatch.setattr(connection, "BUSY_TIMEOUT_S", 1.0)
    impatient = connection.open_database(url)
    committer = ingest.Committer(impatient)
    batch = script().start().batch()
    with db.write(), pytest.raises(StoreBusy):
        committer.submit(batch)
    assert committer.submit(batch).last_sequence == batch.last_sequence
    committer.close()
    impatient.close()
