"""kill -9 of the server while scripts log: after its restart every point is there, once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

N_STEPS = 1500
SCRIPT = """
import sys, time, deepevent
run = deepevent.start(name="survivor")
print(run.id, flush=True)
for step in range({n}):
    run.log({{"a": float(step), "b": -float(step)}}, step=step)
    if step % 10 == 0:
        time.sleep(0.01)
run.finish()
"""


def _script(home: Path, n_steps: int = N_STEPS) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(n=n_steps)],
        env={**os.environ, "DEEPEVENT_HOME": str(home), "DEEPEVENT_EXIT_TIMEOUT": "60"},
        stdout=subprocess.PIPE,
        text=True,
    )


def _run_id(script: subprocess.Popen[str]) -> str:
    assert script.stdout is not None
    return script.stdout.readline().strip()


def _metric(server: Any, run: str, name: str) -> dict[str, Any]:
    answer = server.call("GET", f"/api/v1/runs/{run}/metrics")
    if answer.status_code == 404:
        return {"n": 0}
    return next((m for m in answer.json()["metrics"] if m["name"] == name), {"n": 0})


def _wait_for_points(server: Any, run: str, n: int) -> None:
    deadline = time.monotonic() + 60
    while _metric(server, run, "a")["n"] < n:
        assert time.monotonic() < deadline, _metric(server, run, "a")
        time.sleep(0.02)


def _check(server: Any, run: str, n_steps: int = N_STEPS) -> None:
    _wait_for_points(server, run, n_steps)
    queries = [{"run": run, "metric": name} for name in ("a", "b")]
    curves = server.call("POST", "/api/v1/curves", json={"queries": queries, "pixels": 8192}).json()["curves"]
    for curve, sign in zip(curves, (1.0, -1.0), strict=True):
        assert curve["n_points"] == n_steps
        assert curve["value"] == [sign * step for step in range(n_steps)]


@pytest.mark.parametrize("n_kills", [1, 3])
def test_no_point_is_lost_or_doubled_when_the_server_is_killed(server: Any, n_kills: int) -> None:
    """The server dies without a warning in the middle of a script, and comes back at the same port."""
    script = _script(server.home)
    run = _run_id(script)
    for kill in range(n_kills):
        _wait_for_points(server, run, 100 * (kill + 1))
        server.kill()
        server.start()
    assert script.wait(120) == 0
    assert script.stdout is not None
    script.stdout.close()
    _check(server, run)
    assert server.call("GET", f"/api/v1/runs/{run}").json()["status"] == "completed"


def test_what_a_script_logged_without_a_server_is_taken_in(start_server: Any, home: Path) -> None:
    """A script that ran alone leaves its spool; the next server has it within seconds."""
    script = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(n=300)],
        env={**os.environ, "DEEPEVENT_HOME": str(home), "DEEPEVENT_EXIT_TIMEOUT": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    server = start_server()
    _check(server, script.stdout.strip(), 300)


def test_what_a_killed_script_logged_is_taken_in(server: Any) -> None:
    """kill -9 of the script: the server adopts what lies in its spool."""
    script = _script(server.home)
    run = _run_id(script)
    _wait_for_points(server, run, 100)
    script.kill()
    script.wait()
    assert script.stdout is not None
    script.stdout.close()
    deadline = time.monotonic() + 60
    while any((server.home / "spool").glob("*/*/*.seg")):
        assert time.monotonic() < deadline, "the spool was not adopted"
        time.sleep(0.05)
    metric = _metric(server, run, "a")
    assert metric["max"] == metric["n"] - 1


def test_a_killed_worker_is_replaced(server: Any) -> None:
    """The kernel may kill the worker for its memory: another takes its place on the same port."""
    import psutil
    import requests

    worker = psutil.Process(server.process.pid).children()[0]
    worker.kill()
    worker.wait(30)
    deadline = time.monotonic() + 60
    while True:
        try:
            if requests.get(f"{server.url}/readyz", timeout=10).status_code == 200:
                break
        except requests.ConnectionError:
            assert time.monotonic() < deadline
    assert server.call("GET", "/api/v1/session").json()["role"] == "operator"


def test_the_port_is_free_at_once_when_the_server_is_killed(server: Any) -> None:
    """No orphaned worker keeps the port or the home."""
    import psutil

    children = psutil.Process(server.process.pid).children(recursive=True)
    server.kill()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    server.start()
    assert server.call("GET", "/healthz").status_code == 200
