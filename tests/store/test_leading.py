"""Of several servers on one PostgreSQL store one does the chores."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from deepevent.store import connection
from deepevent.store.leading import LEADER_LOCK, StoreLeader


def test_one_leads_until_its_session_ends(postgresql: Callable[[], str]) -> None:
    """The second takes over when the first gives up, and when the database ends the first's session."""
    url = postgresql()
    db = connection.open_database(url)
    first, second = StoreLeader(db), StoreLeader(db)
    try:
        assert first.held() and first.held()
        assert not second.held()
        first.close()
        _wait_until_held(second)
        assert not first.held()
        _end_leader(url)
        assert first.held()
        assert not second.held()
    finally:
        first.close()
        second.close()
        db.close()


def _wait_until_held(leader: StoreLeader) -> None:
    """PostgreSQL notices the end of a session in its own time."""
    deadline = time.monotonic() + 30
    while not leader.held():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _end_leader(url: str) -> None:
    """End the holder's session as a lost connection would, and wait until it is gone."""
    holder = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"
    with psycopg.connect(url, autocommit=True) as admin:
        row = admin.execute(holder, (LEADER_LOCK,)).fetchone()
        assert row is not None
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", row)
