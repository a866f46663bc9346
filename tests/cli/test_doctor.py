"""`deepevent doctor` and `deepevent migrate` on homes in every state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMAND = str(Path(sys.executable).with_name("deepevent"))
LOG = "import deepevent\nr = deepevent.start()\nr.log({'a': 1.0})\nprint(r.id)\n"


def run_it(*words: str) -> tuple[int, str, str]:
    done = subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def made(home: Path) -> Path:
    """A home with an empty store of the newest revision."""
    from deepevent.store import connection, migrate

    db = connection.open_database(f"sqlite:///{home / 'deepevent.db'}")
    migrate.upgrade(db)
    db.close()
    return home


def test_a_healthy_home(made: Path) -> None:
    """A home in order has nothing to repair, and says so with exit code 0."""
    code, out, _ = run_it("doctor", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["problems"] == found["repairable"] == found["done"] == []
    assert "the database is whole" in found["notes"]


def test_an_abandoned_spool_is_taken_in(made: Path) -> None:
    """What a script left without a server, and one that lost its lock file, is reported and taken in."""
    ids = [
        subprocess.check_output([sys.executable, "-c", LOG], text=True, stderr=subprocess.DEVNULL)
        for _ in "ab"
    ]
    first = next(made.glob(f"spool/{ids[0].strip()}/*"))
    (first / "lock").unlink()
    code, out, _ = run_it("doctor")
    assert code == 1
    assert "no lock file" in out
    assert "1 writers in the spool wait" in out
    code, out, _ = run_it("doctor", "--repair")
    assert code == 0, out
    assert "of 2 writers" in out
    assert run_it("doctor")[0] == 0
    assert list(made.glob("spool/*/*")) == []
    from deepevent.store import connection, curves

    db = connection.open_database(f"sqlite:///{made / 'deepevent.db'}")
    assert [curves.read_points(db, run.strip(), "a").values.tolist() for run in ids] == [[1.0], [1.0]]
    db.close()


def test_a_stuck_writer_is_named(made: Path) -> None:
    """A script that was not heard of for a day is named with its machine, and its run counts as lost then."""
    import time

    from deepevent import wire
    from deepevent.store import connection, ingest, runs
    from deepevent.store.runs import new_id

    db = connection.open_database(f"sqlite:///{made / 'deepevent.db'}")
    committer = ingest.Committer(db, clock=lambda: time.time() - 2 * 86_400)
    run_id, writer_id = new_id(), new_id()
    event = wire.build_event(1, {"type": "run", "name": "stuck", "host": "far-away", "pid": 4711})
    committer.submit(wire.build_batch(run_id, writer_id, 1, [event]))
    committer.close()
    code, out, _ = run_it("doctor")
    assert code == 0
    assert f"writer {writer_id} of run {run_id} (far-away, process 4711)" in out
    code, out, _ = run_it("doctor", "--repair")
    assert code == 0
    assert f"run {run_id} counts as lost now" in out
    assert runs.get_run(db, run_id)["status"] == "lost"
    db.close()


def test_an_orphaned_blob_is_removed(made: Path) -> None:
    """A file of no run is reported, and removed by `--repair`."""
    name = "ab" + "0" * 62
    blob = made / "blobs" / "ab" / name
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"four")
    os.utime(blob, (0, 0))
    code, out, _ = run_it("doctor")
    assert code == 1
    assert "1 blobs belong to no run, 4 bytes" in out
    code, out, _ = run_it("doctor", "--repair")
    assert code == 0
    assert "removed 1 blobs" in out
    assert not blob.exists()


def test_repair_wants_the_home_for_itself(server: Any) -> None:
    """While a server runs, looking is allowed and repairing is refused with a sentence."""
    assert run_it("doctor")[0] == 0
    code, _, problem = run_it("doctor", "--repair")
    assert code == 1
    assert "stop it before" in problem
    assert "Traceback" not in problem


def test_no_store(home: Path) -> None:
    """Without a store both commands are one sentence and exit code 1."""
    for command in ("doctor", "migrate"):
        code, _, problem = run_it(command)
        assert code == 1
        assert "there is no store" in problem
        assert "Traceback" not in problem


def test_no_database(home: Path) -> None:
    """A file that is no database is one sentence."""
    (home / "deepevent.db").write_bytes(b"no database at all" * 500)
    for command in ("doctor", "migrate"):
        code, _, problem = run_it(command)
        assert code == 1
        assert "Traceback" not in problem, problem


def test_migrate_a_store_at_head(made: Path) -> None:
    """A store that is up to date stays as it is."""
    code, out, _ = run_it("migrate", "--json")
    assert code == 0
    assert json.loads(out)["pending"] is False


def test_migrate_refuses_a_newer_store(made: Path) -> None:
    """A store that a newer program made is refused by both commands, with a sentence."""
    import sqlite3

    connection = sqlite3.connect(made / "deepevent.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    for command in ("migrate", "doctor"):
        code, _, problem = run_it(command)
        assert code == 1
        assert "newer DeepEvent" in problem
