"""TLS: the certificate, checked before the server listens, and sockets that two threads may use.

Knows no routes and no sessions.
"""

from __future__ import annotations

import select
import ssl
import threading
from pathlib import Path
from typing import Any

from deepevent.errors import SettingsError

LOOK_EVERY_S = 1.0
"""How long a reader takes to notice that its own side has closed the connection."""


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Load a certificate, with its chain, and its key.

    Raises:
        SettingsError: they cannot be read, or do not belong together.
    """
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(certificate, key, _no_password)
    except OSError as error:  # ssl.SSLError is one
        what = error.strerror or str(error)
        raise SettingsError(
            f"--cert {str(certificate)!r} and --key {str(key)!r} cannot be used: {what}"
        ) from error
    return made


def _no_password() -> str:
    raise SettingsError("--key has a password, which a server that starts by itself cannot be asked for")


class SharedTlsSocket:
    """A TLS connection that one thread reads while another writes.

    OpenSSL forbids two threads in one connection at a time, and the WebSocket's reader sits in `recv` for
    hours. So nobody waits within OpenSSL: each call is made under a lock, without blocking, and the waiting
    is done outside.
    """

    def __init__(self, connection: ssl.SSLSocket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """The descriptor, for selectors."""
        return self._connection.fileno()

    def recv(self, size: int) -> bytes:
        """At most `size` bytes, when there are some; none at the end."""
        return bytes(self._try(lambda: self._connection.recv(size)))

    def send(self, data: bytes) -> int:
        """All of `data`."""
        left = memoryview(data)
        while left:
            left = left[self._try(lambda rest=left: self._connection.send(rest)) :]
        return len(data)

    def _try(self, call: Any) -> Any:
        while True:
            with self._lock:
                try:
                    return call()
                except ssl.SSLWantReadError:
                    reads, writes = [self], []
                except ssl.SSLWantWriteError:
                    reads, writes = [], [self]
            if self.fileno() < 0:
                raise OSError("the connection is closed")
            select.select(reads, writes, [], LOOK_EVERY_S)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
