"""A PostgreSQL that ends all sessions, as a restart does, costs nothing but a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from deepevent.store import connection, curves

N_POINTS = 300
ENDINGS = 3


def _end_sessions(store: str) -> int:
    """End every session of the database but our own; how many that were."""
    query = (
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(store, autocommit=True) as admin:
        row = admin.execute(query).fetchone()
    return 0 if row is None else int(row[0])


def test_sessions_that_end_lose_nothing(
    postgresql: Callable[[], str], start_server: Any, open_page: Any, world: Any, tmp_path: Path
) -> None:
    """Under a script and a page, several times over: each point is there once and on the page."""
    store = postgresql()
    server = start_server("--store", store, home=tmp_path / "server")
    script = world.Script(
        tmp_path / "script",
        tmp_path / "ledger",
        *("--count", str(N_POINTS), "--pause", "0.005"),
        DEEPEVENT_URL=server.url,
        DEEPEVENT_TOKEN=server.token,
    )
    script.wait_for(0)
    key = (script.run_id, "value", 0)
    page = open_page(server)
    page.wait_for(lambda: server.call("GET", f"/api/v1/runs/{key[0]}").status_code == 200)
    page.watch(key[0])
    ended = 0
    for part in range(1, ENDINGS + 1):
        script.wait_for(part * N_POINTS // (ENDINGS + 2))
        ended += _end_sessions(store)
    assert ended >= 1
    script.finish()
    expected = [world.value_of(step) for step in range(N_POINTS)]
    page.wait_for(lambda: len(page.values.get(key, [])) >= N_POINTS)
    assert page.values[key] == expected
    database = connection.open_database(store)
    points = curves.read_points(database, key[0], "value")
    database.close()
    assert [int(step) for step in points.steps] == list(range(N_POINTS))
    assert [float(value) for value in points.values] == expected
    assert server.call("GET", "/readyz").status_code == 200
