"""One file that holds a whole store and its blobs: written while servers go on, proved when it is put back.

A tar: `deepevent.db`, a SQLite file with everything as it was at one revision; `blobs/<hash>`, every blob;
and last `manifest.json`, without which the file is not whole. A SQLite store is copied by its own online
back-up, any other table by table out of one snapshot. Files are uploaded before the records that name them,
so the blobs are read after the tables: what the tables name is there, unless its run was deleted meanwhile.

What lies in scripts' spools is no part of it: it comes when they meet a server.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from deepevent.errors import BlobInvalid, StoreError
from deepevent.store import connection, copying, migrate, sweeping
from deepevent.store.blobs import Blobs
from deepevent.store.connection import Database

FORMAT = 1
DATABASE, MANIFEST, BLOBS = "deepevent.db", "manifest.json", "blobs/"
MANIFEST_LIMIT_BYTES = 1 << 20
_CHUNK = 1 << 20
_BLOB = re.compile(r"blobs/[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says of itself.

    Attributes:
        format: of the archive.
        tables: the revision of the tables, as `migrate` counts.
        revision: the newest that is in it.
        created: seconds since 1970.
        database_bytes, database_sha256: of `deepevent.db`.
        blobs, blob_bytes: how many, and their size.
        missing: blobs that the tables name and that were not there any more.
        damaged: blobs that were left out because their content is not what their name says.
    """

    format: int
    tables: str
    revision: int
    created: float
    database_bytes: int
    database_sha256: str
    blobs: int
    blob_bytes: int
    missing: list[str]
    damaged: list[str]


def back_up(db: Database, blobs: Blobs, file: Path) -> Manifest:
    """Write everything into a new file, which gets its name once it is complete and on the disk.

    Raises:
        StoreError: the file exists or cannot be written, or the store has to be upgraded first.
    """
    if file.exists():
        raise StoreError(f"{str(file)!r} exists already: name another file")
    if migrate.current(db) != migrate.HEAD:
        raise StoreError(f"the store is not at revision {migrate.HEAD}: run `deepevent migrate` on it")
    part, snapshot = file.with_name(f".{file.name}.part"), file.with_name(f".{file.name}.db")
    try:
        with open(os.open(part, _FRESH, 0o600), "wb") as output:  # noqa: PTH123 - made with its mode
            os.close(os.open(snapshot, _FRESH, 0o600))
            _copy_tables(db, snapshot)
            with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT) as archive:
                manifest = _write(archive, snapshot, blobs)
            output.flush()
            os.fsync(output.fileno())
        part.rename(file)
    except OSError as error:
        raise StoreError(f"cannot write {str(file)!r}: {error.strerror or error}") from error
    finally:
        for leftover in (part, snapshot, *file.parent.glob(f".{file.name}.db-*")):
            leftover.unlink(missing_ok=True)
    return manifest


_FRESH = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


def restore(file: Path, database: Path, blobs: Blobs) -> Manifest:
    """Put an archive's database at a path where there is none, and its blobs among others.

    Whatever stops this, the database gets its name last: a home has all of the archive or no store.

    Raises:
        StoreError: the file is no archive of ours, is not whole, was damaged, or something is in the way.
    """
    if database.exists():
        raise StoreError(f"{str(database)!r} exists already: restore into an empty home")
    part = database.with_name(f".{database.name}.part")
    try:
        manifest = _unpack(file, part, blobs)
        _check_database(part, manifest)
        part.rename(database)
    except BlobInvalid as error:
        raise StoreError(f"{str(file)!r} is damaged: {error}") from error
    except (tarfile.TarError, EOFError) as error:
        raise StoreError(f"{str(file)!r} is no back-up, or not whole: {error}") from error
    except OSError as error:
        raise StoreError(f"cannot restore {str(file)!r}: {error.strerror or error}") from error
    finally:
        for leftover in (part, *database.parent.glob(f".{database.name}.part-*")):
            leftover.unlink(missing_ok=True)
    return manifest


