"""`deepevent copy-store FROM TO`: copy a store into an empty one, from SQLite to PostgreSQL or back.

Counts and checksums of every table are compared afterwards. Blobs are files and stay where they are: a server
that is started on the same home with `--store` goes on with them.
"""

from __future__ import annotations

import json
import os
import sys

from deepevent.cli._stores import home_of, open_store, plain_errors, require_no_server, store_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

HELP = "copy a store into an empty one (SQLite to PostgreSQL or back), verified by counts and checksums"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words."""
    parser.add_argument("source", metavar="FROM", help="an address, or a home folder")
    parser.add_argument("target", metavar="TO", help="an address, or a home folder; must be empty")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Copy, compare, and say what was copied."""
    source_address, target_address = store_address(arguments.source), store_address(arguments.target)
    held = []
    source = open_store(source_address)
    try:
        for address in (source_address, target_address):
            home = home_of(address)
            if home is not None:
                home.mkdir(mode=0o700, parents=True, exist_ok=True)
                held.append(require_no_server(home, "copy its store"))
        target = open_store(target_address, must_exist=False)
        try:
            from deepevent.store.copying import copy_store

            copied = plain_errors(copy_store, source, target)
        finally:
            target.close()
    finally:
        source.close()
        for descriptor in held:
            os.close(descriptor)
    n_rows = sum(table.rows for table in copied)
    if arguments.json:
        tables = {table.table: {"rows": table.rows, "checksum": table.checksum} for table in copied}
        print(json.dumps({"rows": n_rows, "tables": tables}))
        return 0
    for table in copied:
        print(f"{table.table:<18} {table.rows:>12,} rows   {table.checksum[:16]}…")
    print(f"copied and compared: {n_rows:,} rows in {len(copied)} tables")
    home = home_of(source_address)
    if home is not None and (home / "blobs").is_dir():
        print(f"images and files stay in {home / 'blobs'}: keep that home for the server", file=sys.stderr)
    return 0
