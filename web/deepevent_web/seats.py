"""How many browsers may watch at once, in all and from one address.

A socket holds a thread as long as it lives; the cap keeps enough of them for everything else.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from deepevent_web.limits import LIMITS
from deepevent_web.problems import Problem

DEFAULT_VIEWERS = LIMITS.sockets
DEFAULT_PER_ADDRESS = LIMITS.sockets_per_address


class Seats:
    """Counts the sockets that are open."""

    def __init__(self, total: int = DEFAULT_VIEWERS, per_address: int = DEFAULT_PER_ADDRESS) -> None:
        self.total = total
        self.per_address = per_address
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def n_taken(self) -> int:
        """Sockets that are open now."""
        with self._lock:
            return self._taken.total()

    @contextmanager
    def taken(self, address: str) -> Iterator[None]:
        """Hold a seat for as long as the block lasts.

        Raises:
            Problem: 429, there is none left.
        """
        with self._lock:
            if self._taken.total() >= self.total or self._taken[address] >= self.per_address:
                raise Problem(
                    429, "as many browsers as this server allows are watching", headers={"Retry-After": "5"}
                )
            self._taken[address] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[address] -= 1
                if not self._taken[address]:
                    del self._taken[address]