def _unpack(file: Path, part: Path, blobs: Blobs) -> Manifest:
    """Take out tables and blobs; give the manifest, which agrees with them."""
    found, n_blobs, manifest = "", 0, None
    with file.open("rb") as source, tarfile.open(fileobj=source, mode="r|") as archive:
        for entry in archive:
            content = archive.extractfile(entry) if entry.isreg() and manifest is None else None
            if content is not None and entry.name == DATABASE:
                found = _extract(content, part)
            elif content is not None and entry.name == MANIFEST and entry.size <= MANIFEST_LIMIT_BYTES:
                manifest = _read_manifest(content.read(), file)
            elif content is not None and _BLOB.fullmatch(entry.name):
                blobs.put(cast(BinaryIO, content), entry.name.removeprefix(BLOBS), entry.size)
                n_blobs += 1
            else:
                raise StoreError(f"{str(file)!r} holds {entry.name[:80]!r}, which no back-up does")
    if manifest is None:
        raise StoreError(f"{str(file)!r} is not whole: its end is missing")
    if found != manifest.database_sha256 or n_blobs != manifest.blobs:
        raise StoreError(f"{str(file)!r} is damaged: it does not hold what its manifest says")
    return manifest


def _copy_tables(db: Database, target: Path) -> None:
    if db.path is not None:
        with closing(sqlite3.connect(db.path)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        return
    with closing(connection.open_database(f"sqlite:///{target}")) as copied:
        copying.copy_store(db, copied)
    with closing(sqlite3.connect(target)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")


def _write(archive: tarfile.TarFile, snapshot: Path, blobs: Blobs) -> Manifest:
    digest = _add_file(archive, DATABASE, snapshot)
    n, size, damaged = 0, 0, []
    there: set[str] = set()
    for blob in blobs.list():
        with _checked(blobs, blob.sha256) as content:
            if content is None:
                damaged.append(blob.sha256)
                continue
            entry = _entry(f"{BLOBS}{blob.sha256}", blob.size_bytes)
            archive.addfile(entry, content)
        there.add(blob.sha256)
        n, size = n + 1, size + blob.size_bytes
    with closing(connection.open_database(f"sqlite:///{snapshot}")) as copied:
        named = sweeping.named(copied)
        revision = copied.revision()
    manifest = Manifest(
        format=FORMAT,
        tables=migrate.HEAD,
        revision=revision,
        created=time.time(),
        database_bytes=snapshot.stat().st_size,
        database_sha256=digest,
        blobs=n,
        blob_bytes=size,
        missing=sorted(named - there - set(damaged)),
        damaged=damaged,
    )
    text = json.dumps(asdict(manifest), indent=1).encode()
    archive.addfile(_entry(MANIFEST, len(text)), io.BytesIO(text))
    return manifest


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o600, int(time.time())
    return entry


def _add_file(archive: tarfile.TarFile, name: str, path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        archive.addfile(_entry(name, path.stat().st_size), file)
    return digest


@contextmanager
def _checked(blobs: Blobs, sha256: str) -> Iterator[BinaryIO | None]:
    """Open a blob that has the content of its name; None if it has another, or went meanwhile."""
    try:
        file = blobs.open(sha256)
    except OSError:
        yield None
        return
    with file:
        digest = hashlib.sha256()
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        file.seek(0)
        yield file if digest.hexdigest() == sha256 else None


def _extract(content: IO[bytes], target: Path) -> str:
    digest = hashlib.sha256()
    with open(os.open(target, _FRESH, 0o600), "wb") as file:  # noqa: PTH123 - made with its mode
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _read_manifest(text: bytes, file: Path) -> Manifest:
    try:
        told: dict[str, Any] = json.loads(text)
        manifest = Manifest(**told)
        known = manifest.format == FORMAT
    except (ValueError, TypeError) as error:
        raise StoreError(f"the manifest of {str(file)!r} cannot be read: {error}") from error
    if not known:
        raise StoreError(f"{str(file)!r} has the format {manifest.format!r}: a newer DeepEvent made it")
    return manifest


def _check_database(path: Path, manifest: Manifest) -> None:
    """Prove that the database is one, whole, and none that is too new."""
    try:
        with closing(sqlite3.connect(path)) as database:
            (said,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        raise StoreError(f"the back-up's database is damaged: {error}") from error
    if said != "ok":
        raise StoreError(f"the back-up's database is damaged: {said}")
    migrate.require_known(manifest.tables)
