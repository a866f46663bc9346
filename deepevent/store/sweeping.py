"""Removes blobs that no run refers to any more.

A file is uploaded before the batch that names it, so a fresh one may have no owner yet: only what was neither
made nor asked for within `GRACE_S` goes. A client that could not deliver its batch uploads the files again
before it tries once more, and an upload of a file that is there makes it fresh.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from deepevent.store import schema
from deepevent.store.blobs import Blob, Blobs
from deepevent.store.connection import Database

GRACE_S = 3600.0
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Swept:
    """What was removed.

    Attributes:
        blobs: how many files.
        size_bytes: how much they were.
    """

    blobs: int
    size_bytes: int


def orphans(db: Database, blobs: Blobs, grace_s: float = GRACE_S, now: float | None = None) -> list[Blob]:
    """Return the blobs that nothing refers to and that are older than `grace_s`."""
    before = (time.time() if now is None else now) - grace_s
    found: list[Blob] = []
    for chunk in _chunks(blob for blob in blobs.list() if blob.modified < before):
        with db.read() as connection:
            used = _referenced(connection, [blob.sha256 for blob in chunk])
        found += [blob for blob in chunk if blob.sha256 not in used]
    return found


def sweep(db: Database, blobs: Blobs, grace_s: float = GRACE_S, now: float | None = None) -> Swept:
    """Remove orphans. While a chunk is removed nobody can commit a batch that names one of them."""
    moment = time.time() if now is None else now
    n, size = 0, 0
    for chunk in _chunks(iter(orphans(db, blobs, grace_s, moment))):
        with db.write() as connection:
            used = _referenced(connection, [blob.sha256 for blob in chunk])
            for blob in chunk:
                if blob.sha256 not in used and blobs.remove(blob.sha256, modified_before=moment - grace_s):
                    n += 1
                    size += blob.size_bytes
    return Swept(n, size)


def named(db: Database) -> set[str]:
    """Return the hashes of all blobs that runs refer to."""
    found: set[str] = set()
    with db.read() as connection:
        for table in (schema.media, schema.artifacts):
            wanted = sa.select(table.c.blob).where(table.c.blob.is_not(None)).distinct()
            found.update(connection.execution_options(yield_per=CHUNK).execute(wanted).scalars())
    return found


def missing(db: Database, blobs: Blobs) -> list[str]:
    """Return the hashes that runs refer to and that have no file."""
    return sorted(sha256 for sha256 in named(db) if not blobs.exists(sha256))


def _referenced(connection: sa.Connection, hashes: list[str]) -> set[str]:
    used: set[str] = set()
    for table in (schema.media, schema.artifacts):
        used.update(connection.execute(sa.select(table.c.blob).where(table.c.blob.in_(hashes))).scalars())
    return used


def _chunks(blobs: Iterator[Blob]) -> Iterator[list[Blob]]:
    chunk: list[Blob] = []
    for blob in blobs:
        chunk.append(blob)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
