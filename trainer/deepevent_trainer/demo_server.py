"""The demo's server: `deepevent serve` as a process of its own, and what its API says.

The demo asks the server like any other program would, so its figures are what was committed and not what it
remembers. Knows HTTP and processes; nothing of training.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepevent.errors import ServerRefused, ServerUnreachable

# How this program's commands are run in another process, whatever is on the PATH.
COMMAND = (sys.executable, "-c", "from deepevent.cli import main; raise SystemExit(main())")
USUAL_PORT = 6060
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
REQUEST_TIMEOUT_S = 10.0
# Settings of the person's own scripts, which would send the demo's runs elsewhere.
_OWN_SETTINGS = ("DEEPEVENT_URL", "DEEPEVENT_TOKEN", "DEEPEVENT_RUN", "DEEPEVENT_MODE", "RANK")


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        url: where.
        token: what lets this demo in.
        process: the server's.
        environment: for processes that shall log to it.
    """

    url: str
    token: str
    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]

    def get(self, path: str) -> Any:
        """Return the answer to GET `path`, from JSON.

        Raises:
            ServerUnreachable, ServerRefused: if there is none, or it is an error.
        """
        return _request(self.url + path, self.token, None)

    def sign_in_link(self) -> str:
        """Return an address that signs a browser in, once."""
        answer = _request(self.url + "/api/v1/session/codes", self.token, {})
        return str(answer["url"])

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run as the server has it."""
        answer: dict[str, Any] = self.get(f"/api/v1/runs/{run_id}")
        return answer


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
    chosen = _free_port() if port is None else port
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches the training first, whose last points the server still takes.
        process = subprocess.Popen(  # noqa: S603 - our own command, no shell
            [*COMMAND, "serve", "--port", str(chosen)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        url, token = _wait_until_healthy(process, home, log)
        yield Server(url, token, process, environment)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(process: subprocess.Popen[bytes], home: Path, log: Path) -> tuple[str, str]:
    """Return address and token, as soon as the server answers."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerUnreachable(f"the server did not start: {_last_words(log)}")
        try:
            known = json.loads((home / "server.json").read_text())
            if known["pid"] == process.pid:
                _request(known["url"] + "/healthz", None, None)
                return known["url"], known["token"]
        except (OSError, ValueError, KeyError, ServerUnreachable):
            pass
        # There is nothing to wait on: the file appears, then the port answers.
        time.sleep(0.05)
    raise ServerUnreachable(f"the server did not answer within {START_TIMEOUT_S:.0f} s: see {log}")


def _request(url: str, token: str | None, body: dict[str, Any] | None) -> Any:
    """Send `body` as JSON (None: GET) and return the answer, from JSON where it is some."""
    headers = {"Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - the address is our own server's
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as answer:  # noqa: S310
            content = answer.read()
            is_json = answer.headers.get_content_type().endswith("json")
    except urllib.error.HTTPError as error:
        raise ServerRefused(error.code, error.reason) from error
    except (urllib.error.URLError, OSError) as error:
        raise ServerUnreachable(f"no answer from {url}: {error}") from error
    return json.loads(content) if is_json else content


def _free_port() -> int:
    """Return 6060 when nobody listens there, else 0, which is any free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", USUAL_PORT))
        except OSError:
            return 0
    return USUAL_PORT


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].removeprefix("deepevent serve: ") if lines else f"it said nothing (see {log})"
