"""What the server does when nobody asks: adopt spools, compact, notice lost runs.

One thread in one worker. A failing chore is logged and counted and never stops the others.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LEADER_FILE = "housekeeping.lock"
TICK_S = 0.5

_log = logging.getLogger(__name__)


@dataclass
class Chore:
    """Something to be done now and then."""

    name: str
    every_s: float
    do: Callable[[], object]
    next_at: float = 0.0
    n_done: int = 0
    n_failed: int = 0


class Housekeeping:
    """Runs chores one after another in a thread of its own, in one worker of a home."""

    def __init__(self, home: Path, chores: list[Chore]) -> None:
        self.chores = chores
        self._home = home
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Start."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the present chore."""
        self._stop.set()
        self._thread.join(timeout=2.0)

    @property
    def stopping(self) -> bool:
        """For chores that take long: whether to leave the rest for next time."""
        return self._stop.is_set()

    def _run(self) -> None:
        with self._leadership() as leader:
            while not self._stop.wait(TICK_S):
                if leader.held():
                    self._round()

    def _round(self) -> None:
        for chore in self.chores:
            if self._stop.is_set():
                return
            if time.monotonic() < chore.next_at:
                continue
            try:
                chore.do()
                chore.n_done += 1
            except Exception:  # noqa: BLE001 - one bad chore must not end the thread
                chore.n_failed += 1
                _log.exception("housekeeping: %s failed (%d times so far)", chore.name, chore.n_failed)
            chore.next_at = time.monotonic() + chore.every_s

    def _leadership(self) -> _Leadership:
        return _Leadership(self._home / LEADER_FILE)


class _Leadership:
    """Held by one process; the kernel gives it on when that process ends."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._held = False

    def held(self) -> bool:
        """Whether we are the one, trying to become it."""
        if not self._held:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._held = True
            except BlockingIOError:
                return False
        return True

    def __enter__(self) -> _Leadership:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
