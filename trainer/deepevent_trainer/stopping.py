"""A wish to stop, out of SIGTERM or Ctrl-C: a training writes its checkpoint instead of dying.

Knows signals only.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Turn SIGTERM and Ctrl-C into a wish to stop, so that the checkpoint is written; a second one kills."""
    stopped = threading.Event()

    def handle(number: int, _frame: object) -> None:
        stopped.set()
        signal.signal(number, previous[number])

    previous = {int(number): signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
