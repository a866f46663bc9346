"""Blobs in an object store, by a URL that fsspec understands: `s3://BUCKET/PREFIX`; servers share them so.

S3, Google Cloud and Azure are reached through obstore's side of fsspec (one package, no second HTTP stack),
everything else through the implementation that fsspec knows. Credentials and endpoints come from the
environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, …) and never from us.

A blob is written to a temporary file and checked against its hash before it is sent; an object store shows
an object once it is complete. Two things that a folder has are made here. An object cannot be touched, so one
that is announced again and no longer fresh is sent again. And it cannot be moved aside, so whoever removes
one first leaves a mark: who has just sent the same one waits for the mark to go, and looks whether it is
there.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from deepevent.errors import BlobInvalid, DeepEventError, SettingsError, StoreBusy
from deepevent.store.blobs import Blob, check_name, copy_checked

OBSTORE = ("s3", "s3a", "gs", "az", "abfs", "abfss", "adl")
FRESH_S = 1800.0
"""Half of `sweeping.GRACE_S`: what is younger is not removed, even if the clocks differ by as much."""
MARK_GOOD_S = 60.0
MARK_LOOK_S = 0.1
RETRY_AFTER_S = 5.0
REQUEST_LIMIT_S = 60
RETRY_LIMIT_S = 20


class ObjectBlobs:
    """The objects below a URL."""

    def __init__(self, url: str, fresh_s: float = FRESH_S) -> None:
        """Make the client; sends nothing yet."""
        parts = urlsplit(url)
        if not parts.netloc and parts.scheme != "memory":
            raise SettingsError(f"blobs must be like s3://BUCKET/PREFIX, got {url!r}")
        self.url = url
        self._fresh_s = fresh_s
        self._root = f"{parts.netloc}{parts.path}".strip("/")
        self._files = _filesystem(parts.scheme, url)

    def put(self, stream: BinaryIO, sha256: str, limit_bytes: int) -> bool:
        """Store what `stream` holds.

        Returns: whether it is new; the stream is not read if a fresh blob is there already.

        Raises:
            BlobInvalid: the content has another hash, or more than `limit_bytes`.
            StoreBusy: the object store does not answer.
        """
        key = self._key(sha256)
        known = self._info(key)
        if known is not None and time.time() - (_modified(known) or 0.0) < self._fresh_s:
            return False
        with tempfile.NamedTemporaryFile(prefix="deepevent-") as file:
            copy_checked(stream, cast(BinaryIO, file), sha256, limit_bytes)
            file.flush()
            while True:
                with self._answers():
                    self._files.put_file(file.name, key)
                self._wait_for_mark(sha256)
                if self._info(key) is not None:
                    return known is None

    def list(self) -> Iterator[Blob]:
        """Yield every blob, in no order."""
        with self._answers():
            found = self._files.find(self._root, detail=True)
        for path, info in found.items():
            name = path.rpartition("/")[2]
            try:
                if path.strip("/") == self._key(name):
                    yield Blob(name, int(info["size"]), _modified(info))
            except BlobInvalid:
                continue

    def remove(self, sha256: str, modified_before: float) -> bool:
        """Remove a blob, unless somebody has announced it again since then.

        Returns: whether it is gone.
        """
        key, mark = self._key(sha256), self._mark(sha256)
        with self._answers():
            self._files.pipe_file(mark, b"")
        try:
            known = self._info(key)
            if known is None or (_modified(known) or 0.0) >= modified_before:
                return False
            with self._answers():
                self._files.rm_file(key)
            return True
        finally:
            with self._answers():
                self._files.rm_file(mark)

    def open(self, sha256: str) -> BinaryIO:
        """Open a blob for reading.

        Raises:
            FileNotFoundError: there is none.
        """
        self._known(sha256)  # a file that could not be opened complains when it is forgotten
        with self._answers():
            return cast(BinaryIO, self._files.open(self._key(sha256), "rb"))

    def exists(self, sha256: str) -> bool:
        """Say whether there is a blob of this hash."""
        return self._info(self._key(sha256)) is not None

    def size(self, sha256: str) -> int:
        """Return a blob's size in bytes.

        Raises:
            FileNotFoundError: there is none.
        """
        return int(self._known(sha256)["size"])

    def modified(self, sha256: str) -> float:
        """Return when a blob was sent last.

        Raises:
            FileNotFoundError: there is none.
        """
        return _modified(self._known(sha256)) or 0.0

    def _key(self, sha256: str) -> str:
        return f"{self._root}/{check_name(sha256)[:2]}/{sha256}".lstrip("/")

    def _mark(self, sha256: str) -> str:
        return f"{self._root}/removing/{check_name(sha256)}".lstrip("/")

    def _known(self, sha256: str) -> dict[str, Any]:
        known = self._info(self._key(sha256))
        if known is None:
            raise FileNotFoundError(sha256)
        return known

    def _info(self, key: str) -> dict[str, Any] | None:
        try:
            with self._answers():
                return cast("dict[str, Any]", self._files.info(key))
        except FileNotFoundError:
            return None

    def _wait_for_mark(self, sha256: str) -> None:
        """Wait until nobody is removing this blob; a mark that was left behind counts for a minute."""
        while (mark := self._info(self._mark(sha256))) is not None:
            if time.time() - (_modified(mark) or 0.0) > MARK_GOOD_S:
                return
            time.sleep(MARK_LOOK_S)

    @contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, DeepEventError):
            raise
        except Exception as error:  # each implementation raises what it likes; the cause goes along
            said = (str(error).strip().splitlines() or [repr(error)])[0][:300]
            raise StoreBusy(f"the blobs at {self.url} cannot be reached: {said}", RETRY_AFTER_S) from error


def _filesystem(scheme: str, url: str) -> Any:
    try:
        if scheme in OBSTORE:
            client = {"timeout": f"{REQUEST_LIMIT_S}s", "connect_timeout": "5s", "allow_http": True}
            return importlib.import_module("obstore.fsspec").FsspecStore(
                scheme,
                client_options=client,
                retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=RETRY_LIMIT_S)},
                skip_instance_cache=True,
            )
        return importlib.import_module("fsspec").filesystem(scheme)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"blobs at {url} need {error.name}, which is not installed: pip install 'deepevent-monitor[s3]'"
        ) from error
    except (ImportError, ValueError) as error:
        raise SettingsError(f"blobs cannot lie at {url!r}: {error}") from error


def _modified(info: dict[str, Any]) -> float | None:
    for name in ("last_modified", "LastModified", "mtime", "created"):
        when = info.get(name)
        if isinstance(when, datetime):
            return when.timestamp()
        if isinstance(when, (int, float)):
            return float(when)
    return None


def main(url: str) -> int:
    """Ask for a blob that is not there, which needs no more than the right to read; say what is wrong.

    The server has this done by another process: the client's threads do not survive a fork.
    """
    try:
        ObjectBlobs(url).exists("0" * 64)
    except DeepEventError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
