"""Real trainings of det12 through the queue: the command line alone, with kills, resumed bit for bit."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

COMMAND = str(Path(sys.executable).with_name("deepevent"))
SHAPE = ("epochs=3", "crops_per_epoch=12288", "seed=7")
PAIR = """
[recipes.pair]
command = ["deepevent", "train", "det12", "--epochs=1", "--crops-per-epoch=512",
    "--threads=1", "--out={work}"]
resources = { cpus = 1 }
processes = 2
"""


def deepevent(*words: object) -> Any:
    """Run a command with --json and give what it says."""
    done = subprocess.run([COMMAND, *map(str, words), "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Looking:
    """What the server knows of jobs; polled, so without a process for each look."""

    def __init__(self, server: Any, wait_until: Callable[..., Any]) -> None:
        self._server = server
        self._wait_until = wait_until

    def job(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self._server.call("GET", f"/api/v1/jobs/{number}").json()
        return found

    def steps(self, number: int) -> int:
        """How many steps of a training have arrived."""
        answer = self._server.call("GET", f"/api/v1/runs/{self.job(number)['run']}")
        metric = answer.json()["metrics"].get("step/loss") if answer.ok else None
        return int(metric["last_step"]) + 1 if metric else 0

    def wait(self, condition: Callable[[], Any]) -> Any:
        return self._wait_until(condition, 150)

    def wait_for(self, number: int, *states: str) -> str:
        return str(self.wait(lambda: (state := self.job(number)["state"]) in states and state))


def weights(path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["weights"]
    return found


@pytest.mark.timeout(400)
def test_three_trainings_by_the_command_line(
    start_server: Callable[..., Any],
    start_agent: Callable[..., Any],
    wait_until: Callable[..., Any],
    home: Path,
    tmp_path: Path,
) -> None:
    """Queue three, stop one, kill the agent in another, which ends as if nothing had been and is best."""
    look = Looking(start_server("--lease", "5"), wait_until)
    agent = start_agent("--name", "desk", recipes=None)
    brief = deepevent("submit", "train-det12", "epochs=1", "crops_per_epoch=256", "learning_rate=0.001")
    long = deepevent("submit", "train-det12", *SHAPE, "learning_rate=0.05", "--retries", 5)
    job, run = long["id"], long["run"]

    look.wait(lambda: look.steps(job) > 0)
    agent.kill()
    start_agent("--name", "desk", recipes=None)
    look.wait(lambda: look.job(job)["attempt"] == 2)
    reached = look.steps(job)
    look.wait(lambda: look.steps(job) > reached)
    deepevent("stop", job)
    assert look.wait_for(job, "stopped", "completed") == "stopped"

    other = deepevent("submit", "train-det12", *SHAPE, "learning_rate=0.1")
    look.wait(lambda: look.steps(other["id"]) > 0)
    deepevent("stop", other["id"])
    assert look.wait_for(other["id"], "stopped", "completed") == "stopped"

    deepevent("jobs", "--requeue", job)
    look.wait_for(job, "completed", "failed")
    told = deepevent("jobs", job)
    # Where the machine is so busy that a lease runs out, an attempt more is lost, and its work goes on too.
    first, *others, last = [attempt["state"] for attempt in told["attempts"]]
    assert (first, last) == ("lost", "completed")
    assert others and set(others) <= {"stopped", "lost"}
    assert told["run"] == run

    left = home / "agents" / "desk" / "jobs" / run / "work" / "det12.pt"
    train = ["train", "det12", "--epochs=3", "--crops-per-epoch=12288", "--seed=7", "--learning-rate=0.05"]
    subprocess.run(
        [COMMAND, *train, "--threads=1", f"--out={tmp_path}"],
        env={**os.environ, "DEEPEVENT_MODE": "disabled"},
        check=True,
        capture_output=True,
    )
    assert all(torch.equal(one, weights(left)[name]) for name, one in weights(tmp_path / "det12.pt").items())

    best, *_ = deepevent("runs", '--sort=-metrics["val/accuracy"].max')["runs"]
    assert best["id"] == run
    compared = deepevent("compare", brief["run"], run)
    assert {one["id"] for one in compared["runs"]} == {brief["run"], run}


@pytest.mark.timeout(400)
def test_a_recipe_of_two_processes_logs_to_one_run(
    start_server: Callable[..., Any],
    start_agent: Callable[..., Any],
    wait_until: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """The agent starts torchrun; each rank is a writer of the job's run, and the first one judges."""
    look = Looking(start_server(), wait_until)
    recipes = tmp_path / "deepevent.toml"
    recipes.write_text(PAIR)
    start_agent(recipes=recipes)
    job = deepevent("submit", "pair")
    look.wait_for(job["id"], "completed", "failed")
    told = deepevent("jobs", job["id"])
    assert told["state"] == "completed", told["reason"]

    def ranks(name: str) -> dict[int, int]:
        metrics = deepevent("show", job["run"])["metrics"]
        return {metric["rank"]: metric["n"] for metric in metrics if metric["name"] == name}

    steps = look.wait(lambda: len(found := ranks("step/loss")) == 2 and found)
    assert steps[0] == steps[1] > 0
    assert ranks("val/accuracy") == {0: 1}
    assert deepevent("show", job["run"])["status"] == "completed"
