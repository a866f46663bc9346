"""Who may do what with jobs: operators submit, agents take, and nobody speaks for somebody else."""

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

COMMAND = str(Path(sys.executable).with_name("deepevent"))
RECIPE = {"command": ["true"], "parameters": {"n": {"type": "int", "default": 1}}}


class Caller:
    """Somebody with a token of a role."""

    def __init__(self, server: Any, role: str) -> None:
        environment = {"DEEPEVENT_HOME": str(server.home), "PATH": "/usr/bin:/bin"}
        made = subprocess.run(
            [COMMAND, "token", "create", f"{role} {time.monotonic_ns()}", "--role", role],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        self.url = server.url
        self.headers = {"Authorization": f"Bearer {made.stdout.strip()}"}

    def call(self, method: str, path: str, body: object = None) -> requests.Response:
        return requests.request(
            method, f"{self.url}/api/v1{path}", json=body, headers=self.headers, timeout=30
        )

    def register(self, **more: object) -> dict[str, Any]:
        answer = self.call("POST", "/agents", {"name": "box", "recipes": {"r": RECIPE}, **more})
        assert answer.status_code == 201, answer.text
        agent: dict[str, Any] = answer.json()["agent"]
        return agent


@pytest.fixture(scope="module")
def callers(shared_server: Any) -> dict[str, Caller]:
    return {role: Caller(shared_server, role) for role in ("viewer", "logger", "agent", "operator")}


@pytest.mark.parametrize("role", ["viewer", "logger", "agent"])
def test_only_operators_submit_stop_and_pause(callers: dict[str, Caller], role: str) -> None:
    """A job, a stop, a requeue, a pause and a drain need an operator."""
    agent = callers["agent"].register()
    for method, path, body in (
        ("POST", "/jobs", {"recipe": "r"}),
        ("POST", "/jobs/1/stop", None),
        ("POST", "/jobs/1/requeue", None),
        ("PATCH", "/jobs/1", {"priority": 1}),
        ("PUT", "/queue", {"paused": True}),
        ("PATCH", f"/agents/{agent['id']}", {"draining": True}),
    ):
        assert callers[role].call(method, path, body).status_code == 403, path


def test_agents_token_does_nothing_else(callers: dict[str, Caller]) -> None:
    """It neither reads nor logs nor manages: runs, jobs, blobs and events are closed to it."""
    for method, path in (
        ("GET", "/jobs"),
        ("GET", "/agents"),
        ("GET", "/recipes"),
        ("GET", "/runs"),
        ("POST", "/runs"),
        ("POST", "/events"),
        ("POST", "/ingest"),
        ("POST", "/session/codes"),
    ):
        assert callers["agent"].call(method, path, {} if method == "POST" else None).status_code == 403, path


@pytest.mark.parametrize("role", ["viewer", "logger"])
def test_others_do_not_take_jobs(callers: dict[str, Caller], role: str) -> None:
    """Registering and claiming need an agent's token."""
    assert callers[role].call("POST", "/agents", {"name": "x"}).status_code == 403
    assert callers[role].call("POST", f"/agents/{'0' * 26}/claim", {}).status_code == 403


def test_agent_speaks_only_for_itself(callers: dict[str, Caller], shared_server: Any) -> None:
    """With another agent's id, or its fence, nothing can be claimed, prolonged or finished."""
    mine, other = callers["agent"], Caller(shared_server, "agent")
    agent, foreign = mine.register(recipes={"mine": RECIPE})["id"], other.register(name="other")["id"]
    job = callers["operator"].call("POST", "/jobs", {"recipe": "mine"}).json()["id"]
    assert other.call("POST", f"/agents/{agent}/claim", {}).status_code == 403
    claim = mine.call("POST", f"/agents/{agent}/claim", {}).json()
    assert claim["job"]["id"] == job
    held = {"agent": agent, "fence": claim["fence"]}
    end = {"state": "completed"}
    assert other.call("POST", f"/jobs/{job}/heartbeat", held).status_code == 403
    assert other.call("POST", f"/jobs/{job}/finish", {**held, **end}).status_code == 403
    lie = {"agent": foreign, "fence": claim["fence"]}
    assert other.call("POST", f"/jobs/{job}/heartbeat", lie).status_code == 409
    assert other.call("POST", f"/jobs/{job}/finish", {**lie, **end}).status_code == 409
    assert mine.call("POST", f"/jobs/{job}/start", held).json() == {"stop": False}
    assert mine.call("POST", f"/jobs/{job}/finish", {**held, **end}).json()["state"] == "completed"
    replay = mine.call("POST", f"/jobs/{job}/heartbeat", held)
    assert replay.status_code == 409
    assert "no longer held" in replay.json()["detail"] or "is completed" in replay.json()["detail"]


def test_claimed_job_brings_a_token_that_may_only_log(callers: dict[str, Caller]) -> None:
    """The job's script can log with it, and can neither read, submit, nor take jobs."""
    agent = callers["agent"].register(recipes={"logs": RECIPE})["id"]
    callers["operator"].call("POST", "/jobs", {"recipe": "logs"})
    token = callers["agent"].call("POST", f"/agents/{agent}/claim", {}).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{callers['agent'].url}/api/v1"
    events = {"run": None, "events": [{"metrics": {"a": 1}}]}
    assert requests.post(f"{url}/events", json=events, headers=headers, timeout=30).status_code == 200
    assert requests.get(f"{url}/jobs", headers=headers, timeout=30).status_code == 403
    assert requests.post(f"{url}/jobs", json={"recipe": "r"}, headers=headers, timeout=30).status_code == 403
    assert requests.post(f"{url}/agents", json={"name": "x"}, headers=headers, timeout=30).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"recipe": "r", "command": ["true"]},
        {"command": []},
        {"command": "rm -rf ~"},
        {"command": ["true", 1]},
        {"recipe": "r", "after": [0]},
        {"recipe": "r", "after": ["1"]},
        {"recipe": "r", "priority": 10**6},
        {"recipe": "r", "max_retries": -1},
        {"recipe": "r", "name": "a\nb"},
        {"recipe": "r", "environment": {"LD_PRELOAD": "x"}},
        {"recipe": "r", "resources": {"gpus": 8}},
    ],
)
def test_malformed_job_is_refused(callers: dict[str, Caller], body: dict[str, Any]) -> None:
    """A field that is wrong, unknown or hostile is a 422 with its name."""
    callers["agent"].register()
    answer = callers["operator"].call("POST", "/jobs", body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


@pytest.mark.parametrize("path", ["/jobs/0", "/jobs/999999", f"/jobs/{10**30}", "/jobs/-1", "/jobs/x"])
def test_unknown_job_is_not_found(callers: dict[str, Caller], path: str) -> None:
    """Numbers that no job has are a 404, whatever their size."""
    assert callers["operator"].call("GET", path).status_code == 404


def test_waiting_claim_gets_a_job_as_soon_as_it_is_queued(callers: dict[str, Caller]) -> None:
    """An agent that waits does not have to ask again, and hears 204 when nothing came."""
    agent = callers["agent"].register(recipes={"late": RECIPE})["id"]
    assert callers["agent"].call("POST", f"/agents/{agent}/claim", {"wait_s": 0.1}).status_code == 204
    answers: list[requests.Response] = []
    waiting = threading.Thread(
        target=lambda: answers.append(callers["agent"].call("POST", f"/agents/{agent}/claim", {"wait_s": 20}))
    )
    waiting.start()
    job = callers["operator"].call("POST", "/jobs", {"recipe": "late"}).json()["id"]
    waiting.join(60)
    assert answers[0].json()["job"]["id"] == job
