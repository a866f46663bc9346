"""Sweeps as people see them: create, list, stop, extend, add a trial.

A sweep makes jobs of one recipe until it has `n_trials` of them, at most `concurrency` at work at once. Each
trial is an ordinary job of the queue; its row says which parameters were chosen, how far its metric has come,
and why it ended. What chooses and prunes goes on in rounds (`sweep_rounds`).

    running → completed   every trial has ended
       │   ├→ stopped     by a person; an extension lets it go on
       │   └→ failed      its trials fail one after another, or its recipe takes its parameters no more
    a trial: waiting ↔ running → completed | pruned | failed | stopped

Every change of a sweep raises its `version`. A round decides on what it read, and is committed only if the
version is still the same: of two servers that drive one sweep, one loses and looks again, and a stop that
comes in between is never overrun. Must not know HTTP, Optuna, or how a job is run.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from deepevent.errors import SweepConflict, SweepNotFound
from deepevent.recipes import Recipe, Resources
from deepevent.search_space import Space, grid_size, restore
from deepevent.store import jobs
from deepevent.store.audit import note
from deepevent.store.clock import server_time
from deepevent.store.connection import Database, next_revision, read_revision
from deepevent.store.schema import jobs as job_table
from deepevent.store.schema import sweep_trials, sweeps

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("asha", "median", "hyperband", "none")
DIRECTIONS = ("min", "max")
STATES = ("running", "completed", "stopped", "failed")
TRIAL_STATES = ("waiting", "running", "completed", "pruned", "failed", "stopped")
OPEN = ("waiting", "running")
MAX_TRIALS = 1_000
MAX_CONCURRENCY = 1_000


@dataclass(frozen=True)
class Plan:
    """What a person asks for; `parameters` and `space` were checked against the recipe."""

    recipe: Recipe
    parameters: Mapping[str, Any]
    space: Space
    metric: str
    direction: str
    name: str | None = None
    project: str = "default"
    sampler: str = "tpe"
    pruner: str = "none"
    warmup: int = 1
    seed: int | None = None
    n_trials: int = 20
    concurrency: int = 1
    max_retries: int = 1
    priority: int = 0


@dataclass(frozen=True)
class SweepPage:
    """A page of sweeps, the newest first, with the number to go on from."""

    sweeps: list[dict[str, Any]]
    next: int | None
    revision: int


def create(db: Database, plan: Plan, created_by: str = "") -> dict[str, Any]:
    """Begin a sweep; its first jobs are queued by the next round. A grid has no more trials than points."""
    size = grid_size(plan.space) if plan.sampler == "grid" else None
    with db.write() as connection:
        inserted = connection.execute(
            sa.insert(sweeps)
            .values(
                name=plan.name or plan.recipe.name,
                project=plan.project,
                recipe=plan.recipe.name,
                parameters=json.dumps(dict(plan.parameters)),
                space=json.dumps({name: dimension.describe() for name, dimension in plan.space.items()}),
                metric=plan.metric,
                direction=plan.direction,
                sampler=plan.sampler,
                pruner=plan.pruner,
                warmup=plan.warmup,
                seed=secrets.randbelow(2**31) if plan.seed is None else plan.seed,
                n_trials=plan.n_trials if size is None else min(plan.n_trials, size),
                concurrency=plan.concurrency,
                max_retries=plan.max_retries,
                priority=plan.priority,
                resources=json.dumps(asdict(plan.recipe.resources)),
                state="running",
                reason="",
                version=1,
                created=server_time(),
                created_by=created_by,
                revision=next_revision(connection),
            )
            .returning(sweeps.c.id)
        )
        sweep_id = int(inserted.scalar_one())
        note(connection, None, created_by, "sweep", f"sweep {sweep_id} of {plan.recipe.name}")
        return _read(connection, sweep_id)


def get_sweep(db: Database, sweep_id: int) -> dict[str, Any]:
    """Give one sweep with its trials.

    Raises:
        SweepNotFound: there is none.
    """
    with db.read() as connection:
        sweep = _read(connection, sweep_id)
        rows = connection.execute(_trials().where(sweep_trials.c.sweep_id == sweep_id)).mappings()
        return {**sweep, "trials": [_describe_trial(row) for row in rows]}


def get_sweeps(db: Database, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Give those of these sweeps that there are, without their trials, the newest first."""
    with db.read() as connection:
        rows = connection.execute(sa.select(sweeps).where(sweeps.c.id.in_(ids)).order_by(sweeps.c.id.desc()))
        return _describe_all(connection, rows.mappings().all())


