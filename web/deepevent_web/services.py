"""What every handler needs, made once per server process and hung on the Flask app."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from flask import current_app, request

from deepevent.store.leases import TERMS, Terms
from deepevent_web.policy import Policy
from deepevent_web.seats import Seats
from deepevent_web.sessions import Guesses

if TYPE_CHECKING:
    from deepevent.store.access import Principal
    from deepevent.store.blobs import Blobs
    from deepevent.store.connection import Database
    from deepevent.store.ingest import Committer

EXTENSION = "deepevent"


@dataclass
class Services:
    """One server process's parts.

    Attributes:
        address: where browsers reach the server, `http://host:port`, without a slash at the end.
        terms: how long agents' leases last.
        stopping: set once the server takes no more events.
    """

    db: Database
    committer: Committer
    blobs: Blobs
    policy: Policy
    address: str
    seats: Seats = field(default_factory=Seats)
    terms: Terms = TERMS
    guesses: Guesses = field(default_factory=Guesses)
    stopping: threading.Event = field(default_factory=threading.Event)


def services() -> Services:
    """The parts of the app that answers the present request."""
    return cast(Services, current_app.extensions[EXTENSION])


def principal() -> Principal:
    """Who sent the present request; the gate let nobody else through."""
    return cast("Principal", request.environ["deepevent.principal"])
