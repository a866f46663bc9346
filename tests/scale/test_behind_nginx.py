"""Two servers behind the nginx of deploy/: scripts and pages know one address, and one server may die."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from deepevent.store import access, connection

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"
N_POINTS = 400
FEW = 40


@dataclass
class Proxy:
    """One address for several servers; as much of a server as a page needs."""

    url: str
    token: str

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request with the token."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, timeout=30, **options)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start the nginx of deploy/ before servers of this machine; gives its address."""
    program = os.environ.get("NGINX") or shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    running: list[subprocess.Popen[bytes]] = []

    def start(*ports: int) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        text = CONFIGURATION.read_text()
        for number, server in enumerate(ports, 1):
            text = text.replace(f"server-{number}:6060", f"127.0.0.1:{server}")
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"    {kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
        for old, new in (
            ("    include mime.types;\n", paths),
            ("listen 8080", f"listen 127.0.0.1:{port}"),
            ("/tmp/nginx.pid", f"{tmp_path}/pid"),
            ("/dev/stdout", f"{tmp_path}/requests"),
            ("\nworker_processes auto;", "\nworker_processes 1;\ndaemon off;"),
        ):
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "nginx.conf").write_text(text)
        command = [program, "-c", tmp_path / "nginx.conf", "-p", tmp_path, "-e", tmp_path / "errors"]
        running.append(subprocess.Popen(command))
        deadline = time.monotonic() + 30
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/healthz", timeout=30).raise_for_status()
                return f"http://127.0.0.1:{port}"
            except requests.ConnectionError:
                assert running[-1].poll() is None and time.monotonic() < deadline
                time.sleep(0.02)

    yield start
    for process in running:
        process.terminate()
        process.wait(30)


def test_a_server_dies_behind_the_proxy_and_nobody_notices(
    postgresql: Callable[[], str], start_server: Any, open_page: Any, world: Any, nginx: Any, tmp_path: Path
) -> None:
    """A script keeps its address, a page comes back to it, each point is there once."""
    store = postgresql()
    first, second = (start_server("--store", store, home=tmp_path / name) for name in ("first", "second"))
    database = connection.open_database(store)
    token = access.create_token(database, "everybody", "operator")
    database.close()
    proxy = Proxy(nginx(first.port, second.port), token)
    script = world.Script(
        tmp_path / "script",
        tmp_path / "ledger",
        *("--count", str(N_POINTS), "--pause", "0.004"),
        DEEPEVENT_URL=proxy.url,
        DEEPEVENT_TOKEN=token,
    )
    script.wait_for(0)
    key = (script.run_id, "value", 0)
    page = open_page(proxy)
    page.wait_for(lambda: proxy.call("GET", f"/api/v1/runs/{key[0]}").status_code == 200)
    page.watch(key[0])
    page.wait_for(lambda: len(page.values.get(key, [])) >= FEW)
    first.kill()
    page.reconnect()
    page.watch(key[0])
    script.finish()
    page.wait_for(lambda: len(page.values.get(key, [])) >= N_POINTS)
    assert page.values[key] == [world.value_of(step) for step in range(N_POINTS)]
    assert (tmp_path / "requests").read_text().count('"path":"/api/v1/ingest","status":200') > 1
