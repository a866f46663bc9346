from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import deepevent
from deepevent import shipper as shipper_module
from deepevent.segment import segment_numbers

Server = Any  # the IngestServer of conftest.py


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same behaviour at a faster pace."""
    monkeypatch.setattr(shipper_module, "BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(shipper_module, "BACKOFF_LIMIT_S", 0.05)
    monkeypatch.setattr(shipper_module, "LOOK_INTERVAL_S", 0.05)
    monkeypatch.setattr(shipper_module, "NOTE_INTERVAL_S", 0.0)


def steps(server: Server) -> list[int]:
    return [step for step, _ in server.points()]


def test_everything_arrives_in_order_and_the_spool_is_empty(home: Path, ingest_server: Server) -> None:
    """What is logged arrives once and in order; a finished and acknowledged run leaves no file."""
    ingest_server.announce(home)
    run = deepevent.start(name="whole", config={"lr": 0.1})
    for step in range(50_000):
        run.log({"a": float(step)}, step, epoch=1)
    assert run.flush()
    assert steps(ingest_server) == list(range(50_000))
    run.finish()
    (event,) = ingest_server.events("run")
    assert event["name"] == "whole"
    assert event["config"] == {"lr": 0.1}
    assert [event["status"] for event in ingest_server.events("finish")] == ["completed"]
    assert list((home / "spool").iterdir()) == []
    assert set(ingest_server.tokens) == {"Bearer local-token"}


def test_a_server_that_starts_later_is_found(home: Path, ingest_server: Server) -> None:
    """A script that spools ships by itself as soon as a server announces itself."""
    run = deepevent.start()
    run.log({"a": 1.0}, step=1)
    assert not run.flush()
    assert run.url is None
    ingest_server.announce(home)
    ingest_server.wait_for(lambda: steps(ingest_server) == [1])
    assert run.url == f"{ingest_server.url}/runs/{run.id}"


def test_a_named_server(home: Path, ingest_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEEPEVENT_URL and DEEPEVENT_TOKEN, or the argument, point a script elsewhere."""
    monkeypatch.setenv("DEEPEVENT_TOKEN", "secret")
    run = deepevent.start(url=ingest_server.url + "/")
    run.log({"a": 1.0})
    assert run.flush(10)
    assert ingest_server.tokens[0] == "Bearer secret"


def test_a_busy_server_is_asked_again(home: Path, ingest_server: Server) -> None:
    """429 and 503 lose nothing and double nothing."""
    ingest_server.refusals = [(429, {"Retry-After": "0.02"}), (503, {}), (500, {}), (502, {}), (408, {})]
    ingest_server.announce(home)
    run = deepevent.start()
    for step in range(100):
        run.log({"a": 1.0}, step)
    assert run.flush(20)
    assert steps(ingest_server) == list(range(100))
    assert ingest_server.refusals == []


