"""The demo's agent: `deepevent agent` beside the demo's server, started anew when it is killed.

So a person can kill it with kill -9 and see its jobs go on from their checkpoints. Knows processes; nothing
of training.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepevent.errors import ServerUnreachable
from deepevent_trainer import children
from deepevent_trainer.demo_server import Server

SLOTS = 2
GRACE_S = 15.0
# An agent that ends by itself sooner than this would end again.
SHORT_LIFE_S = 10.0


class DemoAgent:
    """See the module's description.

    Args:
        server: whose jobs it takes.
        log: the file for its words.
        data: root of the folders that jobs may name; None leaves the agent's own.
    """

    def __init__(self, server: Server, log: Path, data: Path | None) -> None:
        self._server = server
        self._log = log
        self._command = ["agent", "--name", "demo", "--slots", str(SLOTS), "--grace", str(GRACE_S)]
        self._command += [] if data is None else ["--data", str(data.resolve())]
        log.unlink(missing_ok=True)
        self._start()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The agent's process."""
        return self._process

    def keep_alive(self) -> None:
        """Start it anew if it was killed.

        Raises:
            ServerUnreachable: it ends by itself; with its own last words.
        """
        if self._process.poll() is None:
            return
        if self._process.returncode >= 0 and time.monotonic() - self._started < SHORT_LIFE_S:
            words = children.last_words(self._log).removeprefix("deepevent agent: ")
            raise ServerUnreachable(f"the agent does not run: {words}")
        self._start()

    def stop(self) -> None:
        """End it; its jobs write their checkpoints and go back to the queue, or are lost."""
        children.end(self._process, GRACE_S + 10)

    def _start(self) -> None:
        self._process = children.start(self._command, self._log, self._server.environment)
        self._started = time.monotonic()


@contextmanager
def working(server: Server, log: Path, data: Path | None) -> Iterator[DemoAgent]:
    """Run an agent while the block runs."""
    agent = DemoAgent(server, log, data)
    try:
        yield agent
    finally:
        agent.stop()
