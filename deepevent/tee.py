"""`start(capture_output=True)`: `sys.stdout` and `sys.stderr` write on as before, and into the run as well.

Python's streams alone: what a C library or a child process writes to the file descriptors goes past this, and
`deepevent run` has it. In return nothing stands between the program and its terminal, whatever becomes of us.
"""

from __future__ import annotations

import sys
import threading

from deepevent.output import OutputLines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TextIO


class Tees:
    """Both streams of this process, until `close`."""

    def __init__(self, log_output: Callable[[str, str], None]) -> None:
        self._lines = OutputLines(log_output)
        self._lock = threading.RLock()
        self._inside = False  # what is said while a line is logged is not logged again
        self._tees: list[Tee] = []
        for name in ("stdout", "stderr"):
            original = getattr(sys, name)
            if original is not None:
                tee = Tee(original, name, self.take)
                setattr(sys, name, tee)
                self._tees.append(tee)

    def take(self, stream: str, text: str) -> None:
        """Log what was written; never raises."""
        with self._lock:
            if self._inside:
                return
            self._inside = True
            try:
                self._lines.take(stream, text)
            except Exception:  # noqa: BLE001, S110 - printing must work, and we cannot print why this did not
                pass
            finally:
                self._inside = False

    def silence(self) -> None:
        """Log nothing any more, in a forked child: what it prints is no reason to open a writer."""
        for tee in self._tees:
            tee.silence()

    def close(self) -> None:
        """Put the streams back, unless somebody has put others in their place since."""
        for tee in self._tees:
            if getattr(sys, tee.name_in_sys) is tee:
                setattr(sys, tee.name_in_sys, tee.original)
            tee.silence()
        with self._lock:
            self._lines.close()


class Tee:
    """A text stream that hands on what is written to it."""

    def __init__(self, original: TextIO, name: str, take: Callable[[str, str], None]) -> None:
        self.original = original
        self.name_in_sys = name
        self._take: Callable[[str, str], None] | None = take

    def silence(self) -> None:
        """Log nothing any more; whoever still holds this stream can go on writing."""
        self._take = None

    def write(self, text: str) -> int:
        """Write to the original first."""
        n = self.original.write(text)
        take = self._take
        if take is not None:
            take(self.name_in_sys, text)
        return n

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def __iter__(self) -> Any:
        return iter(self.original)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)
