"""The queue by command line, with a real agent: pause, priority, order, GPUs, limits, draining."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).with_name("deepevent"))
RECIPES = """
[recipes.hold]
help = "Print the GPUs, and hold them until a file is there"
command = ["python", "-c", '''
import os, sys, time
print("gpu", os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
while not os.path.exists(sys.argv[1].partition("=")[2]):
    time.sleep(0.02)
''']
resources = { cpus = 1, gpus = 1 }
parameters.until = { type = "string" }

[recipes.forever]
help = "Sleep beyond the limit"
command = ["python", "-c", "import time; time.sleep(600)"]
resources = { cpus = 1, time_limit_s = 0.5 }
"""


def deepevent(*words: object) -> Any:
    """Run a command with --json and give what it says."""
    done = subprocess.run([COMMAND, *map(str, words), "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_night_s_queue_by_the_command_line(
    start_server: Callable[..., Any],
    start_agent: Callable[..., Any],
    wait_until: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """Jobs wait for a paused queue, go by priority and --after, never share a GPU, and end at their limit."""
    server = start_server()
    recipes, opened = tmp_path / "deepevent.toml", tmp_path / "open"
    recipes.write_text(RECIPES)
    start_agent("--name", "desk", "--slots", "3", "--gpus", "4,6", recipes=recipes)

    def job(number: int) -> dict[str, Any]:
        found: dict[str, Any] = server.call("GET", f"/api/v1/jobs/{number}").json()
        return found

    def state(number: int) -> str:
        return str(job(number)["state"])

    def gpu(number: int) -> str:
        """What the job has printed of its GPUs."""
        answer = server.call("GET", f"/api/v1/runs/{job(number)['run']}/logs")
        return "".join(line["text"] for line in answer.json()["lines"]).strip() if answer.ok else ""

    assert deepevent("jobs", "--pause")["paused"] is True
    hold = ("submit", "hold", f"until={opened}")
    low, *others = [deepevent(*hold, "--priority", n)["id"] for n in (0, 7, 5)]
    behind = deepevent("submit", "forever", "--after", low, "--priority", 9)["id"]
    assert {state(number) for number in (low, *others, behind)} == {"queued"}
    assert deepevent("jobs", "--resume")["paused"] is False

    assert {wait_until(lambda n=n: gpu(n)) for n in others} == {"gpu 4", "gpu 6"}
    assert (state(low), state(behind)) == ("queued", "queued")
    drained = deepevent("jobs", "--drain", "desk")
    assert (drained["name"], drained["draining"]) == ("desk", True)
    opened.touch()
    wait_until(lambda: {state(number) for number in others} == {"completed"})
    assert state(low) == "queued"
    assert deepevent("jobs", "--undrain", drained["id"])["draining"] is False
    wait_until(lambda: state(low) == "completed")
    assert gpu(low) in {"gpu 4", "gpu 6"}
    wait_until(lambda: state(behind) == "failed")
    assert "time limit of 0.5 s" in job(behind)["reason"]

    unknown = subprocess.run([COMMAND, "jobs", "--drain", "sofa"], capture_output=True, text=True)
    assert unknown.returncode == 1
    assert f"'sofa' is no agent's name or id: desk ({drained['id']})" in unknown.stderr
