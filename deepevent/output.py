"""What a program prints, as lines for its run: bounded in length, rate and size.

A program that prints a gigabyte a second harms neither the spool nor the server; how many lines were left
out is the last thing that is logged. Colours and other escape sequences stay as they are: they are data. Of a
line that rewrites itself with carriage returns, a progress bar, what was last to be seen is kept, and now and
then on the way. Knows no run and no process.
"""

from __future__ import annotations

import time

from deepevent.notices import say_once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LINE_LIMIT = 8_000  # characters
LINES_PER_S = 200.0
BURST_LINES = 5_000.0
TEXT_LIMIT = 32 << 20  # characters of one process
PROGRESS_INTERVAL_S = 10.0


class OutputLines:
    """Takes pieces of stdout and stderr. Not safe from several threads at once: the callers hold a lock.

    Args:
        log_output: takes a stream's name and a line with its end.
        clock: seconds, for the rate.
    """

    def __init__(
        self, log_output: Callable[[str, str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log_output = log_output
        self._clock = clock
        self._rest = {"stdout": "", "stderr": ""}
        self._shown_at = {"stdout": clock(), "stderr": clock()}
        self._allowance = BURST_LINES
        self._looked = clock()
        self._n_characters = 0
        self.n_left_out = 0

    def take(self, stream: str, text: str) -> None:
        """Take a piece of what a stream printed."""
        *lines, rest = (self._rest[stream] + text).split("\n")
        for line in lines:
            self._pass_on(stream, line)
        if "\r" in rest:
            before, _, rest = rest.rpartition("\r")
            if not rest:  # it stands at the start of a line that is still to be seen
                rest = before.rpartition("\r")[2] + "\r"
            if self._clock() - self._shown_at[stream] >= PROGRESS_INTERVAL_S:
                self._pass_on(stream, rest)
        # An overlong line is cut while it arrives, so that it is never held whole.
        self._rest[stream] = rest[:LINE_LIMIT]

    def close(self) -> None:
        """Pass on unfinished lines, and say how much was left out."""
        for stream, rest in self._rest.items():
            if rest:
                self._pass_on(stream, rest)
        self._rest = {"stdout": "", "stderr": ""}
        if self.n_left_out:
            self._log_output("stderr", f"deepevent: {self.n_left_out} lines of output were left out here\n")
            say_once("output", f"{self.n_left_out} lines of output were not logged: there were too many")
            self.n_left_out = 0

    def _pass_on(self, stream: str, line: str) -> None:
        line = line.rstrip("\r").rpartition("\r")[2][:LINE_LIMIT]
        now = self._clock()
        self._allowance = min(BURST_LINES, self._allowance + (now - self._looked) * LINES_PER_S)
        self._looked = self._shown_at[stream] = now
        if self._allowance < 1 or self._n_characters > TEXT_LIMIT:
            self.n_left_out += 1
            return
        self._allowance -= 1
        self._n_characters += len(line) + 1
        self._log_output(stream, line + "\n")
