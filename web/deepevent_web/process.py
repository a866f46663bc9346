"""One server process: store, application and threads, from the fork to an end that loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepevent.store import blobs, connection, ingest, quotas
from deepevent.store.leading import StoreLeader
from deepevent.store.leases import Terms
from deepevent_web.app import create_app
from deepevent_web.chores import chores
from deepevent_web.housekeeping import HomeLeader, Housekeeping
from deepevent_web.seats import Seats
from deepevent_web.services import Services

if TYPE_CHECKING:
    from flask import Flask

    from deepevent_web.serve import Plan


class ServerProcess:
    """The parts of a worker, made after the fork: neither a database connection nor a thread survives one."""

    def __init__(self, plan: Plan) -> None:
        self._db = connection.open_database(plan.store)
        held = quotas.Quotas(self._db, plan.quotas)
        self._committer = ingest.Committer(self._db, waiting_bytes=plan.ingest_bytes, quotas=held)
        store = blobs.open_blobs(plan.blobs)
        self.services = Services(
            self._db,
            self._committer,
            store,
            plan.policy,
            plan.address,
            Seats(plan.viewers, plan.viewers_per_address),
            Terms(plan.lease_s, plan.lease_s / 3),
            plan.limits,
            held,
        )
        application = create_app(self.services)
        self.wsgi: Flask = application.wsgi
        self._tail = application.tail
        of_home = HomeLeader(plan.home)
        of_store = of_home if self._db.path else StoreLeader(self._db)
        self._housekeeping = Housekeeping(chores(self.services, plan.home), of_home, of_store)

    def start(self) -> None:
        """Start the threads."""
        self._tail.start()
        self._housekeeping.start()

    def drain(self) -> None:
        """Take no more events, commit what was taken, tell the browsers, and hang up."""
        self.services.stopping.set()
        self._committer.close()
        self._tail.stop()
        self._housekeeping.stop()

    def close(self) -> None:
        """Close the store."""
        self._db.close()
