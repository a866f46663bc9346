"""A progress bar on stderr: one line that is redrawn in a terminal, and nothing elsewhere.

Results go to stdout, so that a bar never mixes with them.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

_WIDTH = 30
_INTERVAL_S = 0.1
_MEGABYTE = 1_000_000


class ProgressBar:
    """Show how much of something is done.

    Args:
        title: stands before the bar.
        in_bytes: counts are bytes, shown in megabytes.
        stream: where to draw; a stream that is no terminal gets one line at the end.
    """

    def __init__(self, title: str, in_bytes: bool = False, stream: TextIO | None = None) -> None:
        self._title = title
        self._in_bytes = in_bytes
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._drawn_at = 0.0
        self._line = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line:
            self._stream.write(("\r" if self._live else "") + self._line + "\n")
            self._stream.flush()

    def update(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` are done; a total of None is not known."""
        self._line = self._text(done, total)
        now = time.monotonic()
        if self._live and now - self._drawn_at >= _INTERVAL_S:
            self._drawn_at = now
            self._stream.write("\r" + self._line)
            self._stream.flush()

    def _text(self, done: int, total: int | None) -> str:
        if total is None:
            return f"{self._title}: {self._amount(done)}"
        filled = _WIDTH * done // max(total, 1)
        bar = "#" * filled + "." * (_WIDTH - filled)
        return f"{self._title} [{bar}] {self._amount(done)} of {self._amount(total)}"

    def _amount(self, count: int) -> str:
        return f"{count / _MEGABYTE:,.1f} MB" if self._in_bytes else f"{count:,}"
