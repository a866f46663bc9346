"""`deepevent prune`: says what it would do, asks before it does it, and does no more."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from deepevent.cli import main
from deepevent.ids import new_id
from deepevent.store import connection, ingest, migrate, runs
from deepevent.wire import build_batch, build_event

LONG_AGO = 1000.0


@pytest.fixture
def store(home: Path) -> Any:
    """A home's store with an old run and a tagged old run."""
    db = connection.open_database(f"sqlite:///{home}/deepevent.db")
    migrate.upgrade(db)
    committer = ingest.Committer(db)
    for name, tags in (("plain", []), ("tagged", ["keep"])):
        run = new_id()
        start = {"type": "run", "name": name, "project": "p", "created": LONG_AGO, "rank": 0, "tags": tags}
        ends = {"type": "finish", "status": "completed", "time": LONG_AGO}
        committer.submit(build_batch(run, run, 1, [build_event(1, start), build_event(2, ends)]))
    committer.close()
    yield db
    db.close()


def _names(db: Any) -> set[str]:
    return {run["name"] for run in runs.list_runs(db).runs}


def test_a_dry_run_and_a_no_change_nothing(store: Any, capsys: Any, monkeypatch: Any) -> None:
    """What would go is listed; an empty answer means no."""
    assert main(["prune", "--older-than", "4w", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "plain" in told and "2 runs to delete" in told
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert main(["prune", "--older-than", "4w"]) == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert _names(store) == {"plain", "tagged"}
    assert main(["prune", "--older-than", "4w", "--keep-tagged", "--thin", "--json"]) == 0
    assert [run["name"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["plain"]
    assert main(["prune", "--older-than", "4w", "--keep-tagged", "--yes"]) == 0
    assert _names(store) == {"tagged"}


@pytest.mark.parametrize("age", ["", "90", "d", "0d", "-1d", "1y", "1.5d"])
def test_an_age_has_a_unit(store: Any, capsys: Any, age: str) -> None:
    """One sentence with what is allowed; nothing goes."""
    assert main(["prune", f"--older-than={age}", "--yes"]) == 1
    assert "hours, days or weeks" in capsys.readouterr().err
    assert _names(store) == {"plain", "tagged"}
