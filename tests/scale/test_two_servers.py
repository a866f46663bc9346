"""Several servers on one PostgreSQL store: any of them ingests, every browser sees every point."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import requests

from deepevent.store import access, connection, curves

N_POINTS = 500
FEW = 40
PAUSE_S = "0.004"


def _point_to(home: Path, server: Any) -> None:
    """Tell scripts of a home which server is theirs now, as a server's start does."""
    home.mkdir(parents=True, exist_ok=True)
    fresh = home / ".server.json"
    fresh.write_text(json.dumps({"url": server.url, "token": server.token, "pid": os.getpid()}))
    fresh.replace(home / "server.json")


def _stored(store: str, run: str) -> list[tuple[int, float]]:
    database = connection.open_database(store)
    try:
        found: list[tuple[int, float]] = []
        while True:
            points = curves.read_points(database, run, "value", after_index=len(found))
            if not len(points.steps):
                return found
            found += zip(map(int, points.steps), map(float, points.values), strict=True)
    finally:
        database.close()


def test_a_server_and_a_worker_are_killed_and_nothing_is_lost_or_doubled(
    postgresql: Callable[[], str], start_server: Any, open_page: Any, world: Any, tmp_path: Path
) -> None:
    """Three scripts log through two servers, one of them fails over, and a page on the other sees it all."""
    store = postgresql()
    first = start_server("--store", store, home=tmp_path / "first")
    second = start_server("--store", store, "--workers", "2", home=tmp_path / "second")
    token = _logger_token(store)

    moving = tmp_path / "moving"
    _point_to(moving, first)
    arguments = ("--count", str(N_POINTS), "--pause", PAUSE_S)
    scripts = [
        world.Script(moving, tmp_path / "moving.ledger", *arguments),
        *(
            world.Script(
                tmp_path / name,
                tmp_path / f"{name}.ledger",
                *arguments,
                DEEPEVENT_URL=server.url,
                DEEPEVENT_TOKEN=token,
            )
            for name, server in (("loyal", first), ("other", second))
        ),
    ]
    for script in scripts:
        script.wait_for(0)
    runs = [script.run_id for script in scripts]
    keys = [(run, "value", 0) for run in runs]

    page = open_page(second)
    page.wait_for(lambda: all(_is_known(second, run) for run in runs))
    page.watch(*runs)
    page.wait_for(lambda: all(len(page.values.get(key, [])) >= FEW for key in keys))

    os.kill(_idle_worker(second, page), signal.SIGKILL)
    first.kill()
    _point_to(moving, second)
    first.start()
    late = open_page(first)
    late.watch(*runs)

    for script in scripts:
        script.finish()
    expected = [world.value_of(step) for step in range(N_POINTS)]
    for watching in (page, late):
        watching.wait_for(
            lambda watching=watching: all(len(watching.values.get(key, [])) >= N_POINTS for key in keys)
        )
        for key in keys:
            assert watching.values[key] == expected
    for run in runs:
        stored = _stored(store, run)
        counts = Counter(step for step, _ in stored)
        assert sorted(counts) == list(range(N_POINTS)) and set(counts.values()) == {1}
        assert [value for _, value in sorted(stored)] == expected


def _logger_token(store: str) -> str:
    database = connection.open_database(store)
    try:
        return access.create_token(database, "scripts", "logger")
    finally:
        database.close()


def _is_known(server: Any, run: str) -> bool:
    return bool(server.call("GET", f"/api/v1/runs/{run}").status_code == 200)


def _idle_worker(server: Any, page: Any) -> int:
    """The worker that does not hold the page's socket."""
    local = page.io.eio.ws.sock.getsockname()
    for worker in psutil.Process(server.process.pid).children():
        remote = {c.raddr[:2] for c in worker.net_connections(kind="tcp") if c.raddr}
        if local[:2] not in remote:
            return int(worker.pid)
    raise AssertionError("every worker holds the page's socket")


def test_a_sign_in_is_good_at_every_server_and_worker(
    postgresql: Callable[[], str], start_server: Any, tmp_path: Path
) -> None:
    """Code, session and CSRF token of one server open the other, and signing out there ends both."""
    store = postgresql()
    first = start_server("--store", store, "--workers", "2", home=tmp_path / "first")
    second = start_server("--store", store, home=tmp_path / "second")
    session: requests.Session = first.sign_in(second.code)
    for _ in range(6):
        assert session.get(f"{first.url}/api/v1/session", timeout=30).status_code == 200
        answer = session.post(f"{first.url}/api/v1/runs", json={"name": "a"}, timeout=30)
        assert answer.status_code == 201, answer.text
    session.headers["Origin"] = second.url
    assert session.post(f"{second.url}/api/v1/runs", json={"name": "b"}, timeout=30).status_code == 201
    assert session.delete(f"{second.url}/api/v1/session", timeout=30).status_code == 204
    session.headers["Origin"] = first.url
    assert session.post(f"{first.url}/api/v1/runs", json={"name": "c"}, timeout=30).status_code == 401