def list_sweeps(db: Database, *, limit: int = 100, before: int | None = None) -> SweepPage:
    """List sweeps without their trials, the newest first."""
    query = sa.select(sweeps).order_by(sweeps.c.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(sweeps.c.id < before)
    with db.read() as connection:
        rows = connection.execute(query).mappings().all()
        found = _describe_all(connection, rows[:limit])
        return SweepPage(found, found[-1]["id"] if len(rows) > limit else None, read_revision(connection))


def stop(db: Database, sweep_id: int, actor: str) -> dict[str, Any]:
    """Begin no more trials and stop those that are at work. Of a sweep that has ended, nothing changes."""
    with db.write() as connection:
        if lock(connection, sweep_id)["state"] == "running":
            end(connection, sweep_id, "stopped", "", actor)
        return _read(connection, sweep_id)


def change_plan(
    db: Database,
    sweep_id: int,
    actor: str,
    *,
    n_trials: int | None = None,
    concurrency: int | None = None,
) -> dict[str, Any]:
    """Set how many trials there shall be, and how many at once; more than there are lets an ended one go on.

    Raises:
        SweepConflict: fewer trials than there are already, or more than a grid has points.
    """
    with db.write() as connection:
        row = lock(connection, sweep_id)
        values: dict[str, Any] = {}
        if concurrency is not None:
            values["concurrency"] = concurrency
        if n_trials is not None:
            _check_trials(connection, row, n_trials)
            values["n_trials"] = n_trials
            if n_trials > _count(connection, sweep_id):
                values |= {"state": "running", "reason": "", "finished": None}
        update(connection, sweep_id, **values)
        note(connection, None, actor, "sweep changed", f"sweep {sweep_id}: {n_trials} trials")
        return _read(connection, sweep_id)


def add_trial(db: Database, sweep_id: int, parameters: Mapping[str, Any], actor: str) -> dict[str, Any]:
    """Queue one more trial with these parameters (all that are searched, checked); give it.

    It comes on top of `n_trials` and of `concurrency`. A sweep that was stopped stays so.

    Raises:
        SweepConflict: the sweep has as many trials as it may.
    """
    with db.write() as connection:
        row = lock(connection, sweep_id)
        number = _count(connection, sweep_id)
        if number >= MAX_TRIALS:
            raise SweepConflict(f"sweep {sweep_id} has {number} trials, and none may have more")
        insert_trial(connection, row, number, parameters, {}, "person", actor)
        again = {"state": "running", "finished": None} if row["state"] == "completed" else {}
        update(connection, sweep_id, n_trials=row["n_trials"] + 1, **again)
        trial = connection.execute(
            _trials().where(sweep_trials.c.sweep_id == sweep_id, sweep_trials.c.number == number)
        )
        return _describe_trial(trial.mappings().one())


def lock(connection: sa.Connection, sweep_id: int) -> Mapping[Any, Any]:
    """Read a sweep's row within a transaction; writers are serialised, so it stays as it is till the end.

    Raises:
        SweepNotFound: there is none.
    """
    row = connection.execute(sa.select(sweeps).where(sweeps.c.id == sweep_id)).mappings().first()
    if row is None:
        raise SweepNotFound(f"no sweep {sweep_id}")
    return row


def update(connection: sa.Connection, sweep_id: int, **values: Any) -> None:
    """Change a sweep's row within a write transaction, with its version and revision."""
    connection.execute(
        sa.update(sweeps)
        .where(sweeps.c.id == sweep_id)
        .values(version=sweeps.c.version + 1, revision=next_revision(connection), **values)
    )


def end(connection: sa.Connection, sweep_id: int, state: str, reason: str, actor: str) -> None:
    """End a sweep within a write transaction, and stop the trials that are at work."""
    at_work = sa.select(sweep_trials.c.job_id).where(
        sweep_trials.c.sweep_id == sweep_id, sweep_trials.c.state.in_(OPEN)
    )
    for job_id in connection.execute(at_work).scalars().all():
        jobs.stop(connection, job_id, actor, f"sweep {sweep_id} was stopped")
    update(connection, sweep_id, state=state, reason=reason, finished=server_time())
    note(connection, None, actor, f"sweep {state}", f"sweep {sweep_id} {reason}".strip())


def insert_trial(
    connection: sa.Connection,
    sweep: Mapping[Any, Any],
    number: int,
    parameters: Mapping[str, Any],
    attributes: Mapping[str, Any],
    source: str,
    actor: str,
) -> int:
    """Make a trial and its job within a write transaction; give the job's number."""
    job_id = jobs.add(
        connection,
        name=f"{sweep['name']} {number}"[-250:],
        project=sweep["project"],
        group=group_of(sweep["id"]),
        recipe=sweep["recipe"],
        parameters=json.dumps({**parameters, **json.loads(sweep["parameters"])}),
        priority=sweep["priority"],
        max_retries=sweep["max_retries"],
        resources=Resources(**json.loads(sweep["resources"])),
        created_by=actor,
    )
    connection.execute(
        sa.insert(sweep_trials).values(
            sweep_id=sweep["id"],
            number=number,
            job_id=job_id,
            parameters=json.dumps(dict(parameters)),
            source=source,
            state="waiting",
            value=None,
            n_points=0,
            reports="{}",
            n_judged=0,
            attributes=json.dumps(dict(attributes)),
        )
    )
    return job_id


def group_of(sweep_id: int) -> str:
    """Name the group in which a sweep's runs are."""
    return f"sweep-{sweep_id}"


def _check_trials(connection: sa.Connection, row: Mapping[Any, Any], n_trials: int) -> None:
    n_made = _count(connection, row["id"])
    if n_trials < n_made:
        raise SweepConflict(f"sweep {row['id']} has {n_made} trials already: n_trials cannot be {n_trials}")
    if row["sampler"] != "grid":
        return
    of_people = connection.execute(
        sa.select(sa.func.count()).where(
            sweep_trials.c.sweep_id == row["id"], sweep_trials.c.source == "person"
        )
    ).scalar_one()
    size = grid_size(restore(json.loads(row["space"])))
    if size is not None and n_trials - of_people > size:
        raise SweepConflict(f"the grid of sweep {row['id']} has {size} points: there is nothing more to try")


def _count(connection: sa.Connection, sweep_id: int) -> int:
    query = sa.select(sa.func.count()).where(sweep_trials.c.sweep_id == sweep_id)
    return int(connection.execute(query).scalar_one())


def _read(connection: sa.Connection, sweep_id: int) -> dict[str, Any]:
    return _describe_all(connection, [lock(connection, sweep_id)])[0]


def _trials() -> sa.Select[Any]:
    return (
        sa.select(
            sweep_trials,
            *(
                job_table.c[name].label(f"job_{name}")
                for name in ("state", "reason", "run_id", "attempt", "started", "created", "stop_requested")
            ),
        )
        .join(job_table, job_table.c.id == sweep_trials.c.job_id)
        .order_by(sweep_trials.c.number)
    )


def _describe_trial(row: Mapping[Any, Any]) -> dict[str, Any]:
    reports = json.loads(row["reports"])
    return {
        "number": row["number"],
        "job": row["job_id"],
        "run": row["job_run_id"] if row["job_attempt"] else None,
        "state": row["state"],
        "stopping": bool(row["job_stop_requested"]) and row["state"] in OPEN,
        "reason": _reason(row),
        "source": row["source"],
        "parameters": json.loads(row["parameters"]),
        "value": _none_if_nan(row["value"]),
        "n_values": max(map(int, reports), default=0),
        "pruned_at": row["pruned_at"],
        "created": row["job_created"],
        "started": row["job_started"],
        "finished": row["finished"],
    }


def _reason(row: Mapping[Any, Any]) -> str:
    if row["state"] == "failed" and row["job_state"] == "completed":
        return "it completed without a value of the metric"
    return "" if row["state"] == "pruned" else str(row["job_reason"])


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value


def _describe_all(connection: sa.Connection, rows: Sequence[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    ids = [row["id"] for row in rows]
    counts: dict[int, dict[str, int]] = {sweep_id: dict.fromkeys(TRIAL_STATES, 0) for sweep_id in ids}
    query = (
        sa.select(sweep_trials.c.sweep_id, sweep_trials.c.state, sa.func.count())
        .where(sweep_trials.c.sweep_id.in_(ids))
        .group_by(sweep_trials.c.sweep_id, sweep_trials.c.state)
    )
    for sweep_id, state, n in connection.execute(query):
        counts[sweep_id][state] = n
    return [_describe(connection, row, counts[row["id"]]) for row in rows]


def _describe(connection: sa.Connection, row: Mapping[Any, Any], counts: dict[str, int]) -> dict[str, Any]:
    mine = _trials().where(sweep_trials.c.sweep_id == row["id"])
    value = sweep_trials.c.value
    better = value.desc() if row["direction"] == "max" else value.asc()
    ranked = (
        mine.where(sweep_trials.c.state == "completed", value.is_not(None))
        .order_by(None)
        .order_by(better, sweep_trials.c.number)
    )
    best = connection.execute(ranked.limit(1)).mappings().first()
    plain = (
        *("id", "name", "project", "recipe", "metric", "direction", "sampler", "pruner", "warmup", "seed"),
        *("n_trials", "concurrency", "max_retries", "priority", "state", "reason"),
        *("created", "created_by", "finished"),
    )
    return {
        **{key: row[key] for key in plain},
        "group": group_of(row["id"]),
        "parameters": json.loads(row["parameters"]),
        "space": json.loads(row["space"]),
        "counts": counts,
        "best": None if best is None else _describe_trial(best),
    }
