"""Fixtures of the job tests: a store on each database."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepevent.store import connection, migrate


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
