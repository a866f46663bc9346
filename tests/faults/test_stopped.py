"""SIGSTOP: the server or the script stands still for longer than anybody waits, and then goes on."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepevent.store import connection, runs

pytestmark = pytest.mark.timeout(180)
PATIENCE_S = 0.4  # of the client, with which a server that stands still has hung up on it several times


def status_of(home: Path, run_id: str) -> str:
    db = connection.open_database(f"sqlite:///{home / 'deepevent.db'}")
    try:
        return str(runs.get_run(db, run_id)["status"])
    finally:
        db.close()


def wait_until(condition: Callable[[], bool], limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_server_stands_still(tmp_path: Path, world: Any, faulty_server: Any, settle: Any) -> None:
    """Requests that the client gave up long ago are worked on after the pause, beside their repetitions."""
    server = faulty_server
    script = world.Script(
        server.home, tmp_path / "one.ledger", "--pause", "0.0003", "--patience", str(PATIENCE_S)
    )
    try:
        script.wait_for(200)
        for _ in range(3):
            os.killpg(server.process.pid, signal.SIGSTOP)
            time.sleep(3 * PATIENCE_S)
            os.killpg(server.process.pid, signal.SIGCONT)
            script.wait_for(script.returned + 300)
    finally:
        os.killpg(server.process.pid, signal.SIGCONT)
        script.kill()
    world.sync(server.home)
    settle(server.home, script.run_id, [(0, script.handed, script.returned)], kills=1)


def test_script_stands_still(tmp_path: Path, world: Any, settle: Any, clock: Any) -> None:
    """A script that was stopped counts as lost; it goes on, counts as running, and ends completed."""
    shift, environment = clock
    server = world.Server(tmp_path / "home")
    server.environment = environment
    server.start()
    script = world.Script(server.home, tmp_path / "one.ledger", "--count", "3000", "--pause", "0.0005")
    try:
        script.wait_for(500)
        wait_until(lambda: bool(world.stored_steps(server.home, script.run_id)))
        os.killpg(script.process.pid, signal.SIGSTOP)
        time.sleep(0.2)
        shift(120)  # two minutes later, by the server's clock
        wait_until(lambda: status_of(server.home, script.run_id) == "lost")
        os.killpg(script.process.pid, signal.SIGCONT)
        script.finish()
        settle(server.home, script.run_id, [(0, script.handed, script.returned)])
        assert status_of(server.home, script.run_id) == "completed"
        with urllib.request.urlopen(server.url + "/healthz", timeout=10) as answer:
            assert answer.status == 200
    finally:
        os.killpg(script.process.pid, signal.SIGCONT) if script.process.poll() is None else None
        script.kill()
        server.kill()
