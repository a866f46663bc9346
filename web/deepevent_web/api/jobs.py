"""`/jobs`, `/queue` and `/recipes`: what people and agents say about jobs.

A job's parameters are checked against its recipe before it is queued, and again by the agent, whose own
definition counts. Regular expressions of recipes are not run here: they come from agents, and one could take
for ever.
"""

from __future__ import annotations

from typing import Any

from flask import Response

from deepevent.errors import ParametersInvalid
from deepevent.recipes import Recipe, Resources, check_parameters
from deepevent.store import agents, audit, jobs, leases
from deepevent_web.answers import Job, Offer, WholeJob
from deepevent_web.api.agents import speaks_for
from deepevent_web.fields import Fields, Query, json_body
from deepevent_web.limits import LIMITS
from deepevent_web.problems import Problem, not_found
from deepevent_web.routes import Answer, Body, Noun
from deepevent_web.serialise import answer
from deepevent_web.services import principal, services

noun = Noun("jobs")
MAX_PAGE = LIMITS.page_rows
MAX_PRIORITY = 1_000
MAX_RETRIES = 100
MAX_ARGUMENTS = 1_000
MAX_JOB_ID = 2**53
MAX_JOB_DIGITS = 15
HISTORY = 50
BODY = Body(limit_bytes=256 * 1024)
SMALL = Body(limit_bytes=16 * 1024)
EMPTY = Body(limit_bytes=1024, optional=True)


@noun.route(
    "GET",
    "/jobs",
    role="viewer",
    summary="List jobs, the newest first",
    query={
        "state": "states, separated by commas",
        "run": "only the job of this run",
        "limit": "1 to 200",
        "before": "`next` of the page before",
    },
    answers={200: Answer("a page", {"jobs": list[Job], "next": int | None, "paused": bool, "revision": int})},
)
def index() -> Response:
    """List jobs."""
    query = Query()
    states = query.words("state", limit=len(jobs.STATES)) or []
    for state in states:
        if state not in jobs.STATES:
            query.wrong("state", f"must be of {', '.join(jobs.STATES)}")
    limit = query.count("limit", 100, low=1, high=MAX_PAGE)
    before = query.count("before", 0)
    run = query.text("run", None, limit=64)
    query.done()
    page = jobs.list_jobs(services().db, states=states, limit=limit, before=before or None, run=run)
    return answer({"jobs": page.jobs, "next": page.next, "paused": page.paused, "revision": page.revision})


@noun.route(
    "POST",
    "/jobs",
    role="operator",
    summary="Queue a job: of a recipe, or a free command",
    body=BODY,
    answers={201: Answer("the Job", Job), 422: "no such recipe, or parameters that do not fit it"},
    adds=True,
)
def create() -> Response:
    """Queue a job."""
    fields = Fields(json_body())
    recipe_name = fields.name("recipe", None)
    command = fields.sequence("command", None, limit=MAX_ARGUMENTS)
    parameters = fields.mapping("parameters", {})
    given: dict[str, Any] = {
        "folder": fields.text("folder", None, limit=4096),
        "name": fields.name("name", None),
        "project": fields.name("project", "default"),
        "group": fields.name("group", None),
        "priority": fields.integer("priority", 0, low=-MAX_PRIORITY, high=MAX_PRIORITY),
        "max_retries": fields.integer("max_retries", 0, high=MAX_RETRIES),
        "after": fields.sequence("after", [], limit=jobs.MAX_DEPENDENCIES),
    }
    if not all(type(number) is int and 0 < number < MAX_JOB_ID for number in given["after"] or []):
        fields.wrong("after", "must be numbers of jobs")
    if (recipe_name is None) == (command is None):
        fields.wrong("recipe", "or command must be given, and not both")
    if command is not None and not _is_command(command):
        fields.wrong("command", "must be a list of texts without NUL, the program first")
    fields.done()
    db = services().db
    if recipe_name is not None:
        recipe = find_recipe(recipe_name)
        given |= {
            "recipe": recipe_name,
            "parameters": _check(recipe, parameters),
            "resources": recipe.resources,
        }
    else:
        given |= {"command": command, "resources": Resources()}
    return answer(jobs.enqueue(db, **given, created_by=principal().name), 201)


def _is_command(command: list[Any]) -> bool:
    return bool(command) and bool(command[0]) and all(isinstance(w, str) and "\0" not in w for w in command)


def find_recipe(name: str) -> Recipe:
    """Give a recipe on offer.

    Raises:
        Problem: 422, no agent has ever offered it.
    """
    recipe = agents.find_recipe(services().db, name)
    if recipe is None:
        offered = ", ".join(offer["name"] for offer in agents.list_recipes(services().db)) or "none"
        detail = f"{name!r} is offered by no agent (on offer: {offered})"
        raise Problem(422, f"recipe {detail}", errors=[{"field": "recipe", "detail": detail}])
    return recipe


