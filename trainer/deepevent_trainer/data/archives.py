"""Unpack an archive from elsewhere: nothing leaves the folder, no links, no more bytes than allowed.

Every entry is judged before the first is written, and bytes are counted as they come, since an archive's own
word on sizes proves nothing.
"""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO

from deepevent.errors import ArchiveUnsafe, DataSetError

MAX_ENTRIES = 1_000_000
_CHUNK_BYTES = 1 << 20


def unpack(archive: Path, folder: Path, max_bytes: int, max_entries: int = MAX_ENTRIES) -> int:
    """Unpack a tar or zip archive into `folder`; files that are there are replaced.

    Args:
        archive: a tar file, compressed or not, or a zip file.
        folder: made if missing.
        max_bytes: the most that all files together may have.
        max_entries: the most entries that the archive may have.

    Returns:
        How many files were written.

    Raises:
        ArchiveUnsafe: if an entry leads outside, is a link or a device, or the whole is too large; then
            nothing, or no more than `max_bytes`, was written.
        DataSetError: if the file is not an archive or is broken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                return _unpack_zip(opened, archive, folder, max_bytes, max_entries)
        with tarfile.open(archive) as opened_tar:
            return _unpack_tar(opened_tar, archive, folder, max_bytes, max_entries)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise DataSetError(f"cannot unpack {archive}: {error}") from error


def _unpack_zip(
    opened: zipfile.ZipFile, archive: Path, folder: Path, max_bytes: int, max_entries: int
) -> int:
    entries = opened.infolist()
    for entry in entries:
        mode = entry.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ArchiveUnsafe(f"{archive} holds {entry.filename!r}, which is a link or a device: refused")
    targets = [_target(folder, entry.filename, archive) for entry in entries]
    _check_sizes(archive, sum(entry.file_size for entry in entries), max_bytes, len(entries), max_entries)

    def contents() -> Iterator[tuple[Path, IO[bytes]]]:
        for entry, target in zip(entries, targets, strict=True):
            if not entry.is_dir():
                yield target, opened.open(entry)

    return _write(contents(), archive, max_bytes)


def _unpack_tar(
    opened: tarfile.TarFile, archive: Path, folder: Path, max_bytes: int, max_entries: int
) -> int:
    entries: list[tarfile.TarInfo] = []
    n_bytes = 0
    for entry in opened:
        entries.append(entry)
        n_bytes += entry.size
        # Here, and not behind the loop: going on to the next entry would unpack this one to skip it.
        _check_sizes(archive, n_bytes, max_bytes, len(entries), max_entries)
    for entry in entries:
        if not (entry.isreg() or entry.isdir()):
            raise ArchiveUnsafe(f"{archive} holds {entry.name!r}, which is a link or a device: refused")
    targets = [_target(folder, entry.name, archive) for entry in entries]

    def contents() -> Iterator[tuple[Path, IO[bytes]]]:
        for entry, target in zip(entries, targets, strict=True):
            source = opened.extractfile(entry)
            if source is not None:
                yield target, source

    return _write(contents(), archive, max_bytes)


def _target(folder: Path, name: str, archive: Path) -> Path:
    """Return where an entry goes."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or ":" in (path.parts or ("",))[0]:
        raise ArchiveUnsafe(f"{archive} holds {name!r}, which leads out of the folder: refused")
    return folder.joinpath(*path.parts)


def _check_sizes(archive: Path, n_bytes: int, max_bytes: int, n_entries: int, max_entries: int) -> None:
    if n_bytes > max_bytes:
        raise ArchiveUnsafe(f"{archive} unpacks to {n_bytes:,} bytes where at most {max_bytes:,} are allowed")
    if n_entries > max_entries:
        raise ArchiveUnsafe(f"{archive} has more than the {max_entries:,} entries that are allowed")


def _write(contents: Iterator[tuple[Path, IO[bytes]]], archive: Path, max_bytes: int) -> int:
    left, n_files = max_bytes, 0
    for target, source in contents:
        if target.is_symlink():
            raise ArchiveUnsafe(f"{target} is a link where {archive} has a file: remove the link first")
        target.parent.mkdir(parents=True, exist_ok=True)
        with closing(source), target.open("wb") as stream:
            while chunk := source.read(_CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise ArchiveUnsafe(f"{archive} unpacks to more than the {max_bytes:,} bytes allowed")
                stream.write(chunk)
        n_files += 1
    return n_files
