"""A child process whose output goes on to ours, and to a function, line by line.

Works without a terminal: two pipes and one loop. What the child prints is written on before anything else
happens to it. Signals that we get are passed on. Knows no run.
"""

from __future__ import annotations

import codecs
import os
import select
import selectors
import signal
import subprocess
import threading
import time
from collections import deque

from deepevent.output import OutputLines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

PIECE_BYTES = 1 << 16
LOOK_INTERVAL_S = 1.0  # how often a Stop is looked for
STOP_GRACE_S = 30.0  # the time that a program has for ending by itself, after a Stop
DRAIN_S = 2.0  # how long what the child left behind may go on printing
TAIL_LINES = 100  # of stderr, kept for what a failure says
SHOWN_LINES = 20
TRACEBACK = "Traceback (most recent call last):"
TRACEBACK_LIMIT = 60_000  # characters
PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGQUIT)
FROM_THE_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)


class Child:
    """A command that runs.

    Args:
        command: a list of words; no shell.
        environment: its environment.
        log_output: takes a stream's name and a line.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log_output: Callable[[str, str], None]
    ) -> None:
        self._lines = OutputLines(log_output)
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._rest = ""
        self._code = 0
        self._early: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._handlers = {number: signal.signal(number, self._pass_on) for number in PASSED_ON}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - running it is what we are asked for
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(environment)
            )
        except BaseException:
            self._restore()
            raise
        for number in self._early:
            self._process.send_signal(number)

    def wait(self, should_stop: Callable[[], bool]) -> int:
        """Return its exit code, negative for a signal, once it has ended and its output is read."""
        process = self._process
        assert process is not None  # noqa: S101 - it was started
        ended, ending = os.pipe()
        waiter = threading.Thread(target=_tell_end, args=(process, ending), daemon=True)
        waiter.start()
        pipes = [(process.stdout, "stdout", 1), (process.stderr, "stderr", 2)]
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(ended, selectors.EVENT_READ)
                for pipe, stream, target in pipes:
                    decoder = codecs.getincrementaldecoder("utf-8")("replace")
                    selector.register(pipe, selectors.EVENT_READ, (stream, target, decoder))  # type: ignore[arg-type]
                self._pump(selector, ended, should_stop)
            self._code = process.wait()
        finally:
            for pipe, _, _ in pipes:
                if pipe is not None:
                    pipe.close()
            self._restore()
            waiter.join()
            os.close(ended)
        self._lines.close()
        return self._code

    def failure(self) -> str:
        """Say how it failed: the last traceback on stderr, else its last lines, and how it ended."""
        lines = [*self._tail, self._rest] if self._rest else list(self._tail)
        starts = [index for index, line in enumerate(lines) if TRACEBACK in line]
        shown = lines[starts[-1] :] if starts else lines[-SHOWN_LINES:]
        how = f"exit code {self._code}" if self._code >= 0 else f"killed by {_signal_name(-self._code)}"
        return "\n".join([*shown, how])[-TRACEBACK_LIMIT:] + "\n"

    def _pump(self, selector: selectors.BaseSelector, ended: int, should_stop: Callable[[], bool]) -> None:
        """Move output until the child and both pipes have ended, or what it left behind takes too long."""
        ended_at: float | None = None
        stop_at: float | None = None
        while selector.get_map():
            for key, _ in selector.select(LOOK_INTERVAL_S):
                if key.fd == ended:
                    ended_at = time.monotonic()
                    selector.unregister(ended)
                elif not self._move(key.fd, *key.data):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
            now = time.monotonic()
            if ended_at is not None:
                if now > ended_at + DRAIN_S:
                    return
            elif stop_at is None and should_stop():
                stop_at = now + STOP_GRACE_S
            elif stop_at is not None and now > stop_at:
                stop_at = float("inf")
                self._send(signal.SIGTERM)

    def _move(self, source: int, stream: str, target: int, decoder: codecs.IncrementalDecoder) -> bool:
        """Move what is there; False at the end, or when nobody reads us: the child shall notice that, too."""
        piece = os.read(source, PIECE_BYTES)
        if not _write_all(target, piece):
            return False
        text = decoder.decode(piece, final=not piece)
        if stream == "stderr":
            *lines, self._rest = (self._rest + text).split("\n")
            self._tail.extend(lines)
            self._rest = self._rest[-TRACEBACK_LIMIT:]
        self._lines.take(stream, text)
        return bool(piece)

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        # What is typed at a terminal reaches the child by itself, being in the same group.
        if not (number in FROM_THE_KEYBOARD and _at_terminal()):
            self._send(number)

    def _send(self, number: int) -> None:
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)


def _tell_end(process: subprocess.Popen[bytes], ending: int) -> None:
    process.wait()
    os.close(ending)


def _at_terminal() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _write_all(descriptor: int, data: bytes) -> bool:
    """Write everything; False if nobody reads it any more."""
    view = memoryview(data)
    try:
        while view:
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:  # somebody made our stdout non-blocking
                select.select([], [descriptor], [])
    except OSError:
        return False
    return True


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
