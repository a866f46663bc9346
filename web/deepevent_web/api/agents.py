"""`/agents`: who takes jobs, and how an agent comes, asks for work and leaves.

An agent's token may do what stands here and in the agents' part of `/jobs`, and nothing else; and it speaks
only for the agents that were registered with it. What a job's own script needs, a token that may log, comes
with the claim.
"""

from __future__ import annotations

import time
from threading import BoundedSemaphore

from flask import Response

from deepevent.errors import AgentNotFound, RecipeInvalid
from deepevent.recipes import Recipe, parse_recipe
from deepevent.store import access, agents, leases
from deepevent.store.leases import Free
from deepevent_web.answers import Agent, Job
from deepevent_web.fields import Fields, json_body
from deepevent_web.problems import Problem
from deepevent_web.routes import Answer, Body, Noun
from deepevent_web.serialise import answer, empty
from deepevent_web.services import principal, services

noun = Noun("agents")
MAX_RECIPES = 200
MAX_WAIT_S = 20.0
MAX_WAITING = 32
"""Beyond so many agents that wait for work at once, the next get their answer straight away."""
LOOK_EVERY_S = 0.2
JOB_TOKEN_S = 14 * 86_400.0

_seats = BoundedSemaphore(MAX_WAITING)


def speaks_for(agent: str) -> None:
    """Check that the caller may speak for this agent.

    Raises:
        Problem: 403, it was registered with another token.
        AgentNotFound: it must register again.
    """
    who = principal()
    if agents.owner(services().db, agent) != who.token_id and who.role != "operator":
        raise Problem(403, "this agent was registered with another token")


@noun.route(
    "GET",
    "/agents",
    role="viewer",
    summary="List agents",
    answers={200: Answer("the agents", {"agents": list[Agent]})},
)
def index() -> Response:
    """List agents."""
    return answer({"agents": agents.list_agents(services().db)})


@noun.route(
    "POST",
    "/agents",
    role="agent",
    summary="An agent registers, with what it can hold and the recipes it offers",
    body=Body(limit_bytes=4 * 1024 * 1024),
    answers={201: Answer("the Agent with its id", {"agent": Agent, "lease_s": float})},
)
def register() -> Response:
    """Take an agent in."""
    fields = Fields(json_body())
    given = {
        "name": fields.name("name"),
        "host": fields.name("host", None),
        "slots": fields.integer("slots", 1, low=1, high=1_000),
        "cpus": fields.integer("cpus", 1, low=0, high=100_000),
        "gpus": fields.integer("gpus", 0, high=10_000),
        "memory_mb": fields.integer("memory_mb", 0, high=2**40),
        "allow_commands": fields.flag("allow_commands", False),
    }
    tables = fields.mapping("recipes", {})
    previous = fields.ulid("previous", None)
    recipes = _read_recipes(fields, tables)
    fields.done()
    here = services()
    if previous is not None:
        _release(previous, "its agent has started anew")
    agent = agents.register(here.db, **given, recipes=recipes, token_id=principal().token_id)
    return answer({"agent": agent, "lease_s": here.terms.lease_s}, 201)


def _read_recipes(fields: Fields, tables: dict[str, object]) -> list[Recipe]:
    if not isinstance(tables, dict) or len(tables) > MAX_RECIPES:
        fields.wrong("recipes", f"must be an object of at most {MAX_RECIPES} recipes")
        return []
    found = []
    for name, table in tables.items():
        try:
            found.append(parse_recipe(name, table))
        except RecipeInvalid as error:
            fields.wrong("recipes", str(error))
    return found


def _release(agent: str, reason: str) -> None:
    try:
        speaks_for(agent)
    except AgentNotFound:
        return
    leases.release_agent(services().db, agent, reason, services().terms)
    agents.leave(services().db, agent)


@noun.route(
    "PATCH",
    "/agents/<agent>",
    role="operator",
    summary="Let an agent take no new jobs, or take them again",
    body=Body(limit_bytes=1024),
    answers={200: Answer("the Agent", Agent)},
)
def drain(agent: str) -> Response:
    """Drain an agent."""
    fields = Fields(json_body())
    draining = fields.flag("draining")
    fields.done()
    return answer(agents.set_draining(services().db, agent, draining, principal().name))


@noun.route(
    "POST",
    "/agents/<agent>/claim",
    role="agent",
    summary="An agent asks for a job, and waits for one up to `wait_s`",
    body=Body(limit_bytes=4096),
    answers={
        200: Answer("a job", {"job": Job, "fence": int, "lease_s": float, "token": str}),
        204: "there is none now",
        404: "register again",
    },
)
def claim(agent: str) -> Response:
    """Give a job."""
    fields = Fields(json_body())
    free = Free(
        cpus=fields.integer("cpus", 1, high=100_000),
        gpus=fields.integer("gpus", 0, high=10_000),
        memory_mb=fields.integer("memory_mb", 0, high=2**40),
    )
    wait_s = fields.number("wait_s", 0.0, low=0.0, high=MAX_WAIT_S)
    fields.done()
    speaks_for(agent)
    here = services()
    found = leases.claim(here.db, agent, free, here.terms)
    if found is None and wait_s and _seats.acquire(blocking=False):
        try:
            found = _wait(agent, free, time.monotonic() + wait_s)
        finally:
            _seats.release()
    if found is None:
        return empty()
    token = access.create_token(here.db, f"job {found.job['id']}", "logger", expires_s=JOB_TOKEN_S)
    return answer({"job": found.job, "fence": found.fence, "lease_s": here.terms.lease_s, "token": token})


def _wait(agent: str, free: Free, deadline: float) -> leases.Claim | None:
    here = services()
    while (left_s := deadline - time.monotonic()) > 0:
        # Points come in many times a second: a look at the queue is not made for each of their commits.
        if here.stopping.wait(min(LOOK_EVERY_S, left_s)):
            return None
        here.db.commits.wait(here.db.revision(), min(1.0, max(0.0, deadline - time.monotonic())))
        found = leases.claim(here.db, agent, free, here.terms)
        if found is not None:
            return found
    return None


@noun.route(
    "DELETE",
    "/agents/<agent>",
    role="agent",
    summary="An agent leaves; what it still held goes back to the queue or is lost",
    answers={204: "it is gone"},
)
def leave(agent: str) -> Response:
    """Let an agent go."""
    speaks_for(agent)
    _release(agent, "its agent left")
    return empty()
