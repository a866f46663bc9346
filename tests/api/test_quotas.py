"""A project that has as much as it may have gets no more, says so, and loses nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import deepevent
from deepevent import wire
from deepevent.errors import QuotaExceeded, SettingsError
from deepevent.store import connection, deletion, ingest, migrate, quotas
from deepevent.store.quotas import Holding


def _events(server: Any, project: str, n: int, writer: str) -> Any:
    return server.call(
        "POST",
        "/api/v1/events",
        json={"project": project, "events": [{"metrics": {"a": 1.0}} for _ in range(n)]},
        headers={"Idempotency-Key": f"01j0000000000000000000{writer}:1"},
    )


def test_a_full_project_is_told_so_and_others_go_on(start_server: Any) -> None:
    """429 with project, quota and what to do; runs and points each by their own quota."""
    server = start_server("--quota", "small:points=100", "--quota", "*:runs=2")
    assert _events(server, "small", 100, "000a").status_code == 200
    refused = _events(server, "small", 1, "000b")
    assert refused.status_code == 429 and refused.headers["Retry-After"] == "60"
    assert "'small' has 100 points, and its quota is 100" in refused.json()["detail"]
    assert [_events(server, "other", 200, f"000{x}").status_code for x in "cde"] == [200, 200, 429]
    made = [server.call("POST", "/api/v1/runs", json={"name": "x", "project": "third"}) for _ in range(3)]
    assert [answer.status_code for answer in made] == [201, 201, 429]


def test_a_script_beyond_the_quota_keeps_its_points_until_there_is_room(
    start_server: Any, home: Path, capfd: Any
) -> None:
    """It says so once, ends without waiting, and what it has comes when the quota allows it."""
    server = start_server("--quota", "*:points=50")
    full = deepevent.start(name="full", project="p")
    for step in range(60):
        full.log({"a": 1.0}, step=step)
    assert full.flush(timeout=60)
    full.log({"a": 2.0}, step=60)
    full.finish()
    assert capfd.readouterr().err.count("its quota is 50") == 1
    server.stop()
    assert list((home / "spool").rglob("*.seg")) and not (home / "quarantine").exists()
    server = start_server()
    deadline = time.monotonic() + 60
    while server.call("GET", f"/api/v1/runs/{full.id}/metrics").json()["metrics"][0]["n"] < 61:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert server.call("GET", f"/api/v1/runs/{full.id}").json()["status"] == "completed"


def test_quotas_are_counted_in_the_store(tmp_path: Path) -> None:
    """Runs, points and bytes by project, those of deleted runs not among them."""
    db = connection.open_database(f"sqlite:///{tmp_path}/deepevent.db")
    migrate.upgrade(db)
    committer = ingest.Committer(db, quotas=quotas.Quotas(db, {"p": Holding(bytes=1)}))
    made = []
    for number in range(2):
        run = f"01j000000000000000000000{number}a"
        start = {"type": "run", "name": "r", "project": "p", "created": 1.0, "rank": 0}
        records = [wire.build_event(1, start), wire.build_shape(2, 0, ["a"])]
        records += [wire.build_points(3 + step, 0, step, 1000.0, [float(step)]) for step in range(10)]
        committer.submit(wire.build_batch(run, run, 1, records))
        made.append(run)
    held = quotas.count(db, with_bytes=True)["p"]
    assert (held.runs, held.points) == (2, 20) and 20 < (held.bytes or 0) < 2000
    checked = quotas.Quotas(db, {"p": Holding(bytes=1)})
    checked.refresh()
    checked.take("q", points=1)
    checked.take("p", runs=1)
    with pytest.raises(QuotaExceeded, match="bytes"):
        checked.take("p", points=1)
    deletion.delete_run(db, made[0])
    assert quotas.count(db, with_bytes=True)["p"].runs == 1
    committer.close()
    db.close()


@pytest.mark.parametrize(
    "text", ["", "p", "p:", ":runs=1", "p:runs", "p:runs=x", "p:runs=1,", "p:cats=1", "p:runs=-1"]
)
def test_a_quota_that_cannot_be_read_is_named(text: str) -> None:
    """With what it should be like."""
    with pytest.raises(SettingsError, match="--quota must be like faces:runs=100"):
        quotas.read([text])


def test_sizes_have_units() -> None:
    """And a project's name may hold a colon."""
    assert quotas.read(["a:b:runs=1k,points=2M,bytes=3GB"]) == {
        "a:b": Holding(1000, 2_000_000, 3_000_000_000)
    }
