"""Brings a store to the newest revision of its tables.

Alembic's environment lies beside the package in a checkout (migrations/) and inside it in a wheel
(deepevent/_migrations). Alembic costs a third of a second to import, so a store that is already at
HEAD never loads it.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, ProgrammingError

from deepevent.errors import StoreError, StoreTooNew
from deepevent.store.connection import Database

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0006"
VERSION_TABLE = "alembic_version"


def current(db: Database) -> str | None:
    """Return the revision that the store is at; None for a store without tables."""
    with db.read() as connection:
        if not sa.inspect(connection).has_table(VERSION_TABLE):
            return None
        version = connection.execute(
            sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))
        ).scalar()
        return None if version is None else str(version)


def upgrade(db: Database) -> bool:
    """Bring the store to HEAD.

    A SQLite file that holds something is first copied beside itself, `<name>.before-<HEAD>-<time>`.

    Returns: whether anything had to be done.

    Raises:
        StoreTooNew: a newer DeepEvent made it.
        StoreError: a migration failed; the store is as it was.
    """
    found = current(db)
    if found == HEAD:
        return False
    from alembic import command

    config = require_known(found)
    if found is not None and db.path is not None:
        _back_up(db.path)
    try:
        with db.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, HEAD)
    except (OperationalError, ProgrammingError) as error:
        raise StoreError(f"the store could not be upgraded from {found} to {HEAD}: {error.orig}") from error
    return True


def require_known(found: str | None) -> Config:
    """Return Alembic's configuration.

    Raises:
        StoreTooNew: the revision is none of ours.
    """
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StoreTooNew(
            f"the store is at revision {found!r} and this DeepEvent knows up to {HEAD!r}: "
            "it was made by a newer DeepEvent, upgrade this one"
        )
    return config


def scripts_folder() -> Path:
    """Return where Alembic's environment lies: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise StoreError(f"the migrations are missing beside {str(package)!r}: install DeepEvent again")


def _back_up(path: Path) -> None:
    copy = path.with_name(f"{path.name}.before-{HEAD}-{time.strftime('%Y%m%d-%H%M%S')}")
    copy.touch(mode=0o600)
    source, target = sqlite3.connect(path), sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()
