"""What the client's tests share: a home of their own, and a small server that speaks docs/formats.md."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import deepevent
from deepevent import notices, wire
from deepevent.ids import new_id
from deepevent.journal import Journal
from deepevent.liveruns import live_runs
from deepevent.segment import SegmentHeader, scan_segment, segment_name, segment_numbers

RUN_EVENT = {"type": "run", "name": "a run"}


class IngestServer:
    """Takes batches and blobs as docs/formats.md says, exactly once, and keeps the records."""

    def __init__(self) -> None:
        self.records: dict[str, list[wire.Record]] = {}
        self.last: dict[str, int] = {}
        self.blobs: dict[str, bytes] = {}
        self.order: list[str] = []
        self.refusals: list[tuple[int, dict[str, str]]] = []  # answers to give before the usual ones
        self.n_requests = 0
        self.tokens: list[str | None] = []
        self.should_stop = False
        self.progress = threading.Condition()
        self.heartbeats = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def answer(
                self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None
            ) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.take(outer.ingest)

            def do_PUT(self) -> None:
                self.take(outer.put)

            def take(self, action: Callable[[str, bytes], tuple[int, dict[str, Any]]]) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.progress:
                    outer.n_requests += 1
                    outer.tokens.append(self.headers["Authorization"])
                    if outer.refusals:
                        status, headers = outer.refusals.pop(0)
                        outer.progress.notify_all()
                        self.answer(status, {"detail": "as the test says"}, headers)
                        return
                    status, content = action(self.path, data)
                    outer.progress.notify_all()
                self.answer(status, content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def ingest(self, _: str, data: bytes) -> tuple[int, dict[str, Any]]:
        batch = wire.decode(data)
        last = self.last.get(batch.writer_id, 0)
        if batch.n_records == 0:
            self.heartbeats += 1
        elif batch.first_sequence > last + 1:
            return 409, {"expected": last + 1}
        else:
            self.order.append("batch")
            fresh = [r for r in wire.iter_records(batch.body, batch.first_sequence) if r.sequence > last]
            self.records.setdefault(batch.writer_id, []).extend(fresh)
            last = self.last[batch.writer_id] = max(last, batch.last_sequence)
        return 200, {"acknowledged": last, "should_stop": self.should_stop, "time": 0.0}

    def put(self, path: str, data: bytes) -> tuple[int, dict[str, Any]]:
        self.order.append("blob")
        self.blobs[path.rpartition("/")[2]] = data
        return 201, {}

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 20) -> None:
        """Wait until the condition holds; it is looked at after each request."""
        with self.progress:
            assert self.progress.wait_for(condition, timeout_s)

    def points(self) -> list[tuple[int, dict[str, float]]]:
        """Step and values of every points record, writer by writer."""
        return [point for records in self.records.values() for point in points_of(records)]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of one type."""
        records = [record for records in self.records.values() for record in records]
        return [r.event for r in records if r.event is not None and r.event["type"] == kind]

    def announce(self, home: Path) -> None:
        """Write `server.json`, as `deepevent serve` does."""
        made = home / "server.json.new"
        made.write_text(json.dumps({"url": self.url, "token": "local-token", "pid": 1}))
        made.rename(home / "server.json")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def points_of(records: list[wire.Record]) -> list[tuple[int, dict[str, float]]]:
    shapes: dict[int, tuple[str, ...]] = {}
    points = []
    for record in records:
        if record.kind == wire.KIND_SHAPE:
            shapes[record.shape_id] = record.names
        elif record.kind == wire.KIND_POINTS:
            points.append((record.step, dict(zip(shapes[record.shape_id], record.values, strict=True))))
    return points


def read_folder(folder: Path) -> list[wire.Record]:
    """Every published record of a writer's folder, which must be undamaged."""
    records: list[wire.Record] = []
    for number in segment_numbers(str(folder)):
        data = (folder / segment_name(number)).read_bytes()
        header = SegmentHeader(data)
        assert header.first_sequence == len(records) + 1
        scan = scan_segment(data, header.first_sequence, header.end)
        assert not scan.damage
        for span in scan.spans:
            records.extend(wire.iter_records(data[span.start : span.end], span.first_sequence))
    return records


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for this test alone, as the environment of the process and of its children."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("DEEPEVENT_HOME", str(folder))
    for name in ("CAPTURE", "SYSTEM_INTERVAL"):
        monkeypatch.setenv(f"DEEPEVENT_{name}", "0")  # what was logged, and nothing else
    for name in ("URL", "TOKEN", "RUN", "MODE", "STRICT"):
        monkeypatch.delenv(f"DEEPEVENT_{name}", raising=False)
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(autouse=True)
def runs_are_finished() -> Iterator[None]:
    """The runs that a test starts end with it, and what was said once is said again in the next test."""
    notices._said.clear()
    yield
    for run in list(live_runs):
        run.finish()


@pytest.fixture
def ingest_server() -> Iterator[IngestServer]:
    made = IngestServer()
    yield made
    made.close()


@pytest.fixture
def make_journal(tmp_path: Path) -> Iterator[Callable[..., Journal]]:
    """Makes journals of one run, and releases them at the end."""
    made: list[Journal] = []
    run_id = new_id()

    def make(**options: Any) -> Journal:
        writer_id = new_id()
        folder = tmp_path / "spool" / run_id / writer_id
        made.append(Journal(str(folder), run_id, writer_id, 0, RUN_EVENT, **options))
        return made[-1]

    yield make
    for journal in made:
        journal.release()


@pytest.fixture
def read_points() -> Callable[[str], list[tuple[int, dict[str, float]]]]:
    """Reads the points of a writer's folder."""
    return lambda folder: points_of(read_folder(Path(folder)))


@pytest.fixture
def read_events() -> Callable[..., list[dict[str, Any]]]:
    """Reads the events of a writer's folder."""
    return lambda folder: [r.event for r in read_folder(Path(folder)) if r.event is not None]


@pytest.fixture
def run_here(home: Path) -> Iterator[deepevent.Run]:
    """A run that stays in the spool."""
    run = deepevent.start(name="here")
    yield run
    run.finish()
