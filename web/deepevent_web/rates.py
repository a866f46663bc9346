"""So many at once, so many a second: the one way in which the server counts how often something happens.

Knows nothing of who that is or what it does.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable

KEYS_KEPT = 10_000


class Bucket:
    """Allows `burst` at once and `per_second` in the long run."""

    def __init__(self, burst: float, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._level = burst
        self._at = time.monotonic()

    def _refill(self) -> None:
        now = time.monotonic()
        self._level = min(self._burst, self._level + (now - self._at) * self._per_second)
        self._at = now

    def take(self) -> bool:
        """Whether one more is within the limit."""
        self._refill()
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def charge(self, n: float) -> None:
        """Count what has happened already; a debt is paid off by waiting."""
        self._refill()
        self._level = max(self._level - n, -self._burst)

    @property
    def wait_s(self) -> float:
        """Seconds until there is room for one more; 0 now."""
        self._refill()
        return max(0.0, (1 - self._level) / self._per_second)


class Rates:
    """A bucket for each key; the key that was quiet for longest is forgotten when there are too many."""

    def __init__(self, burst: float, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> float:
        """Count one; return 0, or the seconds to wait when there is no room."""
        with self._lock:
            bucket = self._bucket(key)
            return 0.0 if bucket.take() else bucket.wait_s

    def wait_s(self, key: Hashable) -> float:
        """Seconds until there is room for one more; counts nothing."""
        with self._lock:
            return self._bucket(key).wait_s

    def charge(self, key: Hashable, n: float) -> None:
        """Count what has happened already."""
        with self._lock:
            self._bucket(key).charge(n)

    def _bucket(self, key: Hashable) -> Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= KEYS_KEPT:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = Bucket(self._burst, self._per_second)
        self._buckets.move_to_end(key)
        return bucket
