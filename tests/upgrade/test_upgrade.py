"""A store of every revision that was ever made is upgraded, and nothing in it is lost."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from deepevent.store import connection, curves, media, migrate, runs

HERE = Path(__file__).parent
COMMAND = str(Path(sys.executable).with_name("deepevent"))
RUN = "01m86zzzzz0000000000000000"
REVISIONS = sorted(path.stem for path in HERE.glob("*.sql"))


@pytest.fixture(params=REVISIONS)
def old_store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The file of a store as that revision left it."""
    path = tmp_path / "deepevent.db"
    file = sqlite3.connect(path)
    file.executescript((HERE / f"{request.param}.sql").read_text(encoding="utf-8"))
    file.close()
    return path


def test_every_revision_has_its_file() -> None:
    """No migration is added without a store of its revision to upgrade from."""
    scripts = (migrate.scripts_folder() / "versions").glob("0*.py")
    assert sorted(path.name.partition("_")[0] for path in scripts) == REVISIONS


def test_an_old_store_is_upgraded_by_the_command(old_store: Path) -> None:
    """`deepevent migrate` brings it to the newest tables, with a copy before, and all of it is there."""
    file = sqlite3.connect(old_store)
    was_old = file.execute("SELECT version_num FROM alembic_version").fetchone()[0] != migrate.HEAD
    file.close()
    done = subprocess.run(
        [COMMAND, "migrate", "--store", f"sqlite:///{old_store}"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    db = connection.open_database(f"sqlite:///{old_store}")
    assert migrate.current(db) == migrate.HEAD
    run = runs.get_run(db, RUN)
    assert (run["name"], run["status"], run["tags"]) == ("kept", "completed", ["old"])
    assert run["config"] == {"lr": 0.1}
    points = curves.read_points(db, RUN, "loss")
    assert points.values.tolist() == [1.0 / (1 + step) for step in range(300)]
    assert [line["text"] for line in media.list_logs(db, RUN)[0]] == ["hello\n"]
    db.close()
    copies = list(old_store.parent.glob("*.before-*"))
    assert len(copies) == was_old
    for copy in copies:
        file = sqlite3.connect(copy)
        assert file.execute("SELECT name FROM runs").fetchall() == [("kept",)]
        file.close()
