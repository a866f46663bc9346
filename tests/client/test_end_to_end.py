"""The real client and the real server where one of them is at a limit: too slow, long away, or full."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

import deepevent
from deepevent import wire
from deepevent.ids import new_id
from deepevent.journal import Journal
from deepevent.store import connection, curves

Server = Any  # the Server of the topmost conftest.py
DAY_S = 86_400.0
LIMIT_S = 60


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the store's write lock from outside: the server can take, and cannot commit."""
    db = connection.open_database(f"sqlite:///{home}/deepevent.db")
    try:
        with db.write():
            yield
    finally:
        db.close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def raw(home: Path, run_id: str, metric: str) -> curves.Points:
    db = connection.open_database(f"sqlite:///{home}/deepevent.db")
    try:
        return curves.read_points(db, run_id, metric)
    finally:
        db.close()


def test_a_server_that_is_slower_than_its_writers(
    start_server: Callable[..., Server], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beyond what may wait in memory the server answers 429 with Retry-After; the writers lose nothing."""
    server = start_server("--ingest-memory", "1")
    names = [f"m{number}" for number in range(50)]
    record = wire.build_points(3, 0, 0, 1.0, [0.5] * len(names))

    def large_batch() -> wire.Batch:
        head = [wire.build_event(1, {"type": "run", "created": 1.0}), wire.build_shape(2, 0, names)]
        body = b"".join(head) + record * 1700
        return wire.Batch(new_id(), new_id(), 0, 1, 1702, time.time(), body)

    answers: list[requests.Response] = []

    def post() -> None:
        data = wire.encode(large_batch())
        headers = {"Content-Type": wire.CONTENT_TYPE}
        answers.append(server.call("POST", "/api/v1/ingest", data=data, headers=headers))

    run = deepevent.start(name="patient")
    threads = [threading.Thread(target=post) for _ in range(4)]
    with locked(home):
        for thread in threads:
            thread.start()
        wait_until(lambda: any(answer.status_code == 429 for answer in answers))
        for step in range(3_000):
            run.log(dict.fromkeys(names, float(step)), step)
    for thread in threads:
        thread.join(LIMIT_S)
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert "send this one again" in refused[0].json()["detail"]
    assert run.flush(LIMIT_S)
    for name in (names[0], names[-1]):
        assert raw(home, run.id, name).steps.tolist() == list(range(3_000))
    assert "refused" not in capsys.readouterr().err


def write_offline(home: Path, times: list[float], monkeypatch: pytest.MonkeyPatch) -> str:
    """Leave the spool of a script that logged one point at each of these times, and was then killed."""
    run_id, writer_id = new_id(), new_id()
    monkeypatch.setattr("deepevent.journal.now", iter([*times, *times]).__next__)
    first = {"type": "run", "name": "offline", "project": "default", "created": times[0], "config": {}}
    journal = Journal(str(home / "spool" / run_id / writer_id), run_id, writer_id, 0, first)
    for step, _ in enumerate(times):
        journal.log({"loss": float(step)}, step)
    monkeypatch.undo()
    journal.release()
    return run_id


def test_days_offline_and_a_clock_that_went_back(
    home: Path, start_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of last week arrives with its own times, in the order of logging, however its clock jumped."""
    week_ago = time.time() - 7 * DAY_S
    times = [week_ago + n for n in range(50)]
    times += [week_ago - DAY_S + n for n in range(50)]  # the clock was set back by a day
    times += [week_ago + 3 * DAY_S + n for n in range(50)]
    run_id = write_offline(home, times, monkeypatch)
    monkeypatch.setenv("DEEPEVENT_HOME", str(home))
    server = start_server()
    wait_until(lambda: not any((home / "spool").iterdir()))
    points = raw(home, run_id, "loss")
    assert points.steps.tolist() == list(range(150))
    assert points.times.tolist() == times
    told = server.call("GET", f"/api/v1/runs/{run_id}").json()
    assert told["created"] == times[0]
    assert abs(told["writers"][0]["clock_offset_s"]) < LIMIT_S  # of the sender, not of the records' age
    body = {"queries": [{"run": run_id, "metric": "loss"}], "x": "time"}
    (curve,) = server.call("POST", "/api/v1/curves", json=body).json()["curves"]
    assert curve["x"] == sorted(times)


def test_the_difference_of_clocks_is_recorded_and_not_mixed_in(server: Server, home: Path) -> None:
    """A script whose clock is an hour behind is known to be, and its points keep its own times."""
    run_id, writer_id, now = new_id(), new_id(), time.time()
    behind = now - 3600
    records = [
        wire.build_event(1, {"type": "run", "name": "behind", "created": behind}),
        wire.build_shape(2, 0, ["loss"]),
        wire.build_points(3, 0, 0, behind, [1.0]),
    ]
    batch = wire.build_batch(run_id, writer_id, 1, records, sent_at=behind)
    headers = {"Content-Type": wire.CONTENT_TYPE}
    answer = server.call("POST", "/api/v1/ingest", data=wire.encode(batch), headers=headers)
    assert answer.status_code == 200
    (writer,) = server.call("GET", f"/api/v1/runs/{run_id}").json()["writers"]
    assert 3600 <= writer["clock_offset_s"] < 3600 + LIMIT_S
    assert raw(home, run_id, "loss").times.tolist() == [behind]


def test_a_run_at_its_limit_of_names(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script hears it, or the run's page if its own limit is higher; known names go on."""
    monkeypatch.setenv("DEEPEVENT_METRIC_LIMIT", "3")
    with deepevent.start(name="narrow") as narrow:
        narrow.log({"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0})
        narrow.log({"a": 2.0, "e": 1.0})
        assert narrow.flush(LIMIT_S)
    assert "at most 3 metric names" in capsys.readouterr().err
    metrics = server.call("GET", f"/api/v1/runs/{narrow.id}/metrics").json()["metrics"]
    assert {metric["name"]: metric["n"] for metric in metrics} == {"a": 2, "b": 1, "c": 1}

    monkeypatch.setenv("DEEPEVENT_METRIC_LIMIT", "20000")
    run = deepevent.start(name="wide")
    for number in range(0, 10_200, 100):
        run.log({f"layer/{name}": 1.0 for name in range(number, number + 100)}, step=0)
    run.log({"layer/0": 2.0, "layer/10199": 2.0}, step=1)
    assert run.flush(LIMIT_S)
    told = server.call("GET", f"/api/v1/runs/{run.id}").json()
    assert told["metric_limit_reached"] is True
    assert told["status"] == "running"
    assert raw(home, run.id, "layer/0").values.tolist() == [1.0, 2.0]
    metrics = server.call("GET", f"/api/v1/runs/{run.id}/metrics").json()["metrics"]
    assert len(metrics) == 10_000


def test_a_blob_is_sent_again_with_its_batch(home: Path, server: Server) -> None:
    """An image whose batch could not be committed is there when the batch is, even if it was swept."""
    run = deepevent.start(name="images")
    assert run.flush(LIMIT_S)
    blobs = home / "blobs"
    with locked(home):
        run.log_image("sample", b"\x89PNG\r\n\x1a\n" + bytes(100), step=1)
        wait_until(lambda: any(blobs.glob("??/*")))
        (blob,) = blobs.glob("??/*")
        blob.unlink()
        wait_until(lambda: any(blobs.glob("??/*")))  # the batch was answered 503, and the file came again
    assert run.flush(LIMIT_S)
    (medium,) = server.call("GET", f"/api/v1/runs/{run.id}/media").json()["media"]
    answer = server.call("GET", f"/api/v1/blobs/{medium['blob']}")
    assert answer.status_code == 200
    assert len(answer.content) == 108


def test_nothing_is_lost_by_a_store_that_breaks(server: Server, home: Path) -> None:
    """A broken constraint is the server's trouble: the script keeps trying, and goes on once it is mended."""
    run = deepevent.start(name="faithful")
    run.log({"x": 1.0}, step=0)
    assert run.flush(LIMIT_S)
    db = connection.open_database(f"sqlite:///{home}/deepevent.db")
    columns = 'n, min_step, max_step, min_time, max_time, steps, times, "values" FROM blocks'
    with db.write() as c:
        c.execute(sa.text(f"INSERT INTO blocks SELECT metric_id, 1, {columns}"))
    run.log({"x": 2.0}, step=1)
    assert not run.flush(0.5)
    with db.write() as c:
        c.execute(sa.text("DELETE FROM blocks WHERE first_index = 1"))
    db.close()
    assert run.flush(LIMIT_S)
    assert raw(home, run.id, "x").values.tolist() == [1.0, 2.0]


def test_sync_sends_what_days_without_a_server_left(
    home: Path, tmp_path: Path, start_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`deepevent sync` to a server elsewhere brings the whole of it, once, also when it is called twice."""
    elsewhere = tmp_path / "laptop"
    run_id = write_offline(elsewhere, [time.time() - 3 * DAY_S + n for n in range(200)], monkeypatch)
    monkeypatch.setenv("DEEPEVENT_HOME", str(home))
    server = start_server()
    monkeypatch.setenv("DEEPEVENT_TOKEN", server.token)
    words = [str(Path(sys.executable).with_name("deepevent")), "sync", "--home", str(elsewhere)]
    for sent in ("of 1 writers", "of 0 writers"):
        done = subprocess.run([*words, "--url", server.url], capture_output=True, text=True, timeout=LIMIT_S)
        assert done.returncode == 0, done.stderr
        assert sent in done.stdout
    assert raw(home, run_id, "loss").steps.tolist() == list(range(200))
