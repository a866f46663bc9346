"""What the client says to people: short lines on stderr, each thing once.

A monitor lives in other people's programs, so it says little and fails silently: a closed or missing stderr
is no reason to stop a training.
"""

from __future__ import annotations

import sys

KEYS_LIMIT = 10_000
_said: set[object] = set()


def say(text: str) -> None:
    """Write one line to stderr."""
    try:
        print(f"deepevent: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):  # closed, broken or None
        return


def say_once(key: object, text: str) -> None:
    """Write one line to stderr, unless something was said for this key before."""
    if key in _said or len(_said) >= KEYS_LIMIT:
        return
    _said.add(key)
    say(text)
