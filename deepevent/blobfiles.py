"""Large payloads in a writer's folder, by hash: complete when they have their name.

A blob's file lies in `blobs/` until the server has it *and* has acknowledged a batch that was sent after it.
A blob that the server will never take goes to `refused/`, so that nobody sends it again and again.
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH103, PTH105, PTH108, PTH110, PTH118, PTH123, PTH208

from __future__ import annotations

import os

from deepevent.ids import new_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

FOLDER = "blobs"
REFUSED_FOLDER = "refused"
COPY_PIECE_BYTES = 1 << 20


def keep_bytes(folder: str, data: bytes) -> str:
    """Keep bytes as a blob of the writer in `folder`.

    Returns:
        Their SHA-256 in hexadecimal.

    Raises:
        OSError: there is no room.
    """
    from hashlib import sha256

    digest = sha256(data).hexdigest()
    path = _place(folder, digest)
    if not os.path.exists(path):
        made = _temporary(folder)
        try:
            with open(made, "wb") as file:
                file.write(data)
            os.replace(made, path)
        except BaseException:
            _remove(made)
            raise
    return digest


def keep_file(folder: str, source: BinaryIO) -> tuple[str, int]:
    """Keep a copy of an open file as a blob, in pieces.

    Returns:
        Its SHA-256 and its size in bytes.

    Raises:
        OSError: it cannot be read, or there is no room.
    """
    from hashlib import sha256

    digest, size = sha256(), 0
    made = _temporary(folder)
    try:
        with open(made, "wb") as file:
            while piece := source.read(COPY_PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
                file.write(piece)
        os.replace(made, _place(folder, digest.hexdigest()))
    except BaseException:
        _remove(made)
        raise
    return digest.hexdigest(), size


def list_blobs(folder: str) -> list[str]:
    """Hashes of the complete blobs of the writer in `folder`."""
    try:
        names = os.listdir(os.path.join(folder, FOLDER))
    except FileNotFoundError:
        return []
    return [name for name in names if len(name) == 64 and name.isalnum()]


def open_blob(folder: str, sha256: str) -> tuple[BinaryIO, int]:
    """Open a blob; returns the file and its size in bytes."""
    file = open(_place(folder, sha256), "rb")  # noqa: SIM115 - the caller closes it
    return file, os.fstat(file.fileno()).st_size


def remove_blob(folder: str, sha256: str) -> None:
    """Forget a blob that the server has."""
    _remove(_place(folder, sha256))


def set_aside(folder: str, sha256: str) -> None:
    """Keep a blob that the server refuses, out of the way."""
    os.makedirs(os.path.join(folder, REFUSED_FOLDER), mode=0o700, exist_ok=True)
    os.replace(_place(folder, sha256), os.path.join(folder, REFUSED_FOLDER, sha256))


def _place(folder: str, sha256: str) -> str:
    return os.path.join(folder, FOLDER, sha256)


def _temporary(folder: str) -> str:
    os.makedirs(os.path.join(folder, FOLDER), mode=0o700, exist_ok=True)
    return os.path.join(folder, FOLDER, f".{new_id()}.tmp")


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
