"""TLS of the server's own: a real certificate, scripts that know it, sockets that two threads share."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
import socketio

import deepevent

N_POINTS = 300


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine and its key, made by openssl."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = "-subj /CN=localhost -addext subjectAltName=DNS:localhost"
    words = f"{command} {names} -keyout".split()
    subprocess.run([*words, str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def test_all_ways_in_go_over_tls(start_server: Any, certificate: tuple[Path, Path]) -> None:
    """Scripts of this machine, commands, browsers and sockets get in; cookies are Secure; HSTS is off."""
    cert, key = certificate
    server = start_server("--cert", str(cert), "--key", str(key))
    assert server.url.startswith("https://127.0.0.1:")
    run = deepevent.start(name="tls")
    run.log({"a": 0.0}, step=0)
    assert run.flush(timeout=60), "a script that reads server.json did not get in"
    outside = server.url.replace("127.0.0.1", "localhost")
    browser = requests.Session()
    browser.verify = str(cert)
    browser.trust_env = False
    signed = browser.post(f"{outside}/api/v1/session", json={"code": server.code}, timeout=30)
    assert signed.status_code == 204
    assert "Secure" in signed.headers["Set-Cookie"]
    assert "Strict-Transport-Security" not in signed.headers
    assert browser.get(f"{outside}/api/v1/runs", timeout=30).json()["total"] == 1
    listed = subprocess.run(
        [Path(sys.executable).with_name("deepevent"), "runs", "--json"],
        env={**os.environ, "DEEPEVENT_HOME": str(server.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(listed.stdout)["runs"][0]["name"] == "tls"
    _follow(server, outside, cert, run)
    _garbage(server)
    assert browser.get(f"{outside}/healthz", timeout=30).status_code == 200
    assert "Traceback" not in server.log.read_text()


def _follow(server: Any, address: str, cert: Path, run: Any) -> None:
    """A page's socket: points are written to it by one thread while another one reads what it sends."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(cert)
    page = socketio.Client(reconnection=False, http_session=session)
    seen: set[int] = set()
    complete = threading.Event()

    def take(header: dict[str, Any], _data: bytes) -> None:
        for series in header["series"]:
            seen.update(range(series["index"], series["index"] + max(series["n"], 1)))
        if N_POINTS in seen:
            complete.set()

    page.on("points", take)
    token = {"Authorization": f"Bearer {server.token}"}
    page.connect(address, headers=token, transports=["websocket"], wait_timeout=30)
    page.call("watch", {"runs": [run.id], "metrics": None, "after": None}, timeout=30)
    for step in range(1, N_POINTS + 1):
        run.log({"a": float(step)}, step=step)
        if step % 50 == 0:
            page.call("watch", {"runs": [run.id], "metrics": None, "after": 0}, timeout=30)
            run.flush(timeout=60)
    run.finish()
    assert complete.wait(60), f"the last point did not arrive; {sorted(seen)[-3:]}"
    page.disconnect()


def _garbage(server: Any) -> None:
    """I7: what is no TLS is hung up on, and nobody else notices."""
    for data in (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\xff\xff" + b"\0" * 300,
        os.urandom(4096),
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass


@pytest.mark.parametrize("wrong", ["missing", "swapped", "half"])
def test_a_certificate_that_cannot_be_used_is_one_sentence(
    home: Path, certificate: tuple[Path, Path], wrong: str
) -> None:
    """A file that is not there, key and certificate mixed up, and one without the other."""
    cert, key = certificate
    arguments = {
        "missing": ["--cert", str(home / "none.pem"), "--key", str(key)],
        "swapped": ["--cert", str(key), "--key", str(cert)],
        "half": ["--cert", str(cert)],
    }[wrong]
    done = subprocess.run(
        [Path(sys.executable).with_name("deepevent"), "serve", "--port", "0", *arguments],
        env={**os.environ, "DEEPEVENT_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "--cert" in done.stderr and done.stderr.count("\n") == 1, done.stderr
