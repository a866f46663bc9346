"""The list of chores, with how often each is done."""

from __future__ import annotations

from pathlib import Path

from deepevent.store import compaction, runs
from deepevent_web.adoption import Adoption
from deepevent_web.housekeeping import Chore
from deepevent_web.services import Services

ADOPT_EVERY_S = 2.0
COMPACT_EVERY_S = 5.0
LOST_EVERY_S = 10.0


def chores(services: Services, home: Path) -> list[Chore]:
    """All chores of a server."""
    adoption = Adoption(home, services.committer, services.blobs)
    return [
        Chore("taking in abandoned spools", ADOPT_EVERY_S, adoption.look),
        Chore("marking lost runs", LOST_EVERY_S, lambda: runs.mark_lost(services.db)),
        Chore("compaction", COMPACT_EVERY_S, lambda: compaction.compact(services.db)),
    ]
