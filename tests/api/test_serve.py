"""`deepevent serve` as a command: what it refuses, what it writes, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests


def _serve(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("deepevent"), "serve", *arguments],
        env={**os.environ, "DEEPEVENT_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_scripts_of_this_machine_find_the_server(server: Any) -> None:
    """server.json holds the real port, a token and the process, for its owner's eyes only."""
    path = server.home / "server.json"
    known = json.loads(path.read_text())
    assert known == {"url": server.url, "token": server.token, "pid": server.process.pid}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.home.stat().st_mode) == 0o700
    assert server.call("GET", "/api/v1/session").json()["role"] == "operator"


def test_each_start_renews_the_local_token(server: Any) -> None:
    """The token of the last start is dead, and the file is gone while nobody serves."""
    old = server.token
    assert server.stop() == 0
    assert not (server.home / "server.json").exists()
    server.start()
    assert server.token != old
    answer = requests.get(f"{server.url}/api/v1/runs", headers={"Authorization": f"Bearer {old}"}, timeout=10)
    assert answer.status_code == 401


def test_a_second_server_on_the_same_home_is_refused(server: Any) -> None:
    """One home, one server; the message says where the first one is."""
    done = _serve(server.home, "--port", "0")
    assert done.returncode == 1
    assert server.url in done.stderr
    assert "Traceback" not in done.stderr


def test_a_busy_port_is_one_sentence(home: Path) -> None:
    """No traceback, no retries: the port and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _serve(home, "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(port) in done.stderr and "--port" in done.stderr


def test_the_network_needs_tokens_first(home: Path) -> None:
    """Listening beyond this machine without any token made is refused, with the command that makes one."""
    done = _serve(home, "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 1
    assert "deepevent token create" in done.stderr


def test_with_tokens_the_network_may_come(start_server: Any, home: Path) -> None:
    """Once a token exists, --host 0.0.0.0 serves, and still answers to no foreign name."""
    made = subprocess.run(
        [Path(sys.executable).with_name("deepevent"), "token", "create", "colleague"],
        env={**os.environ, "DEEPEVENT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    server = start_server("--host", "0.0.0.0")
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    assert requests.get(f"{server.url}/api/v1/session", headers=headers, timeout=10).status_code == 200
    foreign = requests.get(f"{server.url}/healthz", headers={"Host": "evil.example"}, timeout=10)
    assert foreign.status_code == 400


@pytest.mark.parametrize(
    "arguments", [("--port", "70000"), ("--workers", "0"), ("--workers", "2"), ("--public-url", "ftp://x")]
)
def test_impossible_arguments_are_named(home: Path, arguments: tuple[str, ...]) -> None:
    """The flag, the value and what is allowed."""
    done = _serve(home, *arguments)
    assert done.returncode != 0
    assert arguments[0] in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_gentle_and_complete(server: Any, how: signal.Signals) -> None:
    """Exit 0, nothing acknowledged is lost, and the same home serves it again."""
    stop = threading.Event()
    acknowledged = [0]

    def log() -> None:
        number = 1
        while not stop.is_set():
            try:
                answer = server.call(
                    "POST",
                    "/api/v1/events",
                    json={"events": [{"metrics": {"x": number}}]},
                    headers={"Idempotency-Key": f"01j0000000000000000000000c:{number}"},
                )
            except requests.ConnectionError:
                return
            if answer.status_code != 200:
                assert answer.status_code == 503
                return
            acknowledged[0] = answer.json()["acknowledged"]
            number += 1

    writer = threading.Thread(target=log)
    writer.start()
    while acknowledged[0] < 5:
        assert writer.is_alive()
        time.sleep(0.01)
    assert server.stop(how) == 0
    stop.set()
    writer.join()
    server.start()
    metric = server.call("GET", "/api/v1/runs/01j0000000000000000000000c/metrics").json()["metrics"][0]
    assert metric["n"] >= acknowledged[0]
    assert metric["max"] == metric["n"]


def test_a_slow_request_head_is_cut(server: Any) -> None:
    """A head that never ends loses its connection, and nobody else notices."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=40) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        assert requests.get(f"{server.url}/healthz", timeout=10).status_code == 200
        assert slow.recv(1) == b""


def test_a_length_that_is_a_lie_is_not_believed(server: Any) -> None:
    """Two gigabytes announced are refused before a byte is read."""
    head = (
        f"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.token}\r\n"
        "Content-Type: application/json\r\n"
    )
    answers = []
    for length in ("Content-Length: 2147483648", "Content-Length: -1", "X-None: 0"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=40) as connection:
            connection.sendall(f"{head}{length}\r\n\r\n".encode())
            answers.append(connection.recv(4096).split(b"\r\n")[0].split()[1])
    assert answers == [b"413", b"400", b"411"]


def test_an_endless_chunked_body_ends(server: Any) -> None:
    """A body without a length is cut at the route's limit."""

    def endless() -> Any:
        while True:
            yield b"x" * 65536

    try:
        answer = server.call(
            "POST", "/api/v1/runs", data=endless(), headers={"Content-Type": "application/json"}
        )
    except requests.ConnectionError:
        return
    assert answer.status_code == 413
