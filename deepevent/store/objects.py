"""Blobs in an object store, by URL: `s3://BUCKET/PREFIX`, `gs://…`, `az://…`; servers share them so.

Through obstore: one wheel, no second HTTP stack, and no thread of its own that calls into Python (its side of
fsspec has one, and now and then the interpreter could not end because of it). Credentials and endpoints come
from the environment (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL, …), never from us.

A blob is written to a temporary file and checked against its hash before it is sent; an object store shows
an object once it is complete. Two things that a folder has are made here. An object cannot be touched, so one
that is announced again and no longer fresh is sent again. And it cannot be moved aside, so whoever removes
one first leaves a mark: who has just sent the same one waits for the mark to go, and looks whether it is
there.
"""

from __future__ import annotations

import importlib
import io
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from deepevent.errors import BlobInvalid, DeepEventError, SettingsError, StoreBusy
from deepevent.store.blobs import Blob, check_name, copy_checked

SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")
FRESH_S = 1800.0
"""Half of `sweeping.GRACE_S`: what is younger is not removed, even if the clocks differ by as much."""
MARK_GOOD_S = 60.0
MARK_LOOK_S = 0.1
RETRY_AFTER_S = 5.0
REQUEST_LIMIT_S = 60
RETRY_LIMIT_S = 20
READ_BYTES = 1 << 20


class ObjectBlobs:
    """The objects below a URL."""

    def __init__(self, url: str, fresh_s: float = FRESH_S) -> None:
        """Make the client; sends nothing yet.

        Raises:
            SettingsError: the URL is none of an object store, or obstore is missing.
        """
        self.url = url
        self._fresh_s = fresh_s
        self._objects = _client(url)

    def put(self, stream: BinaryIO, sha256: str, limit_bytes: int) -> bool:
        """Store what `stream` holds.

        Returns: whether it is new; the stream is not read if a fresh blob is there already.

        Raises:
            BlobInvalid: the content has another hash, or more than `limit_bytes`.
            StoreBusy: the object store does not answer.
        """
        key = _key(sha256)
        known = self._look(key)
        if known is not None and time.time() - _modified(known) < self._fresh_s:
            return False
        with tempfile.NamedTemporaryFile(prefix="deepevent-") as file:
            copy_checked(stream, cast(BinaryIO, file), sha256, limit_bytes)
            file.flush()
            while True:
                with self._answers():
                    self._objects.put(key, Path(file.name))
                self._wait_for_mark(sha256)
                if self._look(key) is not None:
                    return known is None

    def list(self) -> Iterator[Blob]:
        """Yield every blob, in no order."""
        with self._answers():
            found = iter(self._objects.list())
        while True:
            with self._answers():
                some = next(found, None)
            if some is None:
                return
            for known in some:
                name = known["path"].rpartition("/")[2]
                try:
                    if known["path"] == _key(name):
                        yield Blob(name, int(known["size"]), _modified(known))
                except BlobInvalid:
                    continue

    def remove(self, sha256: str, modified_before: float) -> bool:
        """Remove a blob, unless somebody has announced it again since then.

        Returns: whether it is gone.
        """
        key, mark = _key(sha256), _mark(sha256)
        with self._answers():
            self._objects.put(mark, b"-")
        try:
            known = self._look(key)
            if known is None or _modified(known) >= modified_before:
                return False
            with self._answers():
                self._objects.delete(key)
            return True
        finally:
            with self._answers():
                self._objects.delete(mark)

    def open(self, sha256: str) -> BinaryIO:
        """Open a blob for reading.

        Raises:
            FileNotFoundError: there is none.
        """
        return cast(BinaryIO, io.BufferedReader(_Reading(self, sha256), READ_BYTES))

    def exists(self, sha256: str) -> bool:
        """Say whether there is a blob of this hash."""
        return self._look(_key(sha256)) is not None

    def size(self, sha256: str) -> int:
        """Return a blob's size in bytes.

        Raises:
            FileNotFoundError: there is none.
        """
        known = self._look(_key(sha256))
        if known is None:
            raise FileNotFoundError(sha256)
        return int(known["size"])

    def read(self, sha256: str, start: int, length: int) -> bytes:
        """Return a part of a blob.

        Raises:
            FileNotFoundError: there is none.
        """
        with self._answers():
            return bytes(self._objects.get_range(_key(sha256), start=start, length=length))

    def _look(self, key: str) -> dict[str, Any] | None:
        try:
            with self._answers():
                return cast("dict[str, Any]", self._objects.head(key))
        except FileNotFoundError:
            return None

    def _wait_for_mark(self, sha256: str) -> None:
        """Wait until nobody is removing this blob; a mark that was left behind counts for a minute."""
        while (mark := self._look(_mark(sha256))) is not None:
            if time.time() - _modified(mark) > MARK_GOOD_S:
                return
            time.sleep(MARK_LOOK_S)

    @contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, DeepEventError):
            raise
        except Exception as error:  # obstore has an error for each of a dozen causes; it goes along
            said = (str(error).strip().splitlines() or [repr(error)])[0][:300]
            raise StoreBusy(f"the blobs at {self.url} cannot be reached: {said}", RETRY_AFTER_S) from error


class _Reading(io.RawIOBase):
    """A blob as a file that is fetched as it is read."""

    def __init__(self, blobs: ObjectBlobs, sha256: str) -> None:
        self._blobs = blobs
        self._sha256 = sha256
        self._size = blobs.size(sha256)
        self._at = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be sought in."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go somewhere; nothing is fetched."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fetch the next part."""
        n = max(0, min(len(buffer), self._size - self._at))
        if n:
            buffer[:n] = self._blobs.read(self._sha256, self._at, n)
        self._at += n
        return n


def _client(url: str) -> Any:
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            f"blobs must be like file:///FOLDER, s3://BUCKET/PREFIX, gs://… or az://…, got {url!r}"
        )
    try:
        return importlib.import_module("obstore.store").from_url(
            url,
            client_options={
                "timeout": f"{REQUEST_LIMIT_S}s",
                "connect_timeout": "5s",
                "allow_http": True,  # for an object store beside the server; Amazon's address is https anyway
            },
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=RETRY_LIMIT_S)},
        )
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"blobs at {url} need {error.name}, which is not installed: pip install 'deepevent-monitor[s3]'"
        ) from error
    except Exception as error:
        raise SettingsError(f"blobs cannot lie at {url!r}: {error}") from error


def _key(sha256: str) -> str:
    return f"{check_name(sha256)[:2]}/{sha256}"


def _mark(sha256: str) -> str:
    return f"removing/{check_name(sha256)}"


def _modified(known: dict[str, Any]) -> float:
    """When an object was sent at the latest: whole seconds are told, rounded down."""
    return float(known["last_modified"].timestamp()) + 1.0


def main(url: str) -> int:
    """List what has a hash of zeros, which needs no more than the right to read; say what is wrong.

    The server has this done by another process: the client's threads do not survive a fork.
    """
    try:
        blobs = ObjectBlobs(url)
        with blobs._answers():
            for _ in blobs._objects.list(prefix="00/" + "0" * 64):
                break
    except DeepEventError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
