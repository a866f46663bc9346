"""Fixtures of the job tests: a store on each database, and agents."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deepevent.store import connection, migrate, schema

SCRIPTS = Path(__file__).with_name("scripts.toml")


def find_postgres() -> Path | None:
    """The folder of the newest PostgreSQL's programs, if there is one."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which("pg_ctl")
    return folders[-1] if folders else Path(found).parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of this session alone, on a Unix socket."""
    programs = find_postgres()
    if programs is None:
        pytest.fail("PostgreSQL is missing: see tests/system_packages.sh")
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="deepevent-pg-"))
    if user:
        shutil.chown(folder, user)
    run = {
        "user": user,
        "cwd": folder,
        "check": True,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    data = folder / "data"
    subprocess.run([programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N"], **run)
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    subprocess.run(
        [programs / "pg_ctl", "-D", data, "-w", "-o", options, "-l", folder / "log", "start"], **run
    )
    try:
        yield str(folder)
    finally:
        subprocess.run([programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **run)
        shutil.rmtree(folder)


class PostgresStore:
    """One migrated database, which is emptied for each test: making one of its own takes a second."""

    def __init__(self, folder: str) -> None:
        import psycopg

        self._connect = {"host": folder, "user": "postgres", "autocommit": True}
        with psycopg.connect(dbname="postgres", **self._connect) as admin:
            admin.execute("CREATE DATABASE jobs")
        self.url = f"postgresql+psycopg://postgres@/jobs?host={folder}"
        db = connection.open_database(self.url)
        migrate.upgrade(db)
        with db.read() as reading:
            tables = schema.metadata.sorted_tables
            self._first = {table: reading.execute(sa.select(table)).mappings().all() for table in tables}
        db.close()

    def empty(self) -> str:
        """Bring it back to what the migrations made; give its address."""
        import psycopg

        names = ", ".join(f'"{table.name}"' for table in self._first)
        with psycopg.connect(dbname="jobs", **self._connect) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = 'jobs' AND pid <> pg_backend_pid()"
            )
            admin.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
        db = connection.open_database(self.url)
        with db.write() as writing:
            for table, rows in self._first.items():
                if rows:
                    writing.execute(sa.insert(table), [dict(row) for row in rows])
        db.close()
        return self.url


@pytest.fixture(scope="session")
def postgres_store(postgres: str) -> PostgresStore:
    """The database of this session in PostgreSQL."""
    return PostgresStore(postgres)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty, migrated store: a SQLite file, or the database in PostgreSQL."""
    if request.param == "postgresql":
        store: PostgresStore = request.getfixturevalue("postgres_store")
        return store.empty()
    url = f"sqlite:///{tmp_path / 'deepevent.db'}"
    db = connection.open_database(url)
    migrate.upgrade(db)
    db.close()
    return url


@pytest.fixture
def db(store_url: str) -> Iterator[connection.Database]:
    """That store, open."""
    database = connection.open_database(store_url)
    yield database
    database.close()


@dataclass
class AgentProcess:
    """A running `deepevent agent`."""

    process: "subprocess.Popen[str]"
    log: Path

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end, and give its exit code."""
        self.process.terminate()
        return self.process.wait(60)


@pytest.fixture
def start_agent(home: Path, tmp_path: Path) -> Iterator[Callable[..., AgentProcess]]:
    """Start agents with the recipes of a file, or those that ship (None); all are killed at the end."""
    started: list[AgentProcess] = []

    def start(*arguments: str, recipes: Path | None = SCRIPTS, **environment: str) -> AgentProcess:
        log = tmp_path / f"agent-{len(started)}.log"
        command = [Path(sys.executable).with_name("deepevent"), "agent", "--grace", "1"]
        command += [] if recipes is None else ["--no-own-recipes", "--recipes", recipes]
        with log.open("w") as file:
            process = subprocess.Popen(
                [*command, *arguments],
                env={**os.environ, **environment},
                stderr=file,
                stdout=file,
                text=True,
            )
        started.append(AgentProcess(process, log))
        wait_until(lambda: "takes" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        return started[-1]

    yield start
    for agent in started:
        agent.kill()


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[..., Any]:
    """`wait_until`, for tests."""
    return wait_until


def wait_until(condition: Callable[[], Any], limit_s: float = 60.0) -> Any:
    """Look until a condition holds, which no event tells of, and give what it returned."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found