def _check(recipe: Recipe, parameters: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(check_parameters(recipe, parameters, patterns=False))
    except ParametersInvalid as error:
        wrong = [{"field": f"parameters.{name}", "detail": text} for name, text in error.problems.items()]
        raise Problem(422, str(error), errors=wrong) from None


@noun.route(
    "GET",
    "/jobs/<job>",
    role="viewer",
    summary="Show a job with its attempts and what was done to it",
    answers={200: Answer("the Job with its attempts and history", WholeJob)},
)
def show(job: str) -> Response:
    """Show a job."""
    db = services().db
    return answer(
        {**jobs.get_job(db, _number(job)), "history": audit.list_entries(db, _number(job), HISTORY)}
    )


@noun.route(
    "PATCH",
    "/jobs/<job>",
    role="operator",
    summary="Change a job's priority",
    body=SMALL,
    answers={200: Answer("the Job", Job)},
)
def update(job: str) -> Response:
    """Change a job's priority."""
    fields = Fields(json_body())
    priority = fields.integer("priority", low=-MAX_PRIORITY, high=MAX_PRIORITY)
    fields.done()
    return answer(jobs.set_priority(services().db, _number(job), priority, principal().name))


@noun.route(
    "POST",
    "/jobs/<job>/stop",
    role="operator",
    summary="Stop a job: at once while it waits, else by its agent",
    body=EMPTY,
    answers={202: Answer("the Job", Job)},
)
def stop(job: str) -> Response:
    """Stop a job."""
    return answer(jobs.request_stop(services().db, _number(job), principal().name), 202)


@noun.route(
    "POST",
    "/jobs/<job>/requeue",
    role="operator",
    summary="Queue an ended job again, in the same run",
    body=EMPTY,
    answers={202: Answer("the Job", Job), 409: "it has not ended"},
)
def requeue(job: str) -> Response:
    """Queue a job again."""
    return answer(jobs.requeue(services().db, _number(job), principal().name), 202)


@noun.route(
    "PUT",
    "/queue",
    role="operator",
    summary="Pause the queue, or let it go on",
    body=SMALL,
    answers={200: Answer("as it is now", {"paused": bool})},
)
def pause() -> Response:
    """Pause the queue."""
    fields = Fields(json_body())
    paused = fields.flag("paused")
    fields.done()
    jobs.set_paused(services().db, paused, principal().name)
    return answer({"paused": paused})


@noun.route(
    "GET",
    "/recipes",
    role="viewer",
    summary="Recipes on offer",
    answers={200: Answer("the recipes", {"recipes": list[Offer]})},
)
def recipes() -> Response:
    """List recipes."""
    return answer({"recipes": agents.list_recipes(services().db)})


@noun.route(
    "POST",
    "/jobs/<job>/start",
    role="agent",
    summary="An agent says that the job's process runs",
    body=SMALL,
    answers={
        200: Answer("whether to stop", {"stop": bool}),
        409: "the lease is lost: end the job, report nothing",
    },
)
def start(job: str) -> Response:
    """Note a start."""
    fields = Fields(json_body())
    agent, fence = _holder(fields)
    fields.done()
    speaks_for(agent)
    here = services()
    return answer({"stop": leases.start(here.db, _number(job), fence, here.terms, agent_id=agent)})


@noun.route(
    "POST",
    "/jobs/<job>/heartbeat",
    role="agent",
    summary="An agent prolongs its lease, and hears whether to stop the job",
    body=SMALL,
    answers={
        200: Answer("whether to stop", {"stop": bool}),
        409: "the lease is lost: end the job, report nothing",
    },
)
def heartbeat(job: str) -> Response:
    """Prolong a lease."""
    fields = Fields(json_body())
    agent, fence = _holder(fields)
    fields.done()
    speaks_for(agent)
    here = services()
    return answer({"stop": leases.heartbeat(here.db, _number(job), fence, here.terms, agent_id=agent)})


@noun.route(
    "POST",
    "/jobs/<job>/finish",
    role="agent",
    summary="An agent says how an attempt ended; the same news twice is one",
    body=SMALL,
    answers={200: Answer("the Job", Job), 409: "the job was given to another attempt"},
)
def finish(job: str) -> Response:
    """Note an end."""
    fields = Fields(json_body())
    agent, fence = _holder(fields)
    state = fields.choice("state", ("completed", "failed", "stopped", "lost"))
    exit_code = fields.integer("exit_code", None, low=-255, high=2**31)
    reason = fields.text("reason", "", limit=2_000)
    fields.done()
    speaks_for(agent)
    here = services()
    return answer(
        leases.finish(
            here.db,
            _number(job),
            fence,
            state,
            exit_code=exit_code,
            reason=reason or "",
            terms=here.terms,
            agent_id=agent,
        )
    )


def _holder(fields: Fields) -> tuple[str, int]:
    return fields.ulid("agent"), fields.integer("fence", low=1)


def _number(job: str) -> int:
    if job.isascii() and job.isdigit() and len(job) <= MAX_JOB_DIGITS:
        return int(job)
    raise not_found("the job")
