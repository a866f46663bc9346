"""Fetch one file whole: resumed after a cut, checked, and only then given its name.

What has arrived lies in `<name>.part`. A cut connection, or a process that was killed, goes on where it
stopped, by an HTTP range; a server that sends the whole file again, or another version of it, starts it
anew. The file gets its name when its checksum is right.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import IO, cast

from deepevent.errors import DownloadFailed
from deepevent_trainer.data.sources import RemoteFile

Progress = Callable[[int, int | None], None]

_CHUNK_BYTES = 1 << 18
_TIMEOUT_S = 30.0
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
# A connection may be cut any number of times as long as each brings something; so often may it bring nothing.
_FRUITLESS_TRIES = 5
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206


def fetch(
    remote: RemoteFile,
    folder: Path,
    progress: Progress = lambda _received, _total: None,
    pause_s: float = 1.0,
) -> Path:
    """Return the file of `remote` in `folder`, fetched if it is not there yet.

    Args:
        remote: what to fetch.
        folder: where it goes; made if missing.
        progress: called with the bytes received and the bytes in all, None if the server does not say.
        pause_s: how long to wait after a try that brought nothing; doubled each time.

    Raises:
        DownloadFailed: if the server refuses, brings nothing several times in a row, or the checksum is
        wrong.
    """
    target = folder / remote.name
    if target.is_file() and remote.md5 in (None, md5_of(target)):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    part, version = target.with_name(remote.name + ".part"), target.with_name(remote.name + ".part.version")
    fruitless = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            whole = _receive(remote.url, part, version, progress)
            problem = "the connection was cut"
        except (OSError, http.client.HTTPException) as error:
            _raise_if_final(remote, error)
            whole, problem = False, str(error) or type(error).__name__
        if whole:
            break
        after = part.stat().st_size if part.exists() else 0
        fruitless = 0 if after > before else fruitless + 1
        if fruitless >= _FRUITLESS_TRIES:
            raise DownloadFailed(
                f"cannot fetch {remote.url}: {problem}, {fruitless} times without a byte; "
                f"what came is kept in {part}, run the same command to go on"
            )
        if fruitless:
            Event().wait(pause_s * 2 ** (fruitless - 1))
    _settle(remote, part, version, target)
    return target


def md5_of(path: Path) -> str:
    """Return the MD5 sum of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _receive(url: str, part: Path, version: Path, progress: Progress) -> bool:
    """Append to `part` what the server sends; return whether the file is whole now."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "deepevent", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if version.exists():
            headers["If-Range"] = version.read_text()
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - addresses come from our own table
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310 - as above
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and have:
            if error.headers.get("Content-Range", "").endswith(f"/{have}"):
                return True
            part.unlink()
            return False
        raise
    with cast(http.client.HTTPResponse, answer) as response:
        start, total = _extent(response)
        if start != have:
            have = 0  # the whole file is sent again: no ranges here, or another version of it
        _note_version(response, version)
        with part.open("ab" if have else "wb") as stream:
            return _copy(response, stream, have, total, progress)


def _extent(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Return the offset of the first byte sent and the size of the whole file, None if unknown."""
    if response.status == _PARTIAL_CONTENT:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None:
            raise http.client.HTTPException("the server sent a part without saying which")
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = response.headers.get("Content-Length")
    return 0, int(length) if length else None


def _note_version(response: http.client.HTTPResponse, version: Path) -> None:
    """Keep what identifies this version of the file, so that two are never mixed."""
    etag = response.headers.get("ETag", "")
    mark = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
    if mark:
        version.write_text(mark)
    else:
        version.unlink(missing_ok=True)


def _copy(
    response: http.client.HTTPResponse, stream: IO[bytes], have: int, total: int | None, progress: Progress
) -> bool:
    while True:
        chunk = response.read1(_CHUNK_BYTES)
        if not chunk:
            return have == total if total is not None else True
        stream.write(chunk)
        have += len(chunk)
        progress(have, total)


def _raise_if_final(remote: RemoteFile, error: Exception) -> None:
    """Give up at once on an answer that another try will not change."""
    if isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code not in (408, 429):
        raise DownloadFailed(
            f"cannot fetch {remote.url}: the server answered {error.code} {error.reason}; "
            f"fetch the file yourself and put it beside the others as {remote.name}"
        ) from error


def _settle(remote: RemoteFile, part: Path, version: Path, target: Path) -> None:
    found = md5_of(part)
    version.unlink(missing_ok=True)
    if remote.md5 is not None and found != remote.md5:
        part.unlink()
        raise DownloadFailed(
            f"{remote.name} from {remote.url} has the MD5 sum {found} where {remote.md5} is expected; it was "
            "deleted: run the command again, and if that does not help the file there is another one"
        )
    part.replace(target)
