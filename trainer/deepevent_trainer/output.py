"""What a job prints: lines into its run, bounded in rate and size; and all of it, bounded too, into a file.

A job that prints a gigabyte a second harms neither the agent nor the server. Knows neither HTTP nor engines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

MAX_LINE = 8_000
LINES_PER_S = 200.0
BURST_LINES = 5_000.0
MAX_RUN_BYTES = 32 << 20
MAX_FILE_BYTES = 64 << 20


class OutputLog:
    """Takes the pieces of both streams of one attempt.

    Args:
        log_output: puts a line of a stream into the run.
        path: the file that keeps the output.
        clock: seconds, for the rate.
    """

    def __init__(
        self, log_output: Callable[[str, str], None], path: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log_output = log_output
        self._clock = clock
        self._lock = threading.Lock()
        self._rest = {"stdout": "", "stderr": ""}
        self._allowance = BURST_LINES
        self._looked = clock()
        self._run_bytes = 0
        self._file_bytes = 0
        self.n_left_out = 0
        self.last_error = ""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", errors="replace")

    def read(self, stream: str, text: str) -> None:
        """Take a piece."""
        with self._lock:
            self._keep(text)
            *lines, rest = (self._rest[stream] + text).split("\n")
            # An overlong line is cut while it arrives, so that it is never held whole.
            self._rest[stream] = rest if len(rest) <= MAX_LINE else rest[:MAX_LINE]
            for line in lines:
                self._pass_on(stream, line)

    def close(self) -> None:
        """Pass on unfinished lines, and say how much was left out."""
        with self._lock:
            for stream, rest in self._rest.items():
                if rest:
                    self._pass_on(stream, rest)
            if self.n_left_out:
                self._log_output("stderr", f"deepevent: {self.n_left_out} lines were left out here\n")
            self._file.close()

    def _keep(self, text: str) -> None:
        if self._file_bytes < MAX_FILE_BYTES:
            self._file.write(text)
            self._file_bytes += len(text)
            self._file.flush()

    def _pass_on(self, stream: str, line: str) -> None:
        line = line.rstrip("\r").rpartition("\r")[2][:MAX_LINE]  # of a progress bar, what was last to be seen
        if stream == "stderr" and line.strip():
            self.last_error = line.strip()[:300]
        now = self._clock()
        self._allowance = min(BURST_LINES, self._allowance + (now - self._looked) * LINES_PER_S)
        self._looked = now
        if self._allowance < 1 or self._run_bytes > MAX_RUN_BYTES:
            self.n_left_out += 1
            return
        self._allowance -= 1
        self._run_bytes += len(line) + 1
        self._log_output(stream, line + "\n")
