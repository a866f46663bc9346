"""Lets readers sleep until something newer was committed.

A commit of this process wakes them at once. Commits of other processes come by PostgreSQL's
LISTEN/NOTIFY, or, with SQLite, which has no such thing, by a look at the revision every POLL_S.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import sqlalchemy as sa

POLL_S = 0.5
RECONNECT_S = 1.0


class Commits:
    """The newest revision known, and a bell that rings when it grows."""

    CHANNEL = "deepevent_commits"

    def __init__(self, read_revision: Callable[[], int], listen_url: sa.URL | None) -> None:
        self._read_revision = read_revision
        self._listen_url = listen_url
        self._changed = threading.Condition()
        self._newest = 0
        self._closed = False
        self._listener: threading.Thread | None = None

    def publish(self, revision: int) -> None:
        """Say that `revision` is committed."""
        with self._changed:
            if revision > self._newest:
                self._newest = revision
                self._changed.notify_all()

    def wait(self, after: int, timeout: float | None = None) -> int:
        """Wait until a revision above `after` is committed, or `timeout` seconds have passed.

        Returns: the newest revision known, which is not above `after` when the time ran out or the
        store was closed.
        """
        self._listen()
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._changed:
                if self._newest > after or self._closed:
                    return self._newest
                left = POLL_S if deadline is None else min(POLL_S, deadline - time.monotonic())
                if left > 0:
                    self._changed.wait(left)
                if self._newest > after or self._closed:
                    return self._newest
            self.publish(self._read_revision())
            if deadline is not None and time.monotonic() >= deadline:
                return self._newest

    def close(self) -> None:
        """Wake everybody, for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            listener = self._listener
        if listener is not None:
            listener.join()

    def _listen(self) -> None:
        if self._listen_url is None:
            return
        with self._changed:
            if self._listener is None and not self._closed:
                self._listener = threading.Thread(
                    target=self._hear, name="deepevent-commits", args=(self._listen_url,), daemon=True
                )
                self._listener.start()

    def _hear(self, url: sa.URL) -> None:
        import psycopg

        address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        while not self._closed:
            try:
                with psycopg.connect(address, autocommit=True) as connection:
                    connection.execute(f"LISTEN {self.CHANNEL}")
                    while not self._closed:
                        for notice in connection.notifies(timeout=POLL_S):
                            self.publish(int(notice.payload))
            except psycopg.OperationalError:
                # The waiters look at the revision every POLL_S meanwhile, and meet the error if it lasts.
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, RECONNECT_S)
