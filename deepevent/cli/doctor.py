"""`deepevent doctor`: look over a home (store, blobs, spool, quarantine), and with `--repair` put it right.

Prints what it found and what it did. Repairs need the home for themselves: a running server has to be
stopped. What is damaged is reported and kept, never guessed.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

from deepevent.cli._stores import home_of, open_store, plain_errors, require_no_server, store_address
from deepevent.settings import Settings
from deepevent.spool import QUARANTINE_FOLDER, Report, abandoned_writers, adopt
from deepevent.wire import is_ulid
from deepevent.writer import SPOOL_FOLDER
from deepevent.writerlock import LOCK_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import BinaryIO

    from deepevent.store.blobs import Blobs
    from deepevent.store.connection import Database

HELP = "check the store, its blobs and the spool; --repair puts right what can be put right"
BLOBS_FOLDER = "blobs"


class Findings:
    """What was found and done.

    Attributes:
        problems: what is wrong and stays so.
        repairable: what `--repair` would put right.
        done: what was put right.
        notes: what is worth knowing.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.repairable: list[str] = []
        self.done: list[str] = []
        self.notes: list[str] = []


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words."""
    parser.add_argument("--store", help="its address, or a home folder (default: the home's store)")
    parser.add_argument("--blobs", metavar="URL", help="where its blobs are (default: in the home)")
    parser.add_argument("--repair", action="store_true", help="put right what can be put right")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Check; exit code 1 if something is wrong that was not put right."""
    address = store_address(arguments.store)
    home = home_of(address) or Path(Settings().home)
    found = Findings()
    lock = require_no_server(home, "repair it") if arguments.repair else None
    db = open_store(address)
    try:
        plain_errors(_check, db, home, arguments.blobs, found, arguments.repair)
    finally:
        db.close()
        if lock is not None:
            os.close(lock)
    _print(found, arguments.json)
    return 1 if found.problems or found.repairable else 0


def _check(db: Database, home: Path, where: str | None, found: Findings, repair: bool) -> None:
    from deepevent.store import deletion, inspection, migrate
    from deepevent.store.blobs import open_blobs

    revision = migrate.current(db)
    if revision != migrate.HEAD:
        migrate.require_known(revision)
        found.problems.append(f"the store is at revision {revision}: run `deepevent migrate`")
        return
    damage = inspection.integrity(db)
    found.problems += damage
    if damage:
        return  # nothing is written into a damaged file
    found.notes.append("the database is whole")
    found.problems += inspection.gaps(db)
    _check_writers(db, found, repair)
    blobs = open_blobs(where or home / BLOBS_FOLDER)
    _check_spool(db, blobs, home, found, repair)
    _check_blobs(db, blobs, found, repair)
    free = inspection.free_bytes(db)
    if free and repair:
        deletion.purge(db, limit_s=math.inf)
        found.done.append(f"gave {free:,} bytes of deleted rows back to the disk")
    elif free:
        found.notes.append(f"{free:,} bytes of deleted rows wait to be used again")
    _check_quarantine(home, found)


def _check_writers(db: Database, found: Findings, repair: bool) -> None:
    from deepevent.store import inspection, runs

    for writer in inspection.stuck_writers(db):
        found.notes.append(
            f"writer {writer['id']} of run {writer['run_id']} ({writer['host']}, process {writer['pid']}) "
            "was not heard of for more than a day"
        )
    if repair:
        for run_id in runs.mark_lost(db):
            found.done.append(f"run {run_id} counts as lost now")


def _check_blobs(db: Database, blobs: Blobs, found: Findings, repair: bool) -> None:
    from deepevent.store import sweeping

    gone = sweeping.missing(db, blobs)
    found.problems += [f"blob {sha256} is referred to, and there is no such file" for sha256 in gone]
    if repair:
        swept = sweeping.sweep(db, blobs)
        if swept.blobs:
            found.done.append(f"removed {swept.blobs} blobs of no run, {swept.size_bytes:,} bytes")
        return
    orphaned = sweeping.orphans(db, blobs)
    if orphaned:
        size = sum(blob.size_bytes for blob in orphaned)
        found.repairable.append(f"{len(orphaned)} blobs belong to no run, {size:,} bytes")


def _check_spool(db: Database, blobs: Blobs, home: Path, found: Findings, repair: bool) -> None:
    """Look for writers that nobody writes any more; a server would take them in by itself."""
    without_lock = list(_without_lock(home / SPOOL_FOLDER))
    if repair:
        for folder in without_lock:
            (folder / LOCK_NAME).touch(mode=0o600)
            found.done.append(f"writer {folder.name} had lost its lock file, and has one again")
        _adopt(db, blobs, home, found)
        return
    found.repairable += [
        f"writer {folder.name} has no lock file, and waits for ever" for folder in without_lock
    ]
    waiting = []
    for writer in abandoned_writers(home):
        with writer:
            waiting.append(writer.writer_id)
    if waiting:
        found.repairable.append(f"{len(waiting)} writers in the spool wait for a server to take them in")


def _adopt(db: Database, blobs: Blobs, home: Path, found: Findings) -> None:
    from deepevent.store.ingest import Committer

    def put(sha256: str, file: BinaryIO, size_bytes: int) -> None:
        blobs.put(file, sha256, size_bytes)

    report = Report()
    committer = Committer(db)
    try:
        adopt(home, lambda batch: committer.submit(batch).last_sequence, put, report)
    finally:
        committer.close()
    if report.n_writers:
        taken = f"{report.n_records} records and {report.n_blobs} files of {report.n_writers} writers"
        found.done.append(f"took in {taken}")
    found.problems += report.damage + report.refused


def _without_lock(spool: Path) -> Iterator[Path]:
    for folder in sorted(spool.glob("*/*")):
        named = is_ulid(folder.name) and is_ulid(folder.parent.name)
        if named and folder.is_dir() and not (folder / LOCK_NAME).exists() and any(folder.glob("*.seg")):
            yield folder


def _check_quarantine(home: Path, found: Findings) -> None:
    kept = [path for path in (home / QUARANTINE_FOLDER).glob("**/*") if path.is_file()]
    if kept:
        size = sum(path.stat().st_size for path in kept)
        found.notes.append(
            f"{home / QUARANTINE_FOLDER} keeps {len(kept)} damaged or refused files, {size:,} bytes; "
            "delete it when you need them no more"
        )


def _print(found: Findings, as_json: bool) -> None:
    if as_json:
        print(json.dumps(vars(found)))
        return
    for word, sentences in (
        ("ok", found.notes),
        ("done", found.done),
        ("repairable", found.repairable),
        ("problem", found.problems),
    ):
        for sentence in sentences:
            print(f"{word:<11} {sentence}")
    if found.repairable:
        print("run `deepevent doctor --repair` with the server stopped")
