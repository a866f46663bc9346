"""`deepevent restore FILE --home DIR`: put a back-up into an empty home, or into an empty PostgreSQL store.

Everything is checked against the archive's manifest; the store gets its name last, so a home has all of the
archive or no store at all.
"""

from __future__ import annotations

import dataclasses
import json
import os
from contextlib import closing
from pathlib import Path

from deepevent.cli._stores import DATABASE_FILE, open_store, plain_errors, require_no_server
from deepevent.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from deepevent.store.archive import Manifest

HELP = "put a back-up into an empty home, and prove that it is whole"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words."""
    parser.add_argument("file", metavar="FILE", type=Path, help="what `deepevent backup` wrote")
    parser.add_argument("--home", metavar="DIR", type=Path, help="where to (default: DEEPEVENT_HOME)")
    parser.add_argument("--store", metavar="URL", help="an empty PostgreSQL store for the tables instead")
    parser.add_argument("--blobs", metavar="URL", help="where images and files go (default: into the home)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Restore, and say what was put back."""
    home = Path(arguments.home or Settings().home).expanduser().absolute()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = require_no_server(home, "restore into it")
    try:
        manifest = _restore(arguments, home)
    finally:
        os.close(lock)
    told = dataclasses.asdict(manifest)
    if arguments.json:
        print(json.dumps(told))
        return 0
    where = arguments.store.partition("://")[0] if arguments.store else home / DATABASE_FILE
    print(f"restored revision {manifest.revision:,} and {manifest.blobs:,} files: {where}")
    return 0


def _restore(arguments: argparse.Namespace, home: Path) -> Manifest:
    from deepevent.store import archive, blobs, copying, migrate

    place = blobs.open_blobs(arguments.blobs or home / "blobs")
    if arguments.store is None:
        return archive.restore(arguments.file, home / DATABASE_FILE, place)
    passing = home / f".{DATABASE_FILE}.passing"
    try:
        manifest = archive.restore(arguments.file, passing, place)
        with (
            closing(open_store(f"sqlite:///{passing}")) as source,
            closing(open_store(arguments.store, must_exist=False)) as target,
        ):
            migrate.upgrade(source)
            plain_errors(copying.copy_store, source, target)
    finally:
        for leftover in home.glob(f"{passing.name}*"):
            leftover.unlink()
    return manifest
