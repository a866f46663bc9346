"""A wish to stop, out of SIGTERM or Ctrl-C: a training writes its checkpoint instead of dying.

Between two trainings of several there is nothing to write: a search for hard examples or thresholds, which
takes minutes, ends at the next photograph. Knows signals only.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deepevent.errors import TrainingStopped


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


def end_when(stop: Callable[[], bool], what: str, goes_on_from: object) -> Callable[[], None]:
    """Return what a search calls before each photograph: it raises TrainingStopped once `stop` says so."""

    def check() -> None:
        if stop():
            raise TrainingStopped(what, str(goes_on_from))

    return check
