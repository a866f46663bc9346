"""The application factory: the parts in, one WSGI application out, with the gate in front of all of it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask

from deepevent.store import access
from deepevent_web import live, pages, problems, routes
from deepevent_web.api import (
    agents,
    alerts,
    audit,
    blobs,
    curves,
    events,
    ingest,
    jobs,
    media,
    runs,
    session,
    sweeps,
    system,
    views,
    vocabulary,
)
from deepevent_web.requests_seen import RequestsSeen
from deepevent_web.security import Gate
from deepevent_web.services import EXTENSION, Services
from deepevent_web.tail import Tail

NOUNS = (
    ingest.noun,
    events.noun,
    runs.noun,
    vocabulary.noun,
    curves.noun,
    media.noun,
    alerts.noun,
    blobs.noun,
    jobs.noun,
    sweeps.noun,
    agents.noun,
    views.noun,
    audit.noun,
    session.noun,
    system.noun,
    system.docs,
    system.probes,
    pages.noun,
)
PROGRAM_KINDS = ("token",)
BROWSER_KINDS = ("session",)


@dataclass(frozen=True)
class Application:
    """The WSGI application and what follows commits for it."""

    wsgi: Flask
    tail: Tail


def create_app(services: Services) -> Application:
    """Build the application.

    Args:
        services: the parts of this process; the app closes none of them.

    Raises:
        RuntimeError: a route has no role.
    """
    app = Flask("deepevent_web", static_folder=None)
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions[EXTENSION] = services
    table = routes.table(NOUNS)
    app.extensions["deepevent.routes"] = table
    for noun in NOUNS:
        app.register_blueprint(noun.blueprint)
    routes.check(app, table)
    problems.install(app)

    def authenticate(secret: str, *, browser: bool) -> access.Principal | None:
        return access.authenticate(services.db, secret, BROWSER_KINDS if browser else PROGRAM_KINDS)

    tail = Tail(services.db, lambda secret: authenticate(secret[0], browser=secret[1]) is not None)
    live.install(app, tail)
    gate = Gate(
        app.wsgi_app,
        url_map=app.url_map,
        routes=table,
        policy=services.policy,
        authenticate=authenticate,
        query_s=services.limits.query_ms / 1000,
        seats=services.seats,
        shares=services.shares,
        wrong_tokens=services.wrong_tokens,
        auditor=services.auditor,
        stopping=services.stopping.is_set,
    )
    seen = RequestsSeen(gate)
    app.extensions |= {"deepevent.tail": tail, "deepevent.requests": seen}
    app.wsgi_app = seen  # type: ignore[method-assign]
    return Application(app, tail)
