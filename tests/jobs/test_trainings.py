"""Real trainings of det12 through the queue: the command line alone, with kills, resumed bit for bit."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from deepevent_trainer.data.bundled import bundled_photographs

COMMAND = str(Path(sys.executable).with_name("deepevent"))
SHAPE = ("epochs=3", "crops_per_epoch=12288", "seed=7")
PAIR = """
[recipes.pair]
command = ["deepevent", "train", "det12", "--crops-per-epoch=32768", "--threads=1", "--out={work}"]
resume = ["--resume"]
checkpoint = "det12.pt"
resources = { cpus = 1 }
processes = 2
parameters.epochs = { type = "int", default = 2 }
"""
# Of one process, over both epochs: of 512 batches of 64 an epoch, every second one is its own.
STEPS_OF_PAIR = 512


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

    def stop(self, number: int) -> None:
        assert self._server.call("POST", f"/api/v1/jobs/{number}/stop").ok

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
def test_two_processes_are_stopped_and_go_on_in_one_run(
    start_server: Callable[..., Any],
    start_agent: Callable[..., Any],
    wait_until: Callable[..., Any],
    home: Path,
    tmp_path: Path,
) -> None:
    """The agent starts torchrun; each rank is a writer of the run; stopped in mid-epoch, no step is missed or
    done again."""
    look = Looking(start_server(), wait_until)
    recipes = tmp_path / "deepevent.toml"
    recipes.write_text(PAIR)
    start_agent("--grace", "60", recipes=recipes)
    job = deepevent("submit", "pair")

    def ranks(name: str) -> dict[int, dict[str, Any]]:
        metrics = deepevent("show", job["run"])["metrics"]
        return {metric["rank"]: metric for metric in metrics if metric["name"] == name}

    look.wait(lambda: look.steps(job["id"]) > 0)
    look.stop(job["id"])
    assert look.wait_for(job["id"], "stopped", "completed", "failed") == "stopped"
    left = home / "agents"
    (saved,) = left.glob(f"*/jobs/{job['run']}/work/det12.pt")
    done = torch.load(saved, weights_only=True)["progress"]["step"]
    assert 0 < done < STEPS_OF_PAIR
    steps = look.wait(lambda: len(found := ranks("step/loss")) == 2 and found)
    assert {rank: metric["n"] for rank, metric in steps.items()} == {0: done, 1: done}
    assert deepevent("show", job["run"])["status"] == "stopped"

    deepevent("jobs", "--requeue", job["id"])
    look.wait_for(job["id"], "completed", "failed")
    told = deepevent("jobs", job["id"])
    assert (told["state"], told["run"], told["attempt"]) == ("completed", job["run"], 2), told["reason"]
    steps = look.wait(lambda: (found := ranks("step/loss")) and found[1]["n"] == STEPS_OF_PAIR and found)
    assert {rank: metric["n"] for rank, metric in steps.items()} == dict.fromkeys((0, 1), STEPS_OF_PAIR)
    assert {rank: metric["n"] for rank, metric in ranks("val/accuracy").items()} == {0: 2}
    assert deepevent("show", job["run"])["status"] == "completed"


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder of annotated photographs: a few composed scenes."""
    folder = tmp_path / "data" / "scenes"
    (folder / "images").mkdir(parents=True)
    rows = ["image,x,y,w,h,label"]
    for scene in bundled_photographs()[::12]:
        cv2.imwrite(str(folder / "images" / f"{scene.name}.png"), scene.read()[:, :, ::-1])
        rows += [f"{scene.name}.png,{x},{y},{x2 - x},{y2 - y},face" for x, y, x2, y2 in scene.faces]
    (folder / "annotations.csv").write_text("\n".join(rows))
    return folder


@pytest.mark.timeout(400)
def test_a_cascade_is_stopped_and_goes_on_in_the_run_of_its_net(
    start_server: Callable[..., Any],
    start_agent: Callable[..., Any],
    wait_until: Callable[..., Any],
    photographs: Path,
    home: Path,
) -> None:
    """Stop reaches the net that is trained, in the middle of its epochs; Requeue goes on with that one."""
    server = start_server()
    look = Looking(server, wait_until)
    start_agent("--grace", "60", "--data", str(photographs.parent), recipes=None)
    shape = ("data=scenes", "epochs=10000", "crops_per_epoch=512", "batch_size=32", "mining_photographs=2")
    job = deepevent("submit", "train-cascade", *shape, "--project", "evening")

    def nets() -> list[dict[str, Any]]:
        found = server.call("GET", "/api/v1/runs").json()["runs"]
        return [run for run in found if run["id"] != job["run"]]

    def steps() -> int:
        return max(
            (int(run["metrics"]["step/loss"]["last_step"]) + 1 for run in nets() if run["metrics"]), default=0
        )

    def stop() -> int:
        """Stop the job, and give how many steps its net has done, each once."""
        look.stop(job["id"])
        assert look.wait_for(job["id"], "stopped", "completed", "failed") == "stopped"
        (saved,) = (home / "agents").glob(f"*/jobs/{job['run']}/work/det12.round1.pt")
        done = int(torch.load(saved, weights_only=True)["progress"]["step"])
        (net,) = look.wait(lambda: steps() == done and nets())
        assert (net["name"], net["status"]) == ("det12 round 1", "stopped")
        assert net["project"] == "evening"
        assert net["metrics"]["step/loss"]["n"] == done
        return done

    look.wait(steps)
    reached = stop()
    deepevent("jobs", "--requeue", job["id"])
    look.wait(lambda: steps() > reached)
    assert stop() > reached
