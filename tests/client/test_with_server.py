"""The client against the real server: what a script logs is in the store, once, whatever happens between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

import deepevent

Server = Any  # tests/conftest.py's


def metrics_of(server: Server, run_id: str) -> dict[str, dict[str, Any]]:
    run = server.call("GET", f"/api/v1/runs/{run_id}").json()
    return run.get("metrics", {})  # type: ignore[no-any-return]  # none before the run is known


def wait_until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Ask the server again and again: over HTTP there is nothing to be woken by."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_arrives_whole(server: Server) -> None:
    """After flush, everything is there: every point, the config, the media, and at the end the status."""
    with deepevent.start(name="whole", config={"lr": 0.1}, tags=["t"]) as run:
        for step in range(20_000):
            run.log({"a": float(step), "b": -0.0}, step, epoch=step // 100)
        run.log({"a": float("nan")}, 20_000)
        run.log_image("i", numpy.zeros((5, 5)))
        assert run.flush(30)
        found = metrics_of(server, run.id)
        assert {name: metric["n"] for name, metric in found.items()} == {
            "a": 20_001,
            "b": 20_000,
            "epoch": 20_000,
        }
        assert found["a"]["n_nan"] == 1
        assert run.url is not None
        assert run.url.startswith(server.url)
    told = server.call("GET", f"/api/v1/runs/{run.id}").json()
    assert (told["name"], told["status"], told["tags"], told["n_media"]) == ("whole", "completed", ["t"], 1)
    assert told["config"] == {"lr": 0.1}


def test_a_killed_server_loses_and_doubles_nothing(server: Server) -> None:
    """kill -9 of the server in the middle of a run: after its restart every point is there once."""
    run = deepevent.start()
    n_logged = 0
    for _ in range(3):
        for _ in range(5_000):
            run.log({"a": float(n_logged)}, n_logged)
            n_logged += 1
        server.kill()
        for _ in range(5_000):
            run.log({"a": float(n_logged)}, n_logged)
            n_logged += 1
        server.start()
    assert run.flush(60)
    metric = metrics_of(server, run.id)["a"]
    assert (metric["n"], metric["first_step"], metric["last_step"]) == (n_logged, 0, n_logged - 1)


def test_a_killed_script_is_taken_in(server: Server, home: Path) -> None:
    """What a script had logged when it was killed is in the store a moment later."""
    script = (
        "import deepevent, sys, os, signal\n"
        "run = deepevent.start()\n"
        "for step in range(3000): run.log({'a': 1.0}, step)\n"
        "print(run.id, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    run_id = done.stdout.strip()
    wait_until(lambda: metrics_of(server, run_id).get("a", {}).get("n") == 3000)
    wait_until(lambda: list((home / "spool").iterdir()) == [])


def test_shell_scripts_and_children_join_one_run(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`deepevent log`, a forked child and a script that joins by id are writers of one run."""
    run = deepevent.start(name="family")
    run.log({"script": 1.0})
    command = [str(Path(sys.executable).with_name("deepevent")), "log", "shell=2"]
    subprocess.run(command, check=True, env={**os.environ, "DEEPEVENT_RUN": run.id})
    pid = os.fork()
    if pid == 0:
        run.log({"child": 3.0})
        run.close_writer()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert run.flush(30)
    wait_until(lambda: set(metrics_of(server, run.id)) == {"script", "shell", "child"})
    told = server.call("GET", f"/api/v1/runs/{run.id}").json()
    assert (told["name"], told["project"], len(told["writers"])) == ("family", "default", 3)


def test_ranks_of_one_launcher_log_to_one_run(server: Server, home: Path) -> None:
    """Two ranks are two writers of one run, each with its own curve; the lowest names it and ends it."""
    script = (
        "import deepevent, os\n"
        "rank = int(os.environ['RANK'])\n"
        "run = deepevent.start(name=f'by rank {rank}', config={'rank': rank} if rank == 0 else None)\n"
        "for step in range(500): run.log({'loss': 10.0 * rank + step}, step)\n"
        "run.finish()\n"
        "print(run.id)\n"
    )
    world = {**os.environ, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_PORT": "29512"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**world, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (1, 0)
    ]
    (run_id,) = {rank.communicate(timeout=60)[0].strip() for rank in ranks}
    wait_until(lambda: list((home / "spool").iterdir()) == [])
    told = server.call("GET", f"/api/v1/runs/{run_id}").json()
    assert (told["name"], told["status"], told["config"]) == ("by rank 0", "completed", {"rank": 0})
    metrics = server.call("GET", f"/api/v1/runs/{run_id}/metrics").json()["metrics"]
    losses = [(m["rank"], m["n"], m["last"]) for m in metrics if m["name"] == "loss"]
    assert losses == [(0, 500, 499.0), (1, 500, 509.0)]


def test_a_value_dropped_into_an_ended_run_does_not_open_it(server: Server) -> None:
    """A script that is over stays completed when `deepevent log` adds a score; a resumed one runs again."""
    run = deepevent.start()
    run.log({"loss": 1.0})
    run.finish()
    command = [str(Path(sys.executable).with_name("deepevent")), "log", "--run", run.id, "score=0.5"]
    subprocess.run(command, check=True)
    told = server.call("GET", f"/api/v1/runs/{run.id}").json()
    assert (told["status"], told["metrics"]["score"]["last"]) == ("completed", 0.5)
    again = deepevent.start(resume=run.id)
    assert again.flush(30)
    assert server.call("GET", f"/api/v1/runs/{run.id}").json()["status"] == "running"
