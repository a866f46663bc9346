"""`deepevent backup FILE`: everything that a store holds, and its images and files, in one archive.

Servers may go on meanwhile: the archive has the store as it was at one moment. `deepevent restore` puts it
back, and proves that it is whole.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from deepevent.cli._stores import home_of, open_store, plain_errors, store_address
from deepevent.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

HELP = "write the store and its files into one archive, while servers go on"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words."""
    parser.add_argument("file", metavar="FILE", type=Path, help="the archive; must not exist yet")
    parser.add_argument("--store", help="its address, or a home folder (default: the home's store)")
    parser.add_argument("--blobs", metavar="URL", help="where its files lie (default: in the home)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Write the archive and say what is in it."""
    address = store_address(arguments.store)
    home = home_of(address) or Path(Settings().home).expanduser().absolute()
    db = open_store(address)
    try:
        from deepevent.store import archive, blobs

        place = blobs.open_blobs(arguments.blobs or home / "blobs")
        manifest = plain_errors(archive.back_up, db, place, arguments.file.absolute())
    finally:
        db.close()
    if arguments.json:
        print(json.dumps(dataclasses.asdict(manifest)))
        return 0
    print(
        f"{arguments.file}: revision {manifest.revision:,}, {manifest.database_bytes:,} bytes of tables, "
        f"{manifest.blobs:,} files of {manifest.blob_bytes:,} bytes"
    )
    for word, hashes in (("gone", manifest.missing), ("damaged and left out", manifest.damaged)):
        if hashes:
            print(f"{len(hashes)} files are {word}: {', '.join(hashes[:5])}", file=sys.stderr)
    return 0
