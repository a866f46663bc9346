"""Agents: who takes jobs, what they can hold, and which recipes they offer.

An agent gets a new id each time it starts. The token with which it registered is the only one that may speak
for it. Recipes of agents that have left stay known, so that a job can be queued for a machine that is off.
Must not know HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from deepevent.errors import AgentNotFound
from deepevent.ids import new_id
from deepevent.recipes import Recipe, describe, parse_recipe
from deepevent.store.audit import note
from deepevent.store.clock import server_time
from deepevent.store.connection import Database, next_revision
from deepevent.store.schema import agent_recipes, agents

ALIVE_S = 30.0
"""An agent that was heard of within this time counts as alive."""
FORGET_S = 30 * 86_400.0
SEEN_STEP_S = 5.0


def register(
    db: Database,
    *,
    name: str,
    slots: int,
    host: str | None = None,
    cpus: int = 1,
    gpus: int = 0,
    memory_mb: int = 0,
    allow_commands: bool = False,
    recipes: Sequence[Recipe] = (),
    token_id: int | None = None,
) -> dict[str, Any]:
    """Take an agent in; give its row with the new id."""
    now = server_time()
    agent_id = new_id()
    with db.write() as connection:
        _forget_old(connection, now)
        connection.execute(
            sa.insert(agents).values(
                id=agent_id,
                name=name,
                host=host,
                slots=slots,
                cpus=cpus,
                gpus=gpus,
                memory_mb=memory_mb,
                allow_commands=allow_commands,
                draining=False,
                token_id=token_id,
                registered=now,
                last_seen=now,
                left=None,
                revision=next_revision(connection),
            )
        )
        rows = [
            {"agent_id": agent_id, "name": recipe.name, "definition": json.dumps(describe(recipe))}
            for recipe in recipes
        ]
        if rows:
            connection.execute(sa.insert(agent_recipes), rows)
        note(connection, None, name, "agent registered", agent_id)
        return read_agent(connection, agent_id, now)


def list_agents(db: Database) -> list[dict[str, Any]]:
    """List all agents that are known, the newest first."""
    now = server_time()
    with db.read() as connection:
        rows = connection.execute(sa.select(agents).order_by(agents.c.registered.desc())).mappings().all()
        offered: dict[str, list[str]] = {}
        for agent_id, name in connection.execute(sa.select(agent_recipes.c.agent_id, agent_recipes.c.name)):
            offered.setdefault(agent_id, []).append(name)
    return [_describe(row, sorted(offered.get(row["id"], [])), now) for row in rows]


def owner(db: Database, agent_id: str) -> int | None:
    """Give the id of the token that registered this agent (None: none was asked for).

    Raises:
        AgentNotFound: it must register again.
    """
    with db.read() as connection:
        row = connection.execute(sa.select(agents.c.token_id).where(agents.c.id == agent_id)).first()
    if row is None:
        raise AgentNotFound(f"no agent {agent_id!r}: register again")
    return None if row[0] is None else int(row[0])


def set_draining(db: Database, agent_id: str, draining: bool, actor: str) -> dict[str, Any]:
    """Let an agent take no new jobs (or take them again); what it runs goes on."""
    with db.write() as connection:
        _update(connection, agent_id, draining=draining)
        note(connection, None, actor, "drain" if draining else "undrain", agent_id)
        return read_agent(connection, agent_id, server_time())


def leave(db: Database, agent_id: str) -> None:
    """Note that an agent has ended in an orderly way."""
    with db.write() as connection:
        _update(connection, agent_id, left=server_time())


def touch(db: Database, agent_id: str) -> None:
    """Note a sign of life, at most every few seconds: it is no reason for a commit each time."""
    now = server_time()
    known = sa.select(agents.c.last_seen).where(agents.c.id == agent_id, agents.c.left.is_(None))
    with db.read() as connection:
        seen = connection.execute(known).scalar()
    if seen is None:
        raise AgentNotFound(f"no agent {agent_id!r}, or it has left: register again")
    if now - float(seen) >= SEEN_STEP_S:
        with db.write() as connection:
            _update(connection, agent_id, last_seen=now)


def read_agent(connection: sa.Connection, agent_id: str, now: float) -> dict[str, Any]:
    """Give one agent within a transaction."""
    row = connection.execute(sa.select(agents).where(agents.c.id == agent_id)).mappings().first()
    if row is None:
        raise AgentNotFound(f"no agent {agent_id!r}: register again")
    names = connection.execute(
        sa.select(agent_recipes.c.name)
        .where(agent_recipes.c.agent_id == agent_id)
        .order_by(agent_recipes.c.name)
    ).scalars()
    return _describe(row, list(names), now)


def list_recipes(db: Database) -> list[dict[str, Any]]:
    """List the recipes on offer, by name: `{name, recipe, agents, alive}`.

    Where agents differ over a recipe, the one that registered last is shown: the agent that runs a job goes
    by its own definition in any case.
    """
    now = server_time()
    query = (
        sa.select(
            agent_recipes.c.name, agent_recipes.c.definition, agents.c.name.label("agent"), agents.c.left
        )
        .add_columns(agents.c.last_seen)
        .join(agents, agents.c.id == agent_recipes.c.agent_id)
        .order_by(agent_recipes.c.name, agents.c.registered)
    )
    offers: dict[str, dict[str, Any]] = {}
    with db.read() as connection:
        for name, definition, agent, left, seen in connection.execute(query):
            offer = offers.setdefault(name, {"name": name, "agents": [], "alive": False})
            offer["recipe"] = json.loads(definition)
            alive = left is None and now - seen <= ALIVE_S
            offer["alive"] = offer["alive"] or alive
            if alive and agent not in offer["agents"]:
                offer["agents"].append(agent)
    return list(offers.values())


def find_recipe(db: Database, name: str) -> Recipe | None:
    """Give a recipe that some agent offers."""
    for offer in list_recipes(db):
        if offer["name"] == name:
            return parse_recipe(name, offer["recipe"])
    return None


def _forget_old(connection: sa.Connection, now: float) -> None:
    connection.execute(sa.delete(agents).where(agents.c.last_seen < now - FORGET_S))


def _update(connection: sa.Connection, agent_id: str, **values: Any) -> None:
    done = connection.execute(
        sa.update(agents).where(agents.c.id == agent_id).values(revision=next_revision(connection), **values)
    )
    if done.rowcount == 0:
        raise AgentNotFound(f"no agent {agent_id!r}: register again")


def _describe(row: Mapping[Any, Any], recipes: list[str], now: float) -> dict[str, Any]:
    keys = ("id", "name", "host", "slots", "cpus", "gpus", "memory_mb", "allow_commands", "draining")
    times = ("registered", "last_seen", "left")
    alive = row["left"] is None and now - row["last_seen"] <= ALIVE_S
    return {**{key: row[key] for key in (*keys, *times)}, "alive": alive, "recipes": recipes}
