"""What a run logged besides numbers: media, console lines, artifacts."""

from __future__ import annotations

from flask import Response

from deepevent.store import media
from deepevent.wire import is_ulid
from deepevent_web.answers import Alert, Artifact, Line, Media, Whole
from deepevent_web.fields import MAX_STEP, Query
from deepevent_web.problems import not_found
from deepevent_web.routes import Answer, Noun
from deepevent_web.serialise import answer
from deepevent_web.services import services

noun = Noun("media")
KINDS = ("image", "detections", "histogram", "text", "figure", "table")
MAX_MEDIA = 500
MAX_LINES = 2000
MAX_SEARCH = 200


def _id(run: str) -> str:
    if not is_ulid(run):
        raise not_found("the run")
    return run


@noun.route(
    "GET",
    "/runs/<run>/media",
    role="viewer",
    summary="A run's images, detections, histograms, texts, figures and tables",
    query={
        "kind": "one kind",
        "name": "one name",
        "blob": "one file, by its SHA-256",
        "until": "up to this step",
        "order": "`oldest` (default, as they were committed) or `newest`",
        "limit": "1 to 500",
        "cursor": "`next` of the page before",
    },
    answers={200: Answer("a page", {"media": list[Media], "next": str | None})},
)
def index(run: str) -> Response:
    """List media."""
    query = Query()
    kind = query.choice("kind", KINDS, None)
    name = query.text("name", None, limit=250)
    blob = query.text("blob", None, limit=64)
    until = query.count("until", MAX_STEP, high=MAX_STEP)
    newest = query.choice("order", ("oldest", "newest"), "oldest") == "newest"
    limit = query.count("limit", 100, low=1, high=MAX_MEDIA)
    cursor = query.text("cursor", None, limit=2048)
    query.done()
    found, following = media.list_media(
        services().db, _id(run), kind, name, limit, cursor or None, blob=blob, until=until, newest=newest
    )
    return answer({"media": found, "next": following})


@noun.route(
    "GET",
    "/runs/<run>/logs",
    role="viewer",
    summary="What a run printed",
    query={"after": "an index", "limit": "1 to 2000", "search": "only lines that hold this text"},
    answers={200: Answer("a page", {"lines": list[Line], "next": Whole})},
)
def logs(run: str) -> Response:
    """List console lines."""
    query = Query()
    after = query.count("after", 0)
    limit = query.count("limit", 500, low=1, high=MAX_LINES)
    search = query.text("search", None, limit=MAX_SEARCH)
    query.done()
    lines, following = media.list_logs(services().db, _id(run), after, limit, search)
    return answer({"lines": lines, "next": following})


@noun.route(
    "GET",
    "/runs/<run>/artifacts",
    role="viewer",
    summary="A run's artifacts",
    answers={200: Answer("its artifacts", {"artifacts": list[Artifact]})},
)
def artifacts(run: str) -> Response:
    """List artifacts."""
    return answer({"artifacts": media.list_artifacts(services().db, _id(run))})


@noun.route(
    "GET",
    "/runs/<run>/alerts",
    role="viewer",
    summary="A run's alerts",
    answers={200: Answer("its alerts", {"alerts": list[Alert]})},
)
def alerts(run: str) -> Response:
    """List alerts."""
    return answer({"alerts": media.list_alerts(services().db, _id(run))})
