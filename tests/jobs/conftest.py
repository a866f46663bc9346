"""Fixtures of the job tests: a store on each database, and agents."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deepevent.store import connection, migrate

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


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty, migrated store: a SQLite file, or a database of its own in PostgreSQL."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'deepevent.db'}"
    else:
        import psycopg

        folder = request.getfixturevalue("postgres")
        name = f"jobs_{uuid.uuid4().hex}"
        with psycopg.connect(host=folder, user="postgres", dbname="postgres", autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{name}"')
        url = f"postgresql+psycopg://postgres@/{name}?host={folder}"
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
