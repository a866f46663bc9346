"""The list of chores, with how often each is done."""

from __future__ import annotations

from pathlib import Path

from deepevent.store import alerts, audit, compaction, deletion, leases, runs, sweeping, trash
from deepevent_web.adoption import Adoption
from deepevent_web.deliveries import Deliveries
from deepevent_web.housekeeping import Chore
from deepevent_web.services import Services
from deepevent_web.sweep_driver import SweepDriver

ADOPT_EVERY_S = 2.0
COMPACT_EVERY_S = 5.0
LOST_EVERY_S = 10.0
LEASES_EVERY_S = 2.0
DRIVE_EVERY_S = 0.5
ALERTS_EVERY_S = 1.0
SWEEP_EVERY_S = 600.0
DELETE_EVERY_S = 30.0


class Leases:
    """Takes back jobs whose lease ran out, but first gives every lease its full time.

    While no server ran, no heartbeat could be heard.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._renewed = False

    def look(self) -> None:
        """Look once."""
        if not self._renewed:
            leases.renew_all(self._services.db, self._services.terms)
            self._renewed = True
        leases.expire(self._services.db, self._services.terms)


def chores(services: Services, home: Path) -> list[Chore]:
    """All chores of a server."""
    leases_every_s = min(LEASES_EVERY_S, services.terms.lease_s / 4)
    adoption = Adoption(home, services.committer, services.blobs)
    return [
        Chore("taking in abandoned spools", ADOPT_EVERY_S, adoption.look, of_home=True),
        Chore("driving sweeps", DRIVE_EVERY_S, SweepDriver(services.db).look),
        Chore("looking by the alert rules", ALERTS_EVERY_S, lambda: alerts.look(services.db)),
        Chore("sending alerts", ALERTS_EVERY_S, Deliveries(services.db, services.address).look),
        Chore("marking lost runs", LOST_EVERY_S, lambda: runs.mark_lost(services.db)),
        Chore("taking back jobs of silent agents", leases_every_s, Leases(services).look),
        Chore("emptying the trash", SWEEP_EVERY_S, lambda: trash.purge(services.db)),
        Chore("removing blobs of no run", SWEEP_EVERY_S, lambda: sweeping.sweep(services.db, services.blobs)),
        Chore("carrying deletions to their end", DELETE_EVERY_S, lambda: deletion.purge(services.db)),
        Chore("dropping old lines of the audit log", SWEEP_EVERY_S, lambda: audit.forget(services.db)),
        Chore("compaction", COMPACT_EVERY_S, lambda: compaction.compact(services.db)),
    ]
