"""Read what a request carries within a limit of bytes and of time.

A slow or an endless body must neither hold a thread for long nor fill the memory. Knows nothing of what
is in it.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from deepevent_web.limits import LIMITS
from deepevent_web.problems import Problem

HEADER_AND_BODY_DEADLINE_S = float(LIMITS.head_and_body_s)
SLOWEST_BYTES_PER_S = 64 * 1024
_PIECE_BYTES = 64 * 1024


class Readable(Protocol):
    """What WSGI promises of `wsgi.input`, as far as we need it."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


class BoundedBody:
    """A request's body that ends with an error beyond its limit or its deadline."""

    def __init__(self, environ: dict[str, Any], limit_bytes: int) -> None:
        self.length = content_length(environ)
        if self.length is None and "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            self.length = 0
        if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
            raise Problem(415, "compressed request bodies are not taken; send the body as it is")
        if self.length is not None and self.length > limit_bytes:
            raise too_large(limit_bytes)
        self._limit = limit_bytes
        self._left = limit_bytes if self.length is None else self.length
        self._read = 0
        self._input: Readable = environ["wsgi.input"]
        self._socket = environ.get("gunicorn.socket")
        expected = self.length if self.length is not None else limit_bytes
        self._deadline = time.monotonic() + HEADER_AND_BODY_DEADLINE_S + expected / SLOWEST_BYTES_PER_S

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, or all that is left; none at the end.

        Raises:
            Problem: 413 beyond the limit, 408 beyond the deadline, 400 when the body ends early.
        """
        if size < 0:
            return self.read_all()
        if self.length is not None:
            size = min(size, self._left)
            if size == 0:
                return b""
        piece = self._receive(max(size, 1))
        self._read += len(piece)
        if self.length is None:
            if self._read > self._limit:
                raise too_large(self._limit)
        else:
            self._left -= len(piece)
            if not piece:
                raise Problem(400, f"the body ends after {self._read} of {self.length} bytes")
        return piece

    def read_all(self) -> bytes:
        """The whole body."""
        pieces = []
        while piece := self.read(_PIECE_BYTES):
            pieces.append(piece)
        return b"".join(pieces)

    def _receive(self, size: int) -> bytes:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise Problem(408, "the body came too slowly")
        if self._socket is None:
            return self._input.read(size)
        self._socket.settimeout(min(remaining, HEADER_AND_BODY_DEADLINE_S))
        try:
            return self._input.read(size)
        except TimeoutError:
            raise Problem(408, "the body came too slowly") from None
        except OSError:
            raise Problem(400, "the body could not be read") from None
        finally:
            self._socket.settimeout(None)


def content_length(environ: dict[str, Any]) -> int | None:
    """The announced length, or None.

    Raises:
        Problem: 400 when it is no number.
    """
    text = environ.get("CONTENT_LENGTH")
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise Problem(400, "Content-Length must be a whole number")
    return int(text)


def too_large(limit_bytes: int) -> Problem:
    """The answer to a body beyond its limit."""
    return Problem(413, f"the body may have {limit_bytes} bytes")
