"""The server's clock, by which leases run.

It starts at the wall clock's time and then goes on by the monotonic clock: setting the wall clock while a
server runs ends no lease and prolongs none. Agents' clocks never count.
"""

from __future__ import annotations

import time

_OFFSET = time.time() - time.monotonic()


def server_time() -> float:
    """Give the time in seconds since 1970, steady within this process."""
    return _OFFSET + time.monotonic()
