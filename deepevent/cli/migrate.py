"""`deepevent migrate`: bring a store's tables to what this program expects; a file is copied before."""

from __future__ import annotations

import json

from deepevent.cli._stores import home_of, open_store, plain_errors, require_no_server, store_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from pathlib import Path

HELP = "upgrade a store to this version's tables, with a copy of a SQLite file before"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words."""
    parser.add_argument("--store", help="its address, or a home folder (default: the home's store)")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit code 1 if it is to be upgraded"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Upgrade; a store that is newer than this program is refused and left as it is."""
    address = store_address(arguments.store)
    db = open_store(address, must_exist=True)
    try:
        from deepevent.store import migrate

        found = plain_errors(migrate.current, db)
        pending = found != migrate.HEAD
        before = _copies(db.path)
        if pending and not arguments.check:
            home = home_of(address)
            if home is not None:
                require_no_server(home, "upgrade its store")
            migrate.upgrade(db)
        elif pending:
            migrate.require_known(found)
        copies = sorted(_copies(db.path) - before)
        where = str(db.path or db.url.render_as_string(hide_password=True))
        result = {"store": where, "from": found, "to": migrate.HEAD, "pending": pending, "copies": copies}
    finally:
        db.close()
    if arguments.json:
        print(json.dumps(result))
    elif not pending:
        print(f"{where} is at revision {found}, the newest")
    elif arguments.check:
        print(f"{where} is at revision {found} and is to be upgraded to {migrate.HEAD}")
    else:
        print(f"{where} is upgraded from revision {found} to {migrate.HEAD}")
        for copy in copies:
            print(f"what it was lies in {copy}")
    return 1 if pending and arguments.check else 0


def _copies(path: Path | None) -> set[str]:
    return set() if path is None else {str(copy) for copy in path.parent.glob(f"{path.name}.before-*")}
