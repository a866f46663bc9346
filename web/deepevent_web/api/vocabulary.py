"""`/groups`, `/names` and `/values`: runs by any key, and what a filter can name."""

from __future__ import annotations

from flask import Response

from deepevent.errors import FilterError
from deepevent.store import grouping, runs, vocabulary
from deepevent.store.query import parse_field
from deepevent_web.answers import Group, Names, Number
from deepevent_web.fields import Query
from deepevent_web.routes import Answer, Noun
from deepevent_web.serialise import answer
from deepevent_web.services import services

noun = Noun("vocabulary")
MAX_FILTER = 4096
MAX_FIELD = 300
MAX_METRICS = 4096


@noun.route(
    "GET",
    "/groups",
    role="viewer",
    summary="Groups of runs, with mean and spread of metrics",
    query={
        "by": "a name of the filter language: group, tags, config.lr, …",
        "metrics": 'a JSON list of sort keys: ["metrics[\\"val/loss\\"].min", …]',
        "filter": "an expression",
        "among": "as for /runs",
    },
    answers={
        200: Answer("the groups", {"groups": list[Group], "n_groups": int, "n_runs": int, "truncated": bool})
    },
)
def groups() -> Response:
    """Group runs."""
    query = Query()
    by = query.text("by", limit=MAX_FIELD)
    names = query.json_names("metrics", limit=20)
    text = query.text("filter", None, limit=MAX_FILTER)
    among = query.choice("among", runs.AMONG, "all")
    metrics = []
    for name in names:
        try:
            field = parse_field(name)
        except FilterError as error:
            query.wrong("metrics", str(error))
            continue
        if field.kind != "metric" or field.name == "n":
            query.wrong("metrics", f"{name[:80]!r} is no metric's last, min or max")
        metrics.append((field.key, field.name))
    query.done()
    found = grouping.group_runs(services().db, by, metrics, filter=text or None, among=among)
    return answer(
        {
            "groups": found.groups,
            "n_groups": found.n_groups,
            "n_runs": found.n_runs,
            "truncated": found.truncated,
        }
    )


@noun.route(
    "GET",
    "/names",
    role="viewer",
    summary="What a filter can name: config keys, metrics, tags, projects, groups",
    answers={200: Answer("the names", Names)},
)
def names() -> Response:
    """List names."""
    Query().done()
    return answer(vocabulary.names(services().db))


@noun.route(
    "GET",
    "/values",
    role="viewer",
    summary="Values that a field has in the newest runs",
    query={"of": "a name of the filter language"},
    answers={200: Answer("the values, the commonest first", {"values": list[str | Number]})},
)
def values() -> Response:
    """List values."""
    query = Query()
    field = query.text("of", limit=MAX_FIELD)
    query.done()
    return answer({"values": vocabulary.values(services().db, field)})
