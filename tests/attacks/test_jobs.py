"""H: jobs and agents, asked for what they must not do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("unharmed")

RECIPE = {
    "command": ["python", "train.py"],
    "parameters": {
        "rate": {"type": "float", "default": 0.1, "min": 0.0, "max": 1.0},
        "n": {"type": "int", "default": 1},
        "net": {"type": "choice", "choices": ["a", "b"], "default": "a"},
        "note": {"type": "string", "default": ""},
    },
}


@pytest.fixture(scope="module")
def agent(as_role: Callable[[str], Any]) -> str:
    """An agent that offers a recipe."""
    answer = as_role("agent").call("POST", "/agents", json={"name": "box", "recipes": {"attacked": RECIPE}})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["agent"]["id"])


def _submit(operator: Any, **job: Any) -> Any:
    return operator.call("POST", "/jobs", json=job)


@pytest.mark.parametrize(
    "parameters",
    [
        {"rate": "0.1; rm -rf /"},
        {"rate": "$(id)"},
        {"rate": "`id`"},
        {"rate": "NaN"},
        {"rate": "1e400"},
        {"rate": 2.0},
        {"n": "1\n--evil"},
        {"n": True},
        {"n": 1.5},
        {"net": "c"},
        {"net": ["a"]},
        {"note": "a\0b"},
        {"note": {"a": 1}},
        {"--note": "x"},
        {"n;id": 1},
        {"command": "id"},
        {"env": {"LD_PRELOAD": "x"}},
        {"PYTHONPATH": "/tmp"},
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_parameter_is_what_its_recipe_says(operator: Any, agent: str, parameters: dict[str, Any]) -> None:
    """H1: another type, another name, or letters that a shell would read are a 400 or 422 with the name."""
    answer = _submit(operator, recipe="attacked", parameters=parameters)
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize("text", ["; rm -rf /", "$(id)", "`id`", "--config=x", "a\nb", "-c", "'\"\\"])
def test_a_text_stays_one_value(operator: Any, agent: str, text: str) -> None:
    """H1: free text is kept letter for letter as the value of its own parameter; tests/jobs starts it so."""
    answer = _submit(operator, recipe="attacked", parameters={"note": text})
    if answer.status_code == 201:
        assert answer.json()["parameters"]["note"] == text
    else:
        assert answer.status_code == 422


@pytest.mark.parametrize(
    "job",
    [
        {"command": "id; rm -rf /"},
        {"command": [["id"]]},
        {"command": ["id", "a\0b"]},
        {"command": [""]},
        {"command": []},
        {"command": ["x"] * 1001},
        {"command": ["id"], "environment": {"LD_PRELOAD": "/tmp/x.so"}},
        {"command": ["id"], "env": {"BASH_ENV": "/tmp/x", "PATH": "/tmp"}},
        {"command": ["id"], "user": "root"},
        {"command": ["id"], "resources": {"cpus": -1}},
        {"command": ["id"], "folder": 1},
        {"recipe": "../../attacked"},
        {"recipe": "attacked\n"},
        {"recipe": "attacked", "parameters": []},
        {"recipe": "attacked", "priority": 10**9},
        {"recipe": "attacked", "after": [10**18]},
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_job_has_the_documented_fields_alone(operator: Any, agent: str, job: dict[str, Any]) -> None:
    """H1, H2: no environment, user or shell line can be asked for; wrong shapes are refused."""
    assert _submit(operator, **job).status_code in (400, 422)


def test_a_free_command_goes_to_nobody_who_did_not_allow_it(
    operator: Any, agent: str, as_role: Callable[[str], Any]
) -> None:
    """H1: an agent without --allow-commands is never handed one, whatever else it asks for."""
    job = _submit(operator, command=["id"], priority=1000).json()["id"]
    claimed = as_role("agent").call("POST", f"/agents/{agent}/claim", json={})
    assert claimed.status_code == 204 or claimed.json()["job"]["id"] != job
    assert operator.call("GET", f"/jobs/{job}").json()["state"] == "queued"
    operator.call("POST", f"/jobs/{job}/stop")


@pytest.mark.parametrize("fence", [0, -1, 2**63, 1.5, "1", True, None])
def test_a_fence_is_a_number_that_was_given_out(
    as_role: Callable[[str], Any], agent: str, fence: object
) -> None:
    """H3: news of a job with a fence that cannot be are a 400 or 422."""
    for action in ("start", "heartbeat", "finish"):
        body = {"agent": agent, "fence": fence, "state": "completed"}
        answer = as_role("agent").call("POST", f"/jobs/1/{action}", json=body)
        assert answer.status_code in (400, 422), (action, answer.text)


def test_news_of_an_old_lease_change_nothing(
    operator: Any, agent: str, as_role: Callable[[str], Any]
) -> None:
    """H3: a fence that is not the job's own, higher or lower, is a 409 and the job stays as it is."""
    job = _submit(operator, recipe="attacked", priority=900).json()["id"]
    claim = as_role("agent").call("POST", f"/agents/{agent}/claim", json={}).json()
    assert claim["job"]["id"] == job
    for wrong in (claim["fence"] + 1, claim["fence"] + 10**6):
        held = {"agent": agent, "fence": wrong, "state": "completed"}
        assert as_role("agent").call("POST", f"/jobs/{job}/finish", json=held).status_code == 409
    assert operator.call("GET", f"/jobs/{job}").json()["state"] == "claimed"
    held = {"agent": agent, "fence": claim["fence"], "state": "failed", "reason": "x"}
    assert as_role("agent").call("POST", f"/jobs/{job}/finish", json=held).status_code == 200


@pytest.mark.parametrize("role", ["viewer", "logger", "agent"])
def test_nobody_ends_or_changes_another_s_job(
    operator: Any, agent: str, as_role: Callable[[str], Any], role: str
) -> None:
    """H4: stop, requeue, priority and pause need an operator; DELETE does not exist."""
    job = _submit(operator, recipe="attacked").json()["id"]
    for method, path in (
        ("POST", f"/jobs/{job}/stop"),
        ("POST", f"/jobs/{job}/requeue"),
        ("PATCH", f"/jobs/{job}"),
        ("DELETE", f"/jobs/{job}"),
        ("PUT", "/queue"),
    ):
        assert as_role(role).call(method, path, json={}).status_code in (403, 405), path
    assert operator.call("GET", f"/jobs/{job}").json()["state"] == "queued"
    history = operator.call("GET", f"/jobs/{job}").json()["history"]
    assert [entry["action"] for entry in history] == ["submit"]


@pytest.mark.parametrize("server", ["http://203.0.113.1:6060", "http://training.example"])
def test_an_agent_takes_no_commands_from_an_open_wire(home: Path, server: str) -> None:
    """H6: with --allow-commands a server beyond this machine has to be reached over https."""
    command = [Path(sys.executable).with_name("deepevent"), "agent", "--server", server, "--allow-commands"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "https" in done.stderr and done.stderr.count("\n") == 1
