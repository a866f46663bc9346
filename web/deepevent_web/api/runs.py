"""`/runs` and `/compare`: list, make, show, change, stop and delete runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response

from deepevent.store import deletion, jobs, runs
from deepevent_web import compare
from deepevent_web.answers import Differences, Metric, Run, WholeRun
from deepevent_web.fields import Fields, Query, json_body
from deepevent_web.limits import LIMITS
from deepevent_web.problems import Problem, not_found
from deepevent_web.routes import Answer, Body, Noun
from deepevent_web.serialise import answer, dumps, empty
from deepevent_web.services import noted, principal, services

noun = Noun("runs")
MAX_PAGE = LIMITS.page_rows
MAX_FILTER = LIMITS.filter_characters
MAX_COMPARED = LIMITS.runs_compared
MAX_CONFIG_BYTES = LIMITS.config_characters
MAX_TAGS = 100
MAX_CHANGES = 500
MAX_OFFSET = 10_000_000


@noun.route(
    "GET",
    "/runs",
    role="viewer",
    summary="List runs",
    query={
        "filter": "an expression",
        "sort": "a key, with - in front for falling order",
        "limit": "1 to 200",
        "cursor": "`next` of the page before",
        "metrics": "names, separated by commas",
        "among": "active (neither archived nor in the trash), archived, trash, or all but the trash",
        "offset": "how many runs to pass over",
    },
    answers={
        200: Answer("a page", {"runs": list[Run], "next": str | None, "total": int, "revision": int}),
        422: "a mistake in the filter, with its place",
    },
)
def index() -> Response:
    """List runs."""
    query = Query()
    text = query.text("filter", None, limit=MAX_FILTER)
    sort = query.text("sort", "-created", limit=300)
    limit = query.count("limit", 100, low=1, high=MAX_PAGE)
    cursor = query.text("cursor", None, limit=2048)
    metrics = query.words("metrics", limit=50)
    among = query.choice("among", runs.AMONG, "all")
    offset = query.count("offset", 0, high=MAX_OFFSET)
    if offset and cursor:
        query.wrong("offset", "and cursor exclude each other")
    query.done()
    page = runs.list_runs(
        services().db,
        filter=text or None,
        sort=sort,
        limit=limit,
        cursor=cursor or None,
        metrics=metrics,
        among=among,
        offset=offset,
    )
    return answer({"runs": page.runs, "next": page.next, "total": page.total, "revision": page.revision})


@noun.route(
    "POST",
    "/runs",
    role="logger",
    summary="Make a run",
    body=Body(),
    answers={201: Answer("the Run", WholeRun)},
    adds=True,
)
def create() -> Response:
    """Make a run."""
    fields = Fields(json_body())
    given = {
        "name": fields.name("name", None),
        "project": fields.name("project", "default"),
        "config": fields.mapping("config", {}),
        "tags": fields.names("tags", [], limit=MAX_TAGS),
        "notes": fields.text("notes", ""),
        "group": fields.name("group", None),
    }
    _check_config(fields, given["config"])
    fields.done()
    services().shares.run(principal().token_id)
    quotas = services().quotas
    if quotas is not None:
        quotas.refresh()
        quotas.take(given["project"], runs=1)
    return answer(runs.create_run(services().db, **given), 201)


def _check_config(fields: Fields, config: object) -> None:
    if len(dumps(config)) > MAX_CONFIG_BYTES:
        fields.wrong("config", f"may have {MAX_CONFIG_BYTES} bytes as JSON")


def _id(run: str) -> str:
    from deepevent.wire import is_ulid

    if not is_ulid(run):
        raise not_found("the run")
    return run


@noun.route(
    "GET",
    "/runs/<run>",
    role="viewer",
    summary="Show a run",
    answers={200: Answer("the Run with all its parts", WholeRun)},
)
def show(run: str) -> Response:
    """Show a run."""
    return answer(runs.get_run(services().db, _id(run)))


@noun.route(
    "PATCH",
    "/runs/<run>",
    role="operator",
    summary="Change a run's name, tags, notes or group, archive it, put it into the trash",
    body=Body(),
    answers={200: Answer("the Run with all its parts", WholeRun)},
)
def update(run: str) -> Response:
    """Change a run."""
    fields = Fields(json_body())
    changes = _changes(fields)
    fields.done()
    if not changes:
        raise Problem(422, f"give at least one of {', '.join(runs.CHANGEABLE)}")
    db = services().db
    runs.update_runs(db, [(_id(run), changes)], principal().name)
    noted(f"{run}: {', '.join(changes)}")
    return answer(runs.get_run(db, run))


@noun.route(
    "PATCH",
    "/runs",
    role="operator",
    summary="Change many runs at once, all or none",
    body=Body(),
    answers={200: Answer("the runs", {"runs": list[Run]})},
)
def update_many() -> Response:
    """Change many runs."""
    body = Fields(json_body())
    given = body.sequence("changes", limit=MAX_CHANGES)
    body.done()
    changes = []
    for index, one in enumerate(given):
        if not isinstance(one, dict):
            body.wrong(f"changes[{index}]", "must be an object")
            continue
        fields = Fields(one, prefix=f"changes[{index}].")
        run = fields.ulid("id")
        changes.append((run, _changes(fields)))
        for name in one.keys() - {"id", *runs.CHANGEABLE}:
            fields.wrong(str(name)[:250], "is not a field of this request")
        body.errors += fields.errors
    body.done()
    db = services().db
    runs.update_runs(db, changes, principal().name)
    noted("; ".join(f"{run}: {', '.join(changed)}" for run, changed in changes))
    return answer({"runs": runs.get_runs(db, [run for run, _ in changes])})


def _changes(fields: Fields) -> dict[str, Any]:
    readers: dict[str, Callable[[], Any]] = {
        "name": lambda: fields.name("name"),
        "tags": lambda: fields.names("tags", limit=MAX_TAGS),
        "notes": lambda: fields.text("notes"),
        "group": lambda: fields.name("group", None),
        "archived": lambda: fields.flag("archived"),
        "trashed": lambda: fields.flag("trashed"),
    }
    return {name: read() for name, read in readers.items() if name in fields}


@noun.route(
    "DELETE", "/runs/<run>", role="operator", summary="Delete a run for good", answers={204: "it is gone"}
)
def delete(run: str) -> Response:
    """Delete a run."""
    deletion.delete_run(services().db, _id(run))
    return empty()


@noun.route(
    "POST",
    "/runs/<run>/stop",
    role="operator",
    summary="Ask a run's script to stop",
    answers={202: Answer("the script will see it as run.should_stop", {"stop_requested": bool})},
)
def stop(run: str) -> Response:
    """Ask a script to stop; the job that it belongs to is stopped, and not taken for completed."""
    runs.request_stop(services().db, _id(run))
    jobs.request_stop_of_run(services().db, _id(run), principal().name)
    return answer({"stop_requested": True}, 202)


@noun.route(
    "GET",
    "/runs/<run>/metrics",
    role="viewer",
    summary="A run's metrics",
    answers={200: Answer("its metrics", {"metrics": list[Metric]})},
)
def metrics(run: str) -> Response:
    """List a run's metrics."""
    return answer({"metrics": runs.list_metrics(services().db, _id(run))})


@noun.route(
    "GET",
    "/compare",
    role="viewer",
    summary="Runs side by side, with what differs in config, packages, git and command",
    query={"runs": "2 to 100 run ids, separated by commas"},
    answers={200: Answer("the runs", {"runs": list[Run], "differences": Differences})},
)
def side_by_side() -> Response:
    """Compare runs."""
    query = Query()
    wanted = query.words("runs", limit=MAX_COMPARED)
    if not wanted:
        query.wrong("runs", "is required")
    query.done()
    db = services().db
    ids = [_id(run) for run in dict.fromkeys(wanted or ())]
    found = runs.get_runs(db, ids)
    if len(found) < len(ids):
        missing = set(ids) - {run["id"] for run in found}
        raise not_found(f"the run {min(missing)}")
    return answer({"runs": found, "differences": compare.differences(found, runs.get_environments(db, ids))})
