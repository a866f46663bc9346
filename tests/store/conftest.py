"""Stores to test with: a SQLite file, and databases of a PostgreSQL server that the tests start."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deepevent import wire
from deepevent.store import connection, ingest, migrate
from deepevent.store.runs import new_id


def pg_binary(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """Start a PostgreSQL server; call the result for the address of a fresh, migrated database."""
    initdb, server = pg_binary("initdb"), pg_binary("postgres")
    if initdb is None or server is None:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="deepevent-pg-") as folder:
        become: dict[str, Any] = {}
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                user = pwd.getpwnam("nobody")
            os.chown(folder, user.pw_uid, user.pw_gid)
            become = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        data = f"{folder}/data"
        subprocess.run(
            [initdb, "-D", data, "-A", "trust", "-U", "test", "-N", "-E", "UTF8", "--locale=C"],
            check=True,
            capture_output=True,
            cwd=folder,
            **become,
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = ["-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        process = subprocess.Popen(
            [server, "-D", data, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            **become,
        )
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "ready to accept connections" in line:
                    break
            else:
                pytest.fail("PostgreSQL did not start")
            yield _databases(port)
        finally:
            process.send_signal(signal.SIGINT)  # ends without waiting for clients
            process.communicate(timeout=30)


def _databases(port: int) -> Callable[[], str]:
    base = f"postgresql://test@127.0.0.1:{port}"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as admin:
        admin.execute("CREATE DATABASE template_deepevent")
    db = connection.open_database(f"{base}/template_deepevent")
    migrate.upgrade(db)
    db.close()
    numbers = iter(range(10**6))

    def fresh() -> str:
        name = f"test_{next(numbers)}"
        with psycopg.connect(f"{base}/postgres", autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE template_deepevent")
        return f"{base}/{name}"

    return fresh


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
