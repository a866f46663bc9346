"""A sweep as people start it, with a real server and a real agent, which are killed meanwhile."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMAND = str(Path(sys.executable).with_name("deepevent"))
RECIPES = Path(__file__).with_name("sweeps.toml")
TABLE = {
    "command": ["learn"],
    "metric": "val/accuracy:max",
    "parameters": {
        "lr": {"type": "float", "min": 0, "max": 1},
        "batch": {"type": "choice", "choices": [32, 64], "default": 32},
        "note": {"type": "string", "default": "", "pattern": "[a-z]*"},
    },
}
# With this seed the first two trials are good, and the trials 2, 4, 6 and 8 never end unless they are pruned.
SEED, WEAK = "17", {2, 4, 6, 8}


def sweep(*words: str) -> Any:
    """`deepevent sweep … --json`, as its answer."""
    done = subprocess.run([COMMAND, "sweep", *words, "--json"], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(*words: str) -> str:
    """What `deepevent sweep …` says when it fails."""
    done = subprocess.run([COMMAND, "sweep", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_a_sweep_survives_kills(
    store_url: str,
    start_server: Callable[..., Any],
    start_agent: Callable[..., Any],
    wait_until: Callable[..., Any],
) -> None:
    """Ten trials, with server and agent killed on the way: each runs to its own end, the weak ones pruned."""
    server = start_server("--store", store_url, "--lease", "5")
    options = ("--recipes", str(RECIPES), "--slots", "2", "--name", "desk")
    agent = start_agent(*options)
    begun = sweep(
        *("learn", "epochs=6", "--param", "lr=float:0:1", "--param", "batch=choice:32,64", "--seed", SEED),
        *("--trials", "10", "--sampler", "random", "--pruner", "asha", "--concurrency", "2"),
        *("--metric", "val/accuracy:max", "--retries", "2"),
    )
    path = f"/api/v1/sweeps/{begun['id']}"

    def ended() -> int:
        trials = server.call("GET", path).json()["trials"]
        return sum(trial["state"] not in {"waiting", "running"} for trial in trials)

    wait_until(lambda: ended() >= 2)
    server.kill()
    server.start()
    wait_until(lambda: ended() >= 4)
    agent.kill()
    start_agent(*options)
    found = sweep("--show", str(begun["id"]), "--wait")
    assert found["state"] == "completed"
    trials = found["trials"]
    assert [trial["number"] for trial in trials] == list(range(10))
    assert {trial["state"] for trial in trials} <= {"completed", "pruned"}
    assert {trial["number"] for trial in trials if trial["state"] == "pruned"} >= WEAK
    assert len({trial["job"] for trial in trials}) == len({trial["run"] for trial in trials}) == 10
    assert len({trial["parameters"]["lr"] for trial in trials}) == 10
    completed = [trial["value"] for trial in trials if trial["state"] == "completed"]
    assert found["best"]["value"] == max(completed)
    for trial in trials:
        attempts = server.call("GET", f"/api/v1/jobs/{trial['job']}").json()["attempts"]
        ends = [attempt["state"] for attempt in attempts if attempt["state"] != "lost"]
        # The kill of the agent may have come in the midst of a stop: that attempt is lost, its trial pruned.
        assert len(ends) == 1 or (ends == [] and trial["state"] == "pruned")
    runs = server.call("GET", "/api/v1/runs", params={"filter": f'group = "{found["group"]}"'}).json()
    assert runs["total"] == 10
    pair = [found["best"]["run"], trials[0]["run"]]
    compared = subprocess.run(
        [COMMAND, "compare", *pair, "--json"], capture_output=True, text=True, check=True
    )
    assert "lr" in json.loads(compared.stdout)["differences"]["config"] or pair[0] == pair[1]


@pytest.fixture
def offered(server: Any) -> Any:
    """A server to which some agent has offered the recipe `learn`."""
    answer = server.call("POST", "/api/v1/agents", json={"name": "away", "recipes": {"learn": TABLE}})
    assert answer.status_code == 201, answer.text
    return server


def test_the_command_lists_shows_extends_adds_and_stops(offered: Any, wait_until: Callable[..., Any]) -> None:
    """Each of its verbs, as JSON and as text; mistakes are one sentence and exit code 1."""
    assert sweep()["sweeps"] == []
    begun = sweep("learn", "--param", "lr=log:1e-3:1", "--trials", "3")
    assert (begun["metric"], begun["direction"]) == ("val/accuracy", "max")
    assert begun["parameters"] == {"batch": 32, "note": ""}
    number = str(begun["id"])
    wait_until(lambda: sweep("--show", number)["trials"])
    assert sweep("--extend", number, "--trials", "5")["n_trials"] == 5
    added = sweep("--add", number, "lr=0.5")
    assert (added["source"], added["parameters"]) == ("person", {"lr": 0.5})
    assert sweep("--stop", number)["state"] == "stopped"
    shown = subprocess.run([COMMAND, "sweep", "--show", number], capture_output=True, text=True)
    assert "val/accuracy:max" in shown.stdout
    wait_until(lambda: {trial["state"] for trial in sweep("--show", number)["trials"]} == {"stopped"})
    assert "already" in refused("--extend", number, "--trials", "1")
    assert "0.001 to 1" in refused("--add", number, "lr=0.0001")
    assert "LOW:HIGH" in refused("learn", "--param", "lr=1")
    assert "is not a parameter" in refused("learn", "--param", "width=int:1:2")
    assert "<= 1" in refused("learn", "--param", "lr=float:0:2")
    assert "loss:min" in refused("learn", "--param", "lr=float:0:1", "--metric", "loss")
    assert "needs choices or a step" in refused("learn", "--param", "lr=float:0:1", "--sampler", "grid")
    assert "404" in refused("--show", "999")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"recipe": "none"}, "recipe"),
        ({"space": {}}, "space"),
        ({"space": {"lr": {"low": 0, "high": 2}}}, "space.lr"),
        ({"parameters": {"lr": 0.5}}, "parameters.lr"),
        ({"parameters": {"batch": 7}}, "parameters.batch"),
        ({"sampler": "guess"}, "sampler"),
        ({"metric": "loss"}, "direction"),
        ({"n_trials": 10_000}, "n_trials"),
        ({"surprise": 1}, "surprise"),
        ({"sampler": "grid"}, "space.lr"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_by_field(
    shared_server: Any, change: dict[str, Any], field: str
) -> None:
    """422 with the field that is wrong, and nothing has begun."""
    shared_server.call("POST", "/api/v1/agents", json={"name": "away", "recipes": {"learn": TABLE}})
    body = {"recipe": "learn", "space": {"lr": {"low": 0, "high": 1}}}
    answer = shared_server.call("POST", "/api/v1/sweeps", json={**body, **change})
    assert answer.status_code == 422, answer.text
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert shared_server.call("GET", "/api/v1/sweeps").json()["sweeps"] == []


def test_without_optuna_one_sentence_says_so(
    start_server: Callable[..., Any],
    start_agent: Callable[..., Any],
    wait_until: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """A server that lacks Optuna refuses sweeps with 501 and what to install, and runs jobs as ever."""
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text("import sys; sys.modules['optuna'] = None\n")
    server = start_server(PYTHONPATH=str(tmp_path / "without"))
    answer = server.call("POST", "/api/v1/sweeps", json={})
    assert (answer.status_code, "pip install" in answer.json()["detail"]) == (501, True)
    assert server.call("GET", "/api/v1/sweeps").json()["available"] is False
    start_agent("--slots", "1")
    job = server.call("POST", "/api/v1/jobs", json={"recipe": "hello"}).json()["id"]
    wait_until(lambda: server.call("GET", f"/api/v1/jobs/{job}").json()["state"] == "completed")
