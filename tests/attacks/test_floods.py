"""Shares: a flood from one token makes others wait a moment and nobody lose anything."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import requests

import deepevent
from deepevent import wire
from deepevent.ids import new_id

N_POINTS = 1500


class Flood:
    """Somebody who logs from many threads as fast as he can, and sends again what is refused."""

    def __init__(self, server: Any, n_threads: int, n_values: int) -> None:
        self.server = server
        self.headers = {
            "Authorization": f"Bearer {server.make_token('logger', 'flood')}",
            "Content-Type": wire.CONTENT_TYPE,
        }
        self.answers: list[int] = []
        self.waits: list[str] = []
        self.logged: dict[str, int] = {}
        self.n_values = n_values
        self.stopping = threading.Event()
        self.refused = threading.Event()
        self._threads = [threading.Thread(target=self._log) for _ in range(n_threads)]
        for thread in self._threads:
            thread.start()

    def _log(self) -> None:
        run = new_id()
        records = [wire.build_event(1, {"type": "run", "name": "flood", "created": 1.0})]
        records.append(wire.build_shape(2, 7, ["a"]))
        sequence = 1
        while True:
            first = sequence + len(records)
            records += [wire.build_points(first + i, 7, i, 1.0, [1.0]) for i in range(self.n_values)]
            body = wire.encode(wire.build_batch(run, run, sequence, records))
            while not self._send(body):
                if self.stopping.wait(0.05):
                    return
            sequence += len(records)
            records = []
            self.logged[run] = self.logged.get(run, 0) + self.n_values
            if self.stopping.is_set():
                return

    def _send(self, body: bytes) -> bool:
        address = f"{self.server.url}/api/v1/ingest"
        answer = requests.post(address, data=body, headers=self.headers, timeout=60)
        self.answers.append(answer.status_code)
        if answer.status_code == 429:
            self.waits.append(answer.headers["Retry-After"])
            self.refused.set()
        return answer.status_code == 200

    def stop(self) -> None:
        """Stop all threads."""
        self.stopping.set()
        for thread in self._threads:
            thread.join(60)


def test_a_flood_from_one_token_starves_no_other(start_server: Any) -> None:
    """Beside a flood, another script's points all arrive; the flood itself hears 429 and loses nothing."""
    server = start_server("--limit", "requests_at_once=4", "--limit", "requests_per_second=20")
    flood = Flood(server, n_threads=12, n_values=200)
    try:
        assert flood.refused.wait(60), "the flood was never slowed down"
        run = deepevent.start(name="honest")
        for step in range(N_POINTS):
            run.log({"a": float(step)}, step=step)
        assert run.flush(timeout=120), "the other token's points did not get through"
        run.finish()
    finally:
        flood.stop()
    assert set(flood.answers) <= {200, 429}
    assert all(1 <= int(wait) <= 60 for wait in flood.waits)
    metric = server.call("GET", f"/api/v1/runs/{run.id}/metrics").json()["metrics"]
    assert [one["n"] for one in metric if one["name"] == "a"] == [N_POINTS]
    for name, n in flood.logged.items():
        (one,) = server.call("GET", f"/api/v1/runs/{name}/metrics").json()["metrics"]
        assert one["n"] == n, "what was acknowledged is there, once"


def test_a_script_that_is_slowed_down_loses_nothing(start_server: Any) -> None:
    """A real script whose token has used up its share sends again after the time that it is told."""
    server = start_server("--limit", "requests_per_second=1", "--limit", "bytes_per_second=40000")
    run = deepevent.start(name="slowed")
    values = {f"m{n}": 1.0 for n in range(100)}
    for step in range(250):  # more bytes than may come at once
        run.log(values, step=step)
    assert run.flush(timeout=120)
    run.finish()
    metrics = server.call("GET", f"/api/v1/runs/{run.id}/metrics").json()["metrics"]
    assert {one["n"] for one in metrics if one["name"].startswith("m")} == {250}


def test_a_spool_is_sent_at_the_pace_that_is_allowed(start_server: Any, home: Path) -> None:
    """`deepevent sync` waits as long as it is told to, and everything arrives."""
    run = deepevent.start(name="spooled")
    for step in range(40):
        run.log({f"m{n}": 1.0 for n in range(100)}, step=step)
    run.finish()
    server = start_server("--limit", "requests_per_second=1", home=home.with_name("other"))
    for _ in range(4):  # the share is used up
        server.call("POST", "/api/v1/runs", json={"name": "other"})
    command = [Path(sys.executable).with_name("deepevent"), "sync", "--home", str(home), "--url", server.url]
    environment = {**os.environ, "DEEPEVENT_TOKEN": server.token}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    metrics = server.call("GET", f"/api/v1/runs/{run.id}/metrics").json()["metrics"]
    assert {one["n"] for one in metrics if one["name"].startswith("m")} == {40}


def test_each_rate_has_its_limit_and_its_sentence(start_server: Any) -> None:
    """C11: runs, metrics and bytes of one token: at the limit they are taken, beyond it 429 with a time."""
    server = start_server("--limit", "runs_per_minute=1", "--limit", "names_per_minute=10")
    headers = {"Authorization": f"Bearer {server.make_token('logger')}"}

    def call(path: str, body: dict[str, Any], **more: str) -> requests.Response:
        return requests.post(f"{server.url}/api/v1{path}", json=body, headers={**headers, **more}, timeout=30)

    answers = [call("/runs", {"name": f"r{n}"}) for n in range(6)]
    assert [answer.status_code for answer in answers] == [201] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert "runs a minute" in answers[-1].json()["detail"]
    assert call("/events", {"events": [{"metrics": {"a": 1.0}}]}).status_code == 429
    other = {"Authorization": f"Bearer {server.make_token('logger', 'other')}"}
    run = new_id()
    many = {"events": [{"metrics": {f"m{n}": 1.0 for n in range(200)}}]}
    assert call("/events", many, **other, **{"Idempotency-Key": f"{run}:1"}).status_code == 200
    after = call(
        "/events", {"events": [{"metrics": {"m1": 2.0}}]}, **other, **{"Idempotency-Key": f"{run}:2"}
    )
    assert after.status_code == 429
    assert "new metrics a minute" in after.json()["detail"]


def test_a_limit_is_set_by_its_name(home: Any) -> None:
    """`--limit` knows the limits that can be set, and names all mistakes at once."""
    command = [Path(sys.executable).with_name("deepevent"), "serve", "--port", "0"]
    wrong = ["--limit", "no_such=1", "--limit", "json_depth=64", "--limit", "runs_per_minute=many"]
    done = subprocess.run([*command, *wrong], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert all(word in done.stderr for word in ("no_such", "json_depth", "'many'", "requests_at_once"))
    assert done.stderr.count("\n") == 1