@pytest.mark.parametrize(("status", "advice"), [(401, "DEEPEVENT_TOKEN"), (403, "logger")])
def test_a_refused_token_is_said_once_and_the_data_stays(
    home: Path, ingest_server: Server, status: int, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script is told what to do; when the token is right again, everything arrives."""
    ingest_server.refusals = [(status, {})] * 4
    ingest_server.announce(home)
    run = deepevent.start()
    run.log({"a": 1.0}, step=3)
    ingest_server.wait_for(lambda: steps(ingest_server) == [3])
    said = capsys.readouterr().err
    assert said.count(f"answered {status}") == 1
    assert advice in said


@pytest.mark.parametrize(("status", "advice"), [(404, "deleted"), (413, "sync"), (422, "report")])
def test_what_is_never_taken_stays_in_the_spool(
    home: Path, ingest_server: Server, status: int, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lasting refusal is said once, nothing more is sent, the script ends at once, and the data stays."""
    ingest_server.refusals = [(status, {})]
    ingest_server.announce(home)
    run = deepevent.start()
    for step in range(10):
        run.log({"a": 1.0}, step)
    assert not run.flush(20)
    folder = Path(run.folder)
    run.finish()
    assert ingest_server.points() == []
    assert segment_numbers(str(folder)) == [0]
    said = capsys.readouterr().err
    assert said.count(f"answered {status}") == 1
    assert advice in said


def test_a_server_with_less_is_sent_from_there(home: Path, ingest_server: Server) -> None:
    """409 rewinds: a server that came back from a backup gets the records that it lacks."""
    ingest_server.announce(home)
    run = deepevent.start()
    run.log({"a": 0.0}, step=0)
    assert run.flush(20)
    with ingest_server.progress:
        ((writer, records),) = ingest_server.records.items()
        ingest_server.last[writer] = 1
        del records[1:]
    run.log({"a": 1.0}, step=1)
    assert run.flush(20)
    assert steps(ingest_server) == [0, 1]


def test_a_server_with_a_new_database_is_said(
    home: Path, ingest_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """Records that are acknowledged and gone cannot be sent again: the script is told, and keeps the rest."""
    ingest_server.announce(home)
    run = deepevent.start()
    for step in range(60_000):
        run.log({"a": 0.0}, step=step)
    assert run.flush(20)
    assert segment_numbers(run.folder)[0] > 0
    with ingest_server.progress:
        ingest_server.last.clear()
        ingest_server.records.clear()
    run.log({"a": 1.0}, step=1)
    assert not run.flush(20)
    assert "database been replaced" in capsys.readouterr().err
    assert Path(run.folder).is_dir()


def test_blobs_go_before_the_batch_that_names_them(home: Path, ingest_server: Server) -> None:
    """An image is on the server before the event that shows it, and leaves the spool afterwards."""
    ingest_server.announce(home)
    run = deepevent.start()
    assert run.flush(20)
    with ingest_server.progress:
        ingest_server.order.clear()
    run.log_image("sample", b"\x89PNG\r\n\x1a\n...", step=2, caption="a face")
    assert run.flush(20)
    assert ingest_server.order == ["blob", "batch"]
    (event,) = ingest_server.events("media")
    assert ingest_server.blobs == {event["blob"]: b"\x89PNG\r\n\x1a\n..."}
    assert event["data"] == {"caption": "a face"}
    run.log({"a": 1.0})
    assert run.flush(20)
    assert not any(Path(run.folder, "blobs").iterdir())


def test_a_refused_blob_does_not_hold_up_the_run(
    home: Path, ingest_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that the server will never take is set aside and said; the points go on."""
    run = deepevent.start()
    run.log_image("sample", b"\x89PNG\r\n\x1a\n...")
    run.log({"a": 1.0}, step=9)
    ingest_server.refusals = [(413, {})]
    ingest_server.announce(home)
    ingest_server.wait_for(lambda: steps(ingest_server) == [9])
    run.finish()
    assert len(list(Path(run.folder, "refused").iterdir())) == 1
    assert "was not taken" in capsys.readouterr().err


def test_stop_reaches_the_script(home: Path, ingest_server: Server) -> None:
    """`should_stop` comes back with an answer."""
    ingest_server.announce(home)
    run = deepevent.start()
    assert not run.should_stop
    ingest_server.should_stop = True
    run.log({"a": 1.0})
    run.flush(20)
    assert run.should_stop


def test_a_silent_run_sends_heartbeats(
    home: Path, ingest_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that logs nothing for a while is still known to live."""
    monkeypatch.setattr(shipper_module, "HEARTBEAT_INTERVAL_S", 0.02)
    monkeypatch.setattr(shipper_module, "TEND_INTERVAL_S", 0.02)
    ingest_server.announce(home)
    deepevent.start()
    ingest_server.wait_for(lambda: ingest_server.heartbeats >= 2)


def test_nothing_is_kept_in_memory_while_the_server_is_away(home: Path) -> None:
    """What waits lies on disk: a script that logs for long without a server does not grow."""
    import tracemalloc

    run = deepevent.start()
    for step in range(30_000):
        run.log({"a": float(step)}, step)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for step in range(30_000):
            run.log({"a": float(step)}, step)
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


def test_the_end_does_not_wait_for_a_dead_server(home: Path) -> None:
    """Without anybody at the other end, a script ends at once and its points stay."""
    (home / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "token": "", "pid": 1}))
    run = deepevent.start()
    run.log({"a": 1.0})
    ended = threading.Event()
    begun = time.monotonic()
    run.finish()
    ended.set()
    assert time.monotonic() - begun < 8  # the time limit is 10 s: it was not waited for
    assert segment_numbers(run.folder) == [0]


def test_a_broken_server_file_is_no_server(home: Path) -> None:
    """Half a `server.json`, or one of another kind, is ignored."""
    for content in ("", "{", "[]", '{"port": 3}', '{"url": 3}', "\0"):
        (home / "server.json").write_text(content)
        run = deepevent.start()
        run.log({"a": 1.0})
        assert not run.flush(0.05)
        run.finish()


def test_segments_go_as_they_are_acknowledged(home: Path, ingest_server: Server) -> None:
    """A long run does not fill the disk of a machine with a server."""
    ingest_server.announce(home)
    run = deepevent.start()
    for step in range(70_000):
        run.log({"a": float(step)}, step)
    assert run.flush(60)
    run.log({"a": 1.0}, step=0)
    assert run.flush(60)
    assert len(segment_numbers(run.folder)) <= 2
    assert len(steps(ingest_server)) == 70_001
