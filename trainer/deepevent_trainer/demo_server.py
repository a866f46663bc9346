"""The demo's server: `deepevent serve` as a process of its own, and what its API says.

The demo asks the server like any other program would, so its figures are what was committed and not what it
remembers. Knows HTTP and processes; nothing of training.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepevent.endpoint import Endpoint
from deepevent.errors import ServerRefused, ServerUnreachable
from deepevent.serverapi import ServerApi
from deepevent_trainer import children

USUAL_PORT = 6060
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
REQUEST_TIMEOUT_S = 10.0
BUSY_S = 0.5
# Settings of the person's own scripts, which would send the demo's runs elsewhere.
_OWN_SETTINGS = ("DEEPEVENT_URL", "DEEPEVENT_TOKEN", "DEEPEVENT_RUN", "DEEPEVENT_MODE", "RANK")


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        url: where.
        api: calls it with a token that may do everything.
        process: the server's.
        environment: for processes that belong to it.
    """

    url: str
    api: ServerApi
    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]

    def sign_in_link(self) -> str:
        """Return an address that signs a browser in, once."""
        return str(self.api.call("POST", "/session/codes", {})["url"])

    def get(self, path: str) -> dict[str, Any]:
        """Return the answer to GET `path`, asked again while the server lives but is too busy to answer.

        Raises:
            ServerUnreachable: it has ended.
            ServerRefused: the answer is an error.
        """
        while True:
            try:
                return self.api.call("GET", path)
            except ServerUnreachable:
                if self.process.poll() is not None:
                    raise
                time.sleep(BUSY_S)


@contextmanager
def serving(home: Path, port: int | None) -> Iterator[Server]:
    """Run a server with its data in `home` while the block runs; it stops behind it.

    Args:
        home: made if need be; the server's words go to `server.log` in it.
        port: to listen on; None takes 6060, or any free one when that is taken.

    Raises:
        ServerUnreachable: if it does not start; with its own last words.
    """
    home.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key not in _OWN_SETTINGS}
    environment["DEEPEVENT_HOME"] = str(home.resolve())
    log = home / "server.log"
    log.unlink(missing_ok=True)
    chosen = _free_port() if port is None else port
    process = children.start(["serve", "--port", str(chosen)], log, environment)
    try:
        url, api = _wait_until_healthy(process, home, log)
        yield Server(url, api, process, environment)
    finally:
        children.end(process, STOP_TIMEOUT_S)


def _wait_until_healthy(process: subprocess.Popen[bytes], home: Path, log: Path) -> tuple[str, ServerApi]:
    """Return its address and its API, as soon as it answers."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            words = children.last_words(log).removeprefix("deepevent serve: ")
            raise ServerUnreachable(f"the server did not start: {words}")
        with suppress(OSError, ValueError, KeyError, ServerUnreachable, ServerRefused):
            known = json.loads((home / "server.json").read_text())
            if known["pid"] == process.pid:
                api = ServerApi(Endpoint(str(home), known["url"], known["token"]), REQUEST_TIMEOUT_S)
                api.call("GET", "/runs?limit=1")
                return known["url"], api
        # There is nothing to wait on: the file appears, then the port answers.
        time.sleep(0.05)
    raise ServerUnreachable(f"the server did not answer within {START_TIMEOUT_S:.0f} s: see {log}")


def _free_port() -> int:
    """Return 6060 when nobody listens there, else 0, which is any free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", USUAL_PORT))
        except OSError:
            return 0
    return USUAL_PORT
