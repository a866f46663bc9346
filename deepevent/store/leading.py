"""Who does the chores of a store that several servers share: the one that holds a lock in PostgreSQL.

The lock belongs to a session, so it goes on to another server as soon as the holder's connection ends: by
kill -9 at once, by a lost machine after the keepalives of `connection.KEEPALIVES`. For a moment two may then
believe that they lead; every chore is a transaction of its own, so that costs work and no data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepevent.store.connection import KEEPALIVES, Database

if TYPE_CHECKING:
    import psycopg

LEADER_LOCK = 0x4445454C  # "DEEL", beside the write lock's "DEEV"


class StoreLeader:
    """Held by one of all processes that have a PostgreSQL store open."""

    def __init__(self, db: Database) -> None:
        self._address = db.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._session: psycopg.Connection[tuple[bool]] | None = None
        self._held = False

    def held(self) -> bool:
        """Whether we are the one, trying to become it."""
        import psycopg

        try:
            if self._session is None:
                self._session = psycopg.connect(self._address, autocommit=True)
                for statement in KEEPALIVES:
                    self._session.execute(statement)
            if self._held:
                self._session.execute("SELECT true")
            else:
                row = self._session.execute("SELECT pg_try_advisory_lock(%s)", (LEADER_LOCK,)).fetchone()
                self._held = row is not None and row[0]
        except psycopg.Error:
            self.close()
        return self._held

    def close(self) -> None:
        """Let another one lead."""
        self._held = False
        if self._session is not None:
            self._session.close()
            self._session = None
