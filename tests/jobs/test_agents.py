"""Real agents, the real server and real processes: from submit to the end, through stops and kills."""

import ctypes
import json
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Wait = Callable[..., Any]
TGKILL = 131 if platform.machine() == "aarch64" else 234
LEASE = ("--lease", "5")
COMMAND = str(Path(sys.executable).with_name("deepevent"))


class Queue:
    """The server's API, as these tests use it."""

    def __init__(self, server: Any, wait_until: Wait) -> None:
        self.server = server
        self.wait_until = wait_until

    def call(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        answer = self.server.call(method, f"/api/v1{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def submit(self, recipe: str, retries: int = 0, **parameters: Any) -> dict[str, Any]:
        body = {"recipe": recipe, "parameters": parameters, "max_retries": retries}
        job: dict[str, Any] = self.call("POST", "/jobs", body, 201)
        return job

    def job(self, job: int) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/jobs/{job}")
        return found

    def wait_for(self, job: int, *states: str) -> dict[str, Any]:
        found: dict[str, Any] = self.wait_until(lambda: (j := self.job(job))["state"] in states and j)
        return found

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/runs/{job['run']}")
        return found

    def output(self, job: dict[str, Any]) -> str:
        answer = self.server.call("GET", f"/api/v1/runs/{job['run']}/logs?limit=200")
        return "".join(line["text"] for line in answer.json()["lines"]) if answer.ok else ""

    def count(self, job: dict[str, Any]) -> int:
        """How far a counting job has come, as the server knows it."""
        metric = self.run(job)["metrics"].get("count") if self.job(job["id"])["attempt"] else None
        return int(metric["last"]) if metric else -1


@pytest.fixture
def queue(start_server: Callable[..., Any], wait_until: Wait) -> Queue:
    return Queue(start_server(*LEASE), wait_until)


def alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def test_submitted_job_runs_to_its_end(
    queue: Queue, start_agent: Callable[..., Any], wait_until: Wait
) -> None:
    """The command line queues it, an agent runs it, and job, run, points and output tell of it."""
    start_agent()
    submitted = subprocess.run(
        [COMMAND, "submit", "count", "until=5", "pause_s=0", "--name", "five", "--project", "p", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    job = queue.wait_for(json.loads(submitted.stdout)["id"], "completed", "failed")
    assert (job["state"], job["exit_code"], job["attempt"]) == ("completed", 0, 1)
    run = queue.run(job)
    assert (run["name"], run["project"], run["status"]) == ("five", "p", "completed")
    assert run["config"] == {"until": 5, "pause_s": 0.0}
    wait_until(lambda: queue.count(job) == 4)
    wait_until(lambda: "begins at 0" in queue.output(job))
    listed = subprocess.run([COMMAND, "jobs", "--json"], capture_output=True, text=True, check=True)
    assert [j["id"] for j in json.loads(listed.stdout)["jobs"]] == [job["id"]]


def test_hostile_parameters_arrive_as_those_very_strings(
    queue: Queue, start_agent: Callable[..., Any], wait_until: Wait
) -> None:
    """Through API, queue, agent and supervisor a value stays one argument, letter for letter."""
    start_agent("--slots", "3")
    texts = ["; rm -rf ~", "$(touch owned)", "`id`", "--flag", "a\nb", "{work}", "<b>x</b>", "%s", "*"]
    for job, text in [(queue.submit("hello", text=text), text) for text in texts]:
        queue.wait_for(job["id"], "completed")
        said = wait_until(lambda job=job: queue.output(job))
        assert said == f"hello {[f'--text={text}']}\n"


def test_wrong_parameters_are_refused_before_they_are_queued(
    queue: Queue, start_agent: Callable[..., Any]
) -> None:
    """The server names each field; an unknown recipe is refused with those on offer."""
    start_agent()
    wrong = queue.call("POST", "/jobs", {"recipe": "count", "parameters": {"until": "x", "y": 1}}, 422)
    assert {error["field"] for error in wrong["errors"]} == {"parameters.until", "parameters.y"}
    unknown = queue.call("POST", "/jobs", {"recipe": "nope"}, 422)
    assert "count, hello" in unknown["detail"]
    assert queue.call("GET", "/jobs")["jobs"] == []


@pytest.mark.parametrize("what", ["id", "run"])
def test_stopped_job_ends_and_so_does_its_run(
    queue: Queue, start_agent: Callable[..., Any], what: str
) -> None:
    """`deepevent stop` of the job, or of its run, ends the process, and job and run are stopped."""
    start_agent()
    job = queue.submit("count")
    queue.wait_until(lambda: queue.count(job) > 3)
    process = int(queue.run(job)["metrics"]["process"]["last"])
    subprocess.run([COMMAND, "stop", str(job[what])], check=True, capture_output=True)
    assert queue.wait_for(job["id"], "stopped", "failed")["state"] == "stopped"
    assert not alive(process)
    assert queue.run(job)["status"] == "stopped"


def test_killed_agent_ends_its_job_and_another_attempt_resumes_it(
    queue: Queue, start_agent: Callable[..., Any], wait_until: Wait
) -> None:
    """kill -9 of the agent ends the process; the job goes on in the same run, from its checkpoint, once."""
    first = start_agent()
    job = queue.submit("count", retries=1)
    wait_until(lambda: queue.count(job) > 3)
    process = int(queue.run(job)["metrics"]["process"]["last"])
    first.kill()
    wait_until(lambda: not alive(process))
    reached = queue.count(job)
    start_agent()
    wait_until(lambda: queue.count(job) > reached + 5)
    again = queue.job(job["id"])
    assert (again["attempt"], again["state"], again["run"]) == (2, "running", job["run"])
    assert [attempt["state"] for attempt in again["attempts"]] == ["lost", "running"]
    begun = [int(n) for n in re.findall(r"begins at (\d+)", wait_until(lambda: _twice(queue.output(job))))]
    assert begun[0] == 0
    assert begun[1] > 3
    assert int(queue.run(job)["metrics"]["process"]["last"]) != process


def _twice(output: str) -> str:
    return output if output.count("begins at") == 2 else ""


def test_killed_agent_without_retries_leaves_a_lost_job_that_a_person_requeues(
    queue: Queue, start_agent: Callable[..., Any], wait_until: Wait
) -> None:
    """The lease runs out, the job is lost, and Requeue goes on in the same run."""
    agent = start_agent()
    job = queue.submit("count", until=150)
    wait_until(lambda: queue.count(job) > 3)
    agent.kill()
    queue.wait_for(job["id"], "lost")
    queue.call("POST", f"/jobs/{job['id']}/requeue", status=202)
    start_agent()
    done = queue.wait_for(job["id"], "completed", "failed")
    assert (done["state"], done["attempt"], queue.run(job)["status"]) == ("completed", 2, "completed")


def test_killed_server_does_not_disturb_jobs(
    queue: Queue, start_agent: Callable[..., Any], wait_until: Wait
) -> None:
    """While the server is dead the job runs to its end; after the restart its result and points arrive."""
    start_agent()
    job = queue.submit("count", until=40)
    wait_until(lambda: queue.count(job) > 3)
    process = int(queue.run(job)["metrics"]["process"]["last"])
    queue.server.kill()
    wait_until(lambda: not alive(process))
    queue.server.start()
    done = queue.wait_for(job["id"], "completed", "failed")
    assert (done["state"], done["attempt"]) == ("completed", 1)
    wait_until(lambda: queue.count(job) == 39)


def test_stopped_agent_gives_its_jobs_back(
    queue: Queue, start_agent: Callable[..., Any], wait_until: Wait
) -> None:
    """SIGTERM to the agent ends its jobs in an orderly way, and they are queued again at once."""
    agent = start_agent()
    job = queue.submit("count", retries=1)
    wait_until(lambda: queue.count(job) > 3)
    assert agent.stop() == 0
    again = queue.job(job["id"])
    assert (again["state"], again["attempts"][0]["reason"]) == ("queued", "its agent was stopped")
    assert queue.call("GET", "/agents")["agents"][0]["alive"] is False


def test_agent_stops_whichever_thread_gets_the_signal(
    queue: Queue, start_agent: Callable[..., Any], wait_until: Wait
) -> None:
    """The kernel may hand SIGTERM to any thread, and the first one sleeps."""
    agent = start_agent()
    process = agent.process.pid
    threads = wait_until(
        lambda: len(found := [int(t.name) for t in Path(f"/proc/{process}/task").iterdir()]) > 3 and found
    )
    other = max(threads)
    assert other != process
    ctypes.CDLL(None).syscall(TGKILL, process, other, int(signal.SIGTERM))
    assert agent.process.wait(60) == 0


def test_commands_need_an_agent_that_allows_them(queue: Queue, start_agent: Callable[..., Any]) -> None:
    """A free command waits until an agent with --allow-commands comes, and runs where it was submitted."""
    start_agent()
    submitted = subprocess.run(
        [
            COMMAND,
            "submit",
            "--json",
            "--",
            "bash",
            "-c",
            "pwd; echo $0 ${HOME:+home} ${SECRET:-none}",
            "a b",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    other = queue.submit("hello")
    queue.wait_for(other["id"], "completed")
    job = json.loads(submitted.stdout)
    assert queue.job(job["id"])["state"] == "queued"
    start_agent("--allow-commands", "--name", "shell", SECRET="hunter2")
    queue.wait_for(job["id"], "completed")
    said = queue.wait_until(lambda: queue.output(job).count("\n") == 2 and queue.output(job))
    assert said == f"{os.getcwd()}\na b home none\n"  # noqa: PTH109


def test_old_attempt_is_ended_when_its_lease_was_given_away(
    queue: Queue, start_agent: Callable[..., Any], wait_until: Wait
) -> None:
    """An agent that was frozen beyond its lease ends its attempt; only one process of the job is left."""
    frozen = start_agent()
    job = queue.submit("count", retries=1)
    wait_until(lambda: queue.count(job) > 3)
    first = int(queue.run(job)["metrics"]["process"]["last"])
    os.kill(frozen.process.pid, 19)
    start_agent("--name", "second")
    wait_until(lambda: queue.job(job["id"])["attempt"] == 2)
    wait_until(lambda: not alive(first))
    os.kill(frozen.process.pid, 18)
    wait_until(lambda: queue.run(job)["metrics"]["process"]["last"] != first)
    assert [a["state"] for a in queue.job(job["id"])["attempts"]] == ["lost", "running"]


def test_agents_share_a_queue_in_postgresql(
    start_server: Callable[..., Any],
    start_agent: Callable[..., Any],
    postgres_store: Any,
    wait_until: Wait,
    tmp_path: Path,
) -> None:
    """Two agents take a queue's jobs, each job once, also those of an agent that is killed meanwhile."""
    queue = Queue(start_server(*LEASE, "--store", postgres_store.empty()), wait_until)
    marks = tmp_path / "marks"
    marks.touch()
    agents = [start_agent("--slots", "2", "--name", name, MARKS=str(tmp_path)) for name in ("one", "two")]
    queue.call("PUT", "/queue", {"paused": True})
    jobs = [queue.submit("mark", retries=5)["id"] for _ in range(12)]
    queue.call("PUT", "/queue", {"paused": False})
    wait_until(lambda: marks.read_text().count("end") >= 2)
    agents[0].kill()
    start_agent("--slots", "2", "--name", "one", MARKS=str(tmp_path))
    attempts = [queue.wait_for(job, "completed", "failed")["attempts"] for job in jobs]
    assert all([attempt["state"] for attempt in told].count("completed") == 1 for told in attempts)
    assert {attempt["agent"] for told in attempts for attempt in told} == {"one", "two"}
    assert "overlap" not in marks.read_text()
