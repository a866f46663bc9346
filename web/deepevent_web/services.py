"""What every handler needs, made once per server process and hung on the Flask app."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from flask import current_app, request

from deepevent.store import audit
from deepevent.store.leases import TERMS, Terms
from deepevent_web.auditing import Auditor
from deepevent_web.limits import LIMITS, Limits
from deepevent_web.policy import Policy
from deepevent_web.rates import Rates
from deepevent_web.seats import Seats
from deepevent_web.shares import Shares

if TYPE_CHECKING:
    from deepevent.store.access import Principal
    from deepevent.store.blobs import Blobs
    from deepevent.store.connection import Database
    from deepevent.store.ingest import Committer
    from deepevent.store.quotas import Quotas

EXTENSION = "deepevent"
WRONG_CODES_PER_S = 1 / 30


@dataclass
class Services:
    """One server process's parts.

    Attributes:
        address: where browsers reach the server, `http://host:port`, without a slash at the end.
        terms: how long agents' leases last.
        quotas: what each project may hold.
        limits: what clients may do; `shares`, `wrong_codes` and `wrong_tokens` count by it.
        stopping: set once the server takes no more events.
    """

    db: Database
    committer: Committer
    blobs: Blobs
    policy: Policy
    address: str
    seats: Seats = field(default_factory=Seats)
    terms: Terms = TERMS
    limits: Limits = LIMITS
    quotas: Quotas | None = None
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.shares = Shares(self.limits)
        self.wrong_codes = Rates(self.limits.wrong_codes, WRONG_CODES_PER_S)
        self.wrong_tokens = Rates(
            self.limits.wrong_tokens_per_minute, self.limits.wrong_tokens_per_minute / 60
        )
        self.auditor = Auditor(functools.partial(audit.record, self.db))


def services() -> Services:
    """The parts of the app that answers the present request."""
    return cast(Services, current_app.extensions[EXTENSION])


def noted(detail: str) -> None:
    """Say what the present request changes, for the audit log; without this, its path is noted."""
    request.environ["deepevent.noted"].append(detail)


def principal() -> Principal:
    """Who sent the present request; the gate let nobody else through."""
    return cast("Principal", request.environ["deepevent.principal"])
