"""Eight agents and many jobs, while agents and the server are killed: nothing is lost, nothing counts twice.

DEEPEVENT_TEST_JOBS=500 runs it at full size.
"""

import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

N_AGENTS = 8
N_JOBS = int(os.environ.get("DEEPEVENT_TEST_JOBS", "60"))
N_AGENT_KILLS = max(6, N_JOBS // 10)
N_SERVER_KILLS = 2


def test_jobs_survive_kills(
    start_server: Callable[..., Any],
    start_agent: Callable[..., Any],
    wait_until: Callable[..., Any],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Every job completes by exactly one attempt, and no two attempts of a job ever live at once."""
    server = start_server("--lease", "5")
    marks = tmp_path / "marks"
    marks.touch()

    def start(number: int) -> Any:
        return start_agent("--slots", "2", "--name", f"agent-{number}", MARKS=str(tmp_path))

    agents = [start(number) for number in range(N_AGENTS)]
    _pause(server, True)
    ids = [_submit(server) for _ in range(N_JOBS)]
    _pause(server, False)
    kills = sorted(["agent"] * N_AGENT_KILLS + ["server"] * N_SERVER_KILLS, key=lambda _: random.random())
    n_kills = len(kills)
    killed: list[str] = []
    while len(done := _completed(server)) < N_JOBS:
        if kills and len(done) >= N_JOBS * (n_kills - len(kills) + 1) / (n_kills + 2):
            killed.append(kills.pop())
            if killed[-1] == "server":
                server.kill()
                server.start()
            else:
                number = random.randrange(N_AGENTS)
                agents[number].kill()
                agents[number] = start(number)
        wait_until(lambda done=done: len(_completed(server)) > len(done), 120)
    lines = [line.split() for line in marks.read_text().splitlines()]
    began, ended = (Counter(int(job) for word, job in lines if word == w) for w in ("begin", "end"))
    attempts = {job: server.call("GET", f"/api/v1/jobs/{job}").json()["attempts"] for job in ids}
    completions = {job: sum(a["state"] == "completed" for a in attempts[job]) for job in ids}
    numbers = {
        "submitted": N_JOBS,
        "started": sum(began.values()),
        "completed": sum(n > 0 for n in completions.values()),
        "doubled": sum(n > 1 for n in completions.values()),
        "overlapping": sum(word == "overlap" for word, _ in lines),
        "lost": sum(n == 0 for n in completions.values()),
        "run to the end twice, counted once": sum(n > 1 for n in ended.values()),
        "agents killed": killed.count("agent"),
        "servers killed": killed.count("server"),
    }
    for name, number in numbers.items():
        record_property(name, number)
    print(numbers)
    assert (numbers["doubled"], numbers["overlapping"], numbers["lost"]) == (0, 0, 0), numbers
    assert set(began) == set(ids)


def _submit(server: Any) -> int:
    answer = server.call("POST", "/api/v1/jobs", json={"recipe": "mark", "max_retries": 20})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def _pause(server: Any, paused: bool) -> None:
    assert server.call("PUT", "/api/v1/queue", json={"paused": paused}).ok


def _completed(server: Any) -> set[int]:
    found: set[int] = set()
    before = ""
    while True:
        page = server.call("GET", f"/api/v1/jobs?state=completed&limit=200{before}").json()
        found |= {job["id"] for job in page["jobs"]}
        if page["next"] is None:
            return found
        before = f"&before={page['next']}"
