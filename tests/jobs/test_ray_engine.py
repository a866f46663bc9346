"""Jobs on a real local Ray: started, streamed, stopped, lost with their worker or agent; nothing is left."""

import os
import secrets
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# A cluster of Ray asks for a token, as the agent's own server does.
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
HEAD = """
import sys, ray
context = ray.init(num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False)
print("address", context.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""
HIDE = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
print("hidden", flush=True)
time.sleep(600)
"""
RECIPES = """
[recipes.look]
command = ["python", "-c", "import os; print('gpu', os.environ['CUDA_VISIBLE_DEVICES'], os.getcwd())"]
resources = { cpus = 1, gpus = 1, memory_mb = 200 }

[recipes.fail]
command = ["python", "-c", "raise SystemExit('no luck')"]

[recipes.hide]
command = ["python", "{folder}/hide.py"]

[recipes.large]
command = ["python", "-c", "print('never')"]
resources = { cpus = 3 }
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of this module's own."""
    with subprocess.Popen(
        [sys.executable, "-c", HEAD],
        env={**os.environ, **TOKEN},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as head:
        assert head.stdin is not None
        assert head.stdout is not None
        address = next((line.split()[1] for line in head.stdout if line.startswith("address ")), "")
        assert address, "Ray did not start"
        yield address
        head.stdin.close()


class Desk:
    """A server, and an agent whose jobs run on the cluster."""

    def __init__(
        self,
        server: Any,
        start_agent: Callable[..., Any],
        wait_until: Callable[..., Any],
        folder: Path,
        ray: str,
    ) -> None:
        self.server, self._wait_until, self._start_agent = server, wait_until, start_agent
        (folder / "hide.py").write_text(textwrap.dedent(HIDE))
        self._recipes = folder / "deepevent.toml"
        self._recipes.write_text(RECIPES)
        self._ray = ray

    def start_agent(self) -> Any:
        return self._start_agent(
            *("--engine", "ray", "--ray-address", self._ray, "--slots", "4", "--name", "desk"),
            recipes=self._recipes,
            **TOKEN,
        )

    def submit(self, recipe: str, retries: int = 0) -> int:
        answer = self.server.call("POST", "/api/v1/jobs", json={"recipe": recipe, "max_retries": retries})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def job(self, job: int) -> dict[str, Any]:
        found: dict[str, Any] = self.server.call("GET", f"/api/v1/jobs/{job}").json()
        return found

    def wait(self, condition: Callable[[], Any]) -> Any:
        return self._wait_until(condition, 120)

    def wait_for(self, job: int, *states: str) -> dict[str, Any]:
        found: dict[str, Any] = self.wait(lambda: (j := self.job(job))["state"] in states and j)
        return found

    def output(self, job: int) -> str:
        answer = self.server.call("GET", f"/api/v1/runs/{self.job(job)['run']}/logs?limit=200")
        return "".join(line["text"] for line in answer.json()["lines"]) if answer.ok else ""


@pytest.fixture
def desk(
    start_server: Callable[..., Any],
    start_agent: Callable[..., Any],
    wait_until: Callable[..., Any],
    tmp_path: Path,
    cluster: str,
) -> Desk:
    folder = tmp_path / "recipes"
    folder.mkdir()
    return Desk(start_server("--lease", "5"), start_agent, wait_until, folder, cluster)


def marked(job: dict[str, Any], fence: int) -> list[int]:
    """All processes of an attempt, wherever they have gone."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "environ").read_bytes().split(b"\0")
            if folder.name.isdigit() and f"DEEPEVENT_ATTEMPT={job['run']}-{fence}".encode() in words:
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def ray_worker_of(process: int) -> int:
    """The worker process of Ray in which an attempt's supervisor was started."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if b"ray::Attempt" in (folder / "cmdline").read_bytes():
                    return int(folder.name)
            except OSError:
                continue
    raise AssertionError(f"no worker of Ray holds process {process}")


@pytest.mark.timeout(400)
def test_jobs_run_on_the_cluster_with_their_resources(desk: Desk) -> None:
    """Output, GPU, exit code and reason come back; what was stopped ends, with all its processes."""
    desk.start_agent()
    look, fail, hide = desk.submit("look"), desk.submit("fail"), desk.submit("hide")
    assert desk.wait_for(look, "completed", "failed", "lost")["state"] == "completed"
    said = desk.wait(lambda: desk.output(look)).split()
    assert said[0] == "gpu"
    assert said[1] in ("0", "1")
    assert said[2].endswith("/work")
    failed = desk.wait_for(fail, "completed", "failed", "lost")
    assert (failed["state"], failed["exit_code"]) == ("failed", 1)
    assert failed["reason"] == "it ended with exit code 1: no luck"

    desk.wait(lambda: "hidden" in desk.output(hide))
    assert len(marked(desk.job(hide), 1)) == 2
    desk.server.call("POST", f"/api/v1/jobs/{hide}/stop")
    assert desk.wait_for(hide, "stopped", "failed", "lost")["state"] == "stopped"
    assert marked(desk.job(hide), 1) == []


@pytest.mark.timeout(400)
def test_what_dies_takes_its_jobs_along_and_they_begin_again(desk: Desk) -> None:
    """kill -9 of Ray's worker, then of the agent: the job is lost, ends with all it started, begins anew."""
    agent = desk.start_agent()
    job = desk.submit("hide", retries=3)
    desk.wait(lambda: "hidden" in desk.output(job))
    first = marked(desk.job(job), 1)
    os.kill(ray_worker_of(first[0]), 9)
    desk.wait(lambda: desk.job(job)["attempts"][0]["state"] == "lost")
    assert desk.job(job)["attempts"][0]["reason"].startswith("its Ray worker died")
    desk.wait(lambda: not marked(desk.job(job), 1))

    desk.wait(lambda: desk.output(job).count("hidden") == 2)
    agent.kill()
    desk.wait(lambda: not marked(desk.job(job), 2))
    desk.start_agent()
    desk.wait(lambda: desk.output(job).count("hidden") == 3)
    told = desk.job(job)
    assert [attempt["state"] for attempt in told["attempts"]] == ["lost", "lost", "running"]
    desk.server.call("POST", f"/api/v1/jobs/{job}/stop")
    desk.wait_for(job, "stopped")
    assert marked(told, 3) == []


@pytest.mark.parametrize(
    ("before", "address", "sentence"),
    [
        ("import sys; sys.modules['ray'] = None; ", "auto", "needs the package ray: pip install"),
        ("", "nowhere", "no Ray cluster answers at 'nowhere'"),
    ],
)
def test_an_agent_without_ray_says_what_to_do(home: Path, before: str, address: str, sentence: str) -> None:
    """No package, or no cluster: exit 1 and one sentence."""
    code = f"{before}from deepevent.cli import main; raise SystemExit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "agent", "--engine", "ray", "--ray-address", address],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
