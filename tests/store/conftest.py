"""Stores to test with: a SQLite file, and databases of the PostgreSQL server of `postgresql`."""

from __future__ import annotations

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
