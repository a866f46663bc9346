"""What the server does when nobody asks: adopt spools, compact, notice lost runs.

One thread per worker. A chore of the home is done by one worker of that home, a chore of the store by one of
all processes that share it. A failing chore is logged and counted and never stops the others.
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
from typing import Protocol

LEADER_FILE = "housekeeping.lock"
TICK_S = 0.5

_log = logging.getLogger(__name__)


@dataclass
class Chore:
    """Something to be done now and then."""

    name: str
    every_s: float
    do: Callable[[], object]
    of_home: bool = False
    next_at: float = 0.0
    n_done: int = 0
    n_failed: int = 0


class Leader(Protocol):
    """Says who of several does the chores."""

    def held(self) -> bool:
        """Whether we are the one, trying to become it."""
        ...

    def close(self) -> None:
        """Let another one."""
        ...


class Housekeeping:
    """Runs chores one after another in a thread of its own, as far as they are ours to do."""

    def __init__(self, chores: list[Chore], of_home: Leader, of_store: Leader) -> None:
        self.chores = chores
        self._of_home = of_home
        self._of_store = of_store
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

    @property
    def n_failed(self) -> int:
        """How often a chore has failed."""
        return sum(chore.n_failed for chore in self.chores)

    def _run(self) -> None:
        try:
            while not self._stop.wait(TICK_S):
                self._round({True: self._of_home.held(), False: self._of_store.held()})
        finally:
            self._of_home.close()
            self._of_store.close()

    def _round(self, ours: dict[bool, bool]) -> None:
        for chore in self.chores:
            if self._stop.is_set():
                return
            if not ours[chore.of_home] or time.monotonic() < chore.next_at:
                continue
            try:
                chore.do()
                chore.n_done += 1
            except Exception:  # noqa: BLE001 - one bad chore must not end the thread
                chore.n_failed += 1
                _log.exception("housekeeping: %s failed (%d times so far)", chore.name, chore.n_failed)
            chore.next_at = time.monotonic() + chore.every_s


class HomeLeader:
    """Held by one process of a home; the kernel gives it on when that process ends."""

    def __init__(self, home: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(home / LEADER_FILE, flags, 0o600)
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

    def close(self) -> None:
        """Let another one; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._held = False
