"""Files by the hash of their content: `<folder>/ab/abcdef…`, in a folder or wherever a URL says.

Knows no database. `Blobs` is what everybody else sees; `BlobStore` is a folder, `objects.ObjectBlobs` an
object store.

A blob is written under a temporary name, checked against its hash while it streams, brought to the
disk and only then given its name: what has a name is complete and right. A name is made of nothing
but 64 hexadecimal digits, so no text from outside ever becomes a path.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from deepevent.errors import BlobInvalid, SettingsError

_CHUNK = 1 << 20
_NAME = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Blob:
    """One file of the store.

    Attributes:
        sha256: its name.
        size_bytes: its size.
        modified: when it was made, or last announced again; seconds since 1970.
    """

    sha256: str
    size_bytes: int
    modified: float


class Blobs(Protocol):
    """What keeps the blobs."""

    def put(self, stream: BinaryIO, sha256: str, limit_bytes: int) -> bool:
        """Store what `stream` holds; whether it is new. Raises BlobInvalid."""
        ...

    def open(self, sha256: str) -> BinaryIO:
        """Open a blob for reading; it can be sought in. Raises FileNotFoundError."""
        ...

    def exists(self, sha256: str) -> bool:
        """Say whether there is a blob of this hash."""
        ...

    def size(self, sha256: str) -> int:
        """Return a blob's size in bytes. Raises FileNotFoundError."""
        ...

    def list(self) -> Iterator[Blob]:
        """Yield every blob, in no order."""
        ...

    def remove(self, sha256: str, modified_before: float) -> bool:
        """Remove a blob, unless somebody has announced it again since then; whether it is gone."""
        ...


def open_blobs(place: str | Path) -> Blobs:
    """Open the blobs of a folder, of `file:///FOLDER`, or of a URL such as `s3://BUCKET/PREFIX`.

    Raises:
        SettingsError: the URL is none, or the packages that it needs are missing.
    """
    if isinstance(place, Path) or "://" not in place:
        return BlobStore(Path(place))
    parts = urlsplit(place)
    if parts.scheme != "file":
        from deepevent.store.objects import ObjectBlobs

        return ObjectBlobs(place)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise SettingsError(f"blobs must be like file:///FOLDER, got {place!r}")
    return BlobStore(Path(unquote(parts.path)))


def check_name(sha256: str) -> str:
    """Return a blob's name as it is.

    Raises:
        BlobInvalid: it is not 64 hexadecimal digits in lower case.
    """
    if not _NAME.fullmatch(sha256):
        raise BlobInvalid(f"a blob is named by 64 hexadecimal digits in lower case, got {sha256[:80]!r}")
    return sha256


class BlobStore:
    """A folder of blobs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def put(self, stream: BinaryIO, sha256: str, limit_bytes: int) -> bool:
        """Store what `stream` holds.

        Returns: whether it is new; the stream is not read if the blob is there already.

        Raises:
            BlobInvalid: the content has another hash, or more than `limit_bytes`.
        """
        target = self.path(sha256)
        if _freshen(target):
            return False
        target.parent.mkdir(mode=0o700, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".new-", dir=self._folder)  # mode 0600
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                copy_checked(stream, file, sha256, limit_bytes)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(target)
            _sync_folder(target.parent)
            _sync_folder(self._folder)
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def list(self) -> Iterator[Blob]:
        """Yield every blob, in no order."""
        for folder in sorted(self._folder.iterdir()):
            for path in sorted(folder.iterdir()) if _PREFIX.fullmatch(folder.name) else ():
                if _NAME.fullmatch(path.name):
                    status = path.stat()
                    yield Blob(path.name, status.st_size, status.st_mtime)

    def remove(self, sha256: str, modified_before: float) -> bool:
        """Remove a blob, unless somebody has announced it again since then.

        Returns: whether it is gone.
        """
        path = self.path(sha256)
        aside = self._folder / f".gone-{sha256}"
        try:
            path.rename(aside)
        except FileNotFoundError:
            return False
        if aside.stat().st_mtime >= modified_before:  # announced between the look and now
            aside.rename(path)
            return False
        aside.unlink()
        return True

    def open(self, sha256: str) -> BinaryIO:
        """Open a blob for reading.

        Raises:
            FileNotFoundError: there is none.
        """
        return os.fdopen(os.open(self.path(sha256), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")

    def exists(self, sha256: str) -> bool:
        """Say whether there is a blob of this hash."""
        return self.path(sha256).is_file()

    def size(self, sha256: str) -> int:
        """Return a blob's size in bytes.

        Raises:
            FileNotFoundError: there is none.
        """
        return self.path(sha256).stat().st_size

    def path(self, sha256: str) -> Path:
        """Return where a blob lies or would lie.

        Raises:
            BlobInvalid: `sha256` is not 64 hexadecimal digits in lower case.
        """
        return self._folder / check_name(sha256)[:2] / sha256


def _freshen(path: Path) -> bool:
    """Note that a blob is wanted; False if it is not there."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def copy_checked(stream: BinaryIO, file: BinaryIO, sha256: str, limit_bytes: int) -> None:
    """Copy a stream into a file.

    Raises:
        BlobInvalid: the content has another hash, or more than `limit_bytes`.
    """
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > limit_bytes:
            raise BlobInvalid(f"a blob may have {limit_bytes} bytes, {sha256} has more")
        digest.update(chunk)
        file.write(chunk)
    if digest.hexdigest() != sha256:
        raise BlobInvalid(f"the content has the hash {digest.hexdigest()}, and was announced as {sha256}")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
