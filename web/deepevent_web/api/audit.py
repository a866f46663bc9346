"""`/audit`: who did what, for those who may do all."""

from __future__ import annotations

from flask import Response

from deepevent.store import audit
from deepevent_web.answers import Entry
from deepevent_web.fields import Query
from deepevent_web.limits import LIMITS
from deepevent_web.routes import Answer, Noun
from deepevent_web.serialise import answer
from deepevent_web.services import services

noun = Noun("audit")


@noun.route(
    "GET",
    "/audit",
    role="operator",
    summary="Who changed what: deletions, jobs, tokens, sign-ins, and refused changes, the newest first",
    query={"limit": "1 to 200", "before": "`next` of the page before"},
    answers={200: Answer("a page", {"entries": list[Entry], "next": int | None})},
)
def index() -> Response:
    """List entries."""
    query = Query()
    limit = query.count("limit", 100, low=1, high=LIMITS.page_rows)
    before = query.count("before", 0)
    query.done()
    entries = audit.list_entries(services().db, limit=limit, before=before or None)
    following = entries[-1]["id"] if len(entries) == limit else None
    return answer({"entries": entries, "next": following})
