"""Stores are brought to the newest revision, and never by guessing."""

from __future__ import annotations

import stat
import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from deepevent.errors import SettingsError, StoreBusy, StoreTooNew
from deepevent.store import connection, migrate, runs, schema


def test_the_migrations_make_the_tables_of_the_schema(db):
    """Migrating an empty store gives exactly the metadata, on both databases."""
    with db.read() as c:
        context = MigrationContext.configure(c, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_head_is_the_head_of_the_scripts():
    """The constant that spares the import of Alembic is the newest script's revision."""
    config = Config()
    config.set_main_option("script_location", str(migrate.scripts_folder()))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == migrate.HEAD


def test_a_store_at_head_needs_no_alembic(sqlite_url):
    """Opening a store that is up to date loads neither Alembic nor the filter grammar."""
    code = (
        "import sys; from deepevent.store import connection, migrate\n"
        f"db = connection.open_database({sqlite_url!r}); assert not migrate.upgrade(db)\n"
        "from deepevent.store import runs; runs.get_runs(db, []); db.close()\n"
        "assert not {'alembic'} & set(sys.modules), 'loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_upgrade_works_once_and_only_its_owner_may_read_the_file(tmp_path):
    """A fresh store is migrated once, its file has mode 0600, and it is empty."""
    path = tmp_path / "new.db"
    db = connection.open_database(f"sqlite:///{path}")
    assert migrate.current(db) is None
    assert migrate.upgrade(db) is True
    assert migrate.upgrade(db) is False
    assert runs.list_runs(db).total == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    db.close()


def test_a_store_of_a_newer_program_is_refused(db):
    """A revision that this program does not know is refused, and nothing is touched."""
    with db.write() as c:
        c.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreTooNew, match="newer DeepEvent"):
        migrate.upgrade(db)
    assert migrate.current(db) == "9999"


def test_an_old_file_is_copied_before_it_is_migrated(sqlite_db, tmp_path, monkeypatch):
    """The copy beside the store is a whole database, for its owner alone."""
    run = runs.create_run(sqlite_db, name="precious")
    migrate._back_up(sqlite_db.path)
    (copy,) = tmp_path.glob("*.before-*")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    db = connection.open_database(f"sqlite:///{copy}")
    assert runs.get_run(db, run["id"])["name"] == "precious"
    db.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_cannot_be_used_is_refused(url):
    """Only SQLite files and PostgreSQL are stores."""
    with pytest.raises(SettingsError):
        connection.open_database(url)


def test_a_server_that_is_not_there_is_busy():
    """A PostgreSQL that does not answer is an error with a sentence, not a traceback of the driver."""
    db = connection.open_database("postgresql://127.0.0.1:9/none")
    with pytest.raises(StoreBusy, match="could not"):
        db.revision()
    db.close()
