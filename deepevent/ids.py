"""Ids of runs and writers: ULIDs, so that sorting by id is sorting by time of birth.

26 lower-case characters of Crockford's base 32: 48 bits of milliseconds, 80 bits of chance.
"""

from __future__ import annotations

import os
import time

from deepevent.wire import ULID_ALPHABET


def new_id() -> str:
    """Make an id that nobody else has."""
    return ulid_of(int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10), "big"))


def ulid_of(number: int) -> str:
    """Write a number below 2**128 as 26 characters."""
    digits = []
    for _ in range(26):
        digits.append(ULID_ALPHABET[number & 31])
        number >>= 5
    return "".join(reversed(digits))
