"""Which connections may hold a thread: none for long without moving, and not too many from one address.

The server answers each request in a thread of its own. A client that sends its head letter by letter, or
that never reads its answer, holds one for as long as it is let. So the worker tells the doorkeeper of every
connection that has a thread, and what lingers is cut off; the thread that waits for it then finds the
connection closed. Knows sockets, and nothing of HTTP.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deepevent_web.limits import LIMITS
from deepevent_web.proxies import Network, is_in

WATCH_EVERY_S = 1.0
HEAD_S = float(LIMITS.head_and_body_s)
STALL_S = float(LIMITS.answer_stall_s)


@dataclass
class _Guest:
    """A connection that has a thread.

    Attributes:
        counted: whether it is among those of its address.
        head_until: when its head has to be there; None once it is.
        unread_bytes: of its answer, not yet taken by the other side at `moved_at`.
    """

    address: str
    counted: bool
    head_until: float | None
    unread_bytes: int = 0
    moved_at: float = 0.0


class Doorkeeper:
    """See the module's description.

    Args:
        per_address: how many connections of one address may have a thread at a time.
        trusted: addresses of proxies, behind which many clients stand.
    """

    def __init__(
        self, per_address: int = LIMITS.connections_per_address, trusted: Sequence[Network] = ()
    ) -> None:
        self._per_address = per_address
        self._trusted = trusted
        self._guests: dict[Any, _Guest] = {}
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start to look after the connections, in a thread of its own."""
        threading.Thread(target=self._watch, name="doorkeeper", daemon=True).start()

    def enter(self, connection: Any) -> bool:
        """Let a connection have a thread, and wait for its head; False: its address has enough."""
        address = str(connection.client[0]) if isinstance(connection.client, tuple) else ""
        counted = bool(address) and not is_in(address, self._trusted)
        with self._lock:
            if counted and self._counts[address] >= self._per_address:
                return False
            if counted:
                self._counts[address] += 1
            self._guests[connection] = _Guest(address, counted, time.monotonic() + HEAD_S)
        return True

    def head_is_there(self, connection: Any, *, stays: bool) -> None:
        """The head was read; `stays`: the connection is a page's socket, which has seats of its own."""
        with self._lock:
            guest = self._guests.get(connection)
            if guest is None:
                return
            guest.head_until, guest.moved_at = None, time.monotonic()
            if stays and guest.counted:
                guest.counted = False
                self._leave(guest.address)

    def leave(self, connection: Any) -> None:
        """The thread is done with the connection."""
        with self._lock:
            guest = self._guests.pop(connection, None)
            if guest is not None and guest.counted:
                self._leave(guest.address)

    def _leave(self, address: str) -> None:
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]

    def _watch(self) -> None:
        while True:
            time.sleep(WATCH_EVERY_S)
            now = time.monotonic()
            with self._lock:
                guests = list(self._guests.items())
            for connection, guest in guests:
                if _lingers(connection.sock, guest, now):
                    _cut(connection.sock)


def _lingers(sock: socket.socket, guest: _Guest, now: float) -> bool:
    if guest.head_until is not None:
        return now > guest.head_until
    unread = _unread_bytes(sock)
    if unread == 0 or unread != guest.unread_bytes:
        guest.unread_bytes, guest.moved_at = unread, now
        return False
    return now - guest.moved_at > STALL_S


def _unread_bytes(sock: socket.socket) -> int:
    """What we have sent and the other side has not acknowledged; 0 if the socket is gone."""
    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    except (OSError, ValueError):
        return 0
    return int(struct.unpack("i", answer)[0])


def _cut(sock: socket.socket) -> None:
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return
