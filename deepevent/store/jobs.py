"""The queue as people see it: enqueue, list, stop, requeue, pause.

What agents do with a job, and the rules of its states, are in `leases`. Must not know HTTP, nor how a job is
run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from deepevent.errors import JobConflict, JobNotFound
from deepevent.ids import new_id
from deepevent.recipes import Resources
from deepevent.store.audit import note
from deepevent.store.clock import server_time
from deepevent.store.connection import Database, next_revision, read_revision
from deepevent.store.schema import agents, job_attempts, job_dependencies, jobs, queue, runs, sweep_trials

STATES = ("queued", "claimed", "running", "completed", "failed", "stopped", "lost")
ENDED = ("completed", "failed", "stopped", "lost")
HELD = ("claimed", "running")
MAX_DEPENDENCIES = 100
NO_RESOURCES = Resources()


@dataclass(frozen=True)
class JobPage:
    """A page of jobs, the newest first, with the number to go on from."""

    jobs: list[dict[str, Any]]
    next: int | None
    paused: bool
    revision: int


def enqueue(
    db: Database,
    *,
    recipe: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    command: Sequence[str] | None = None,
    folder: str | None = None,
    name: str | None = None,
    project: str = "default",
    priority: int = 0,
    max_retries: int = 0,
    after: Sequence[int] = (),
    group: str | None = None,
    resources: Resources = NO_RESOURCES,
    created_by: str = "",
) -> dict[str, Any]:
    """Queue a job: of a recipe, with parameters that were checked, or a free command.

    It begins once all jobs of `after` have completed, and is queued again by itself up to `max_retries` times
    after a failure or a lost agent. Its run gets the name, the project and the group.

    Raises:
        JobNotFound: one of `after` is no job.
    """
    label = name or recipe or " ".join(command or ())[:80] or "job"
    with db.write() as connection:
        wanted = sorted(set(after))
        found = set(connection.execute(sa.select(jobs.c.id).where(jobs.c.id.in_(wanted))).scalars())
        if missing := [job_id for job_id in wanted if job_id not in found]:
            raise JobNotFound(f"no job {missing[0]} to come after")
        job_id = add(
            connection,
            name=label,
            project=project,
            group=group,
            recipe=recipe,
            command=None if command is None else json.dumps(list(command)),
            folder=folder,
            parameters=json.dumps(dict(parameters or {})),
            priority=priority,
            max_retries=max_retries,
            resources=resources,
            created_by=created_by,
        )
        if wanted:
            rows = [{"job_id": job_id, "after_id": after_id} for after_id in wanted]
            connection.execute(sa.insert(job_dependencies), rows)
        return read_job(connection, job_id)


def add(
    connection: sa.Connection, *, max_retries: int, resources: Resources, created_by: str, **values: Any
) -> int:
    """Put a job into the queue within a write transaction; give its number."""
    inserted = connection.execute(
        sa.insert(jobs)
        .values(
            **values,
            state="queued",
            reason="",
            max_retries=max_retries,
            retries_left=max_retries,
            attempt=0,
            fence=0,
            not_before=0.0,
            run_id=new_id(),
            stop_requested=False,
            cpus=resources.cpus,
            gpus=resources.gpus,
            memory_mb=resources.memory_mb,
            time_limit_s=resources.time_limit_s,
            created=server_time(),
            created_by=created_by,
            revision=next_revision(connection),
        )
        .returning(jobs.c.id)
    )
    job_id = int(inserted.scalar_one())
    note(connection, job_id, created_by, "submit", values["name"])
    return job_id


def get_job(db: Database, job_id: int) -> dict[str, Any]:
    """Give one job with its attempts.

    Raises:
        JobNotFound: there is none.
    """
    with db.read() as connection:
        job = read_job(connection, job_id)
        rows = connection.execute(
            sa.select(job_attempts).where(job_attempts.c.job_id == job_id).order_by(job_attempts.c.fence)
        ).mappings()
        keys = ("attempt", "fence", "agent", "state", "reason", "exit_code", "claimed", "started", "finished")
        return {**job, "attempts": [{key: row[key] for key in keys} for row in rows]}


def list_jobs(
    db: Database,
    *,
    states: Sequence[str] = (),
    limit: int = 100,
    before: int | None = None,
    changed_after: int | None = None,
    run: str | None = None,
) -> JobPage:
    """List jobs, the newest first.

    Only those of these `states` (all when empty), with numbers below `before` (where the
    page before ended), touched by a revision above `changed_after`, that train in `run`.
    """
    query = _select().order_by(jobs.c.id.desc()).limit(limit + 1)
    if states:
        query = query.where(jobs.c.state.in_(states))
    if before is not None:
        query = query.where(jobs.c.id < before)
    if changed_after is not None:
        query = query.where(jobs.c.revision > changed_after)
    if run is not None:
        query = query.where(jobs.c.run_id == run)
    with db.read() as connection:
        rows = connection.execute(query).mappings().all()
        found = _describe_all(connection, rows[:limit])
        paused = bool(connection.execute(sa.select(queue.c.paused)).scalar_one())
        revision = read_revision(connection)
    return JobPage(found, found[-1]["id"] if len(rows) > limit else None, paused, revision)


def get_jobs(db: Database, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Give those of these jobs that there are, the newest first."""
    with db.read() as connection:
        rows = (
            connection.execute(_select().where(jobs.c.id.in_(ids)).order_by(jobs.c.id.desc()))
            .mappings()
            .all()
        )
        return _describe_all(connection, rows)


def request_stop(db: Database, job_id: int, actor: str) -> dict[str, Any]:
    """Stop a job: at once while nobody runs it, else by its agent, which is told with its next heartbeat.

    Asking twice, or for a job that has ended, changes nothing.
    """
    with db.write() as connection:
        stop(connection, job_id, actor)
        return read_job(connection, job_id)


def request_stop_of_run(db: Database, run_id: str, actor: str) -> None:
    """Stop the job whose run this is, if it is a job's: who stops a run means what trains in it."""
    wanted = sa.select(jobs.c.id).where(jobs.c.run_id == run_id, jobs.c.state.in_(("queued", *HELD)))
    with db.read() as connection:
        found = connection.execute(wanted).scalars().all()
    for job_id in found:
        request_stop(db, job_id, actor)


def stop(connection: sa.Connection, job_id: int, actor: str, why: str = "") -> None:
    """Ask a job to stop, within a write transaction."""
    job = read_job(connection, job_id)
    if job["state"] in {"completed", "failed", "stopped"} or job["stop_requested"]:
        return
    values: dict[str, Any] = {"stop_requested": True}
    if job["state"] not in HELD:
        values |= {"state": "stopped", "reason": why, "finished": server_time(), "fence": jobs.c.fence + 1}
    change(connection, job_id, **values)
    connection.execute(
        sa.update(runs)
        .where(runs.c.id == job["run"])
        .values(stop_requested=True, revision=next_revision(connection))
    )
    note(connection, job_id, actor, "stop", why)


def requeue(db: Database, job_id: int, actor: str) -> dict[str, Any]:
    """Queue an ended job again; it goes on in the same run, from its last checkpoint.

    Raises:
        JobConflict: it has not ended.
    """
    with db.write() as connection:
        job = read_job(connection, job_id)
        if job["state"] not in ENDED:
            raise JobConflict(
                f"job {job_id} is {job['state']}: only a job that has ended can be queued again"
            )
        change(
            connection,
            job_id,
            state="queued",
            reason="",
            exit_code=None,
            stop_requested=False,
            retries_left=job["max_retries"],
            fence=jobs.c.fence + 1,
            agent_id=None,
            lease_expires=None,
            not_before=0.0,
            started=None,
            finished=None,
        )
        connection.execute(
            sa.update(runs)
            .where(runs.c.id == job["run"])
            .values(stop_requested=False, revision=next_revision(connection))
        )
        note(connection, job_id, actor, "requeue")
        return read_job(connection, job_id)


def set_priority(db: Database, job_id: int, priority: int, actor: str) -> dict[str, Any]:
    """Move a job forward or back among those that wait."""
    with db.write() as connection:
        change(connection, job_id, priority=priority)
        note(connection, job_id, actor, "priority", str(priority))
        return read_job(connection, job_id)


def set_paused(db: Database, paused: bool, actor: str) -> None:
    """Let no job begin (or let them begin again); those that run go on."""
    with db.write() as connection:
        connection.execute(sa.update(queue).values(paused=paused, revision=next_revision(connection)))
        note(connection, None, actor, "pause" if paused else "resume")


def is_paused(db: Database) -> bool:
    """Tell whether the queue is paused."""
    with db.read() as connection:
        return bool(connection.execute(sa.select(queue.c.paused)).scalar_one())


def change(connection: sa.Connection, job_id: int, **values: Any) -> None:
    """Change a job's row within a write transaction, with its revision."""
    done = connection.execute(
        sa.update(jobs).where(jobs.c.id == job_id).values(revision=next_revision(connection), **values)
    )
    if done.rowcount == 0:
        raise JobNotFound(f"no job {job_id}")


def read_job(connection: sa.Connection, job_id: int) -> dict[str, Any]:
    """Give one job within a transaction."""
    rows = connection.execute(_select().where(jobs.c.id == job_id)).mappings().all()
    if not rows:
        raise JobNotFound(f"no job {job_id}")
    return _describe_all(connection, rows)[0]


def _select() -> sa.Select[Any]:
    return sa.select(jobs, agents.c.name.label("agent")).outerjoin(agents, agents.c.id == jobs.c.agent_id)


def _describe_all(connection: sa.Connection, rows: Sequence[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    after: dict[int, list[dict[str, Any]]] = {}
    query = (
        sa.select(job_dependencies.c.job_id, jobs.c.id, jobs.c.state)
        .join(jobs, jobs.c.id == job_dependencies.c.after_id)
        .where(job_dependencies.c.job_id.in_([row["id"] for row in rows]))
        .order_by(jobs.c.id)
    )
    for job_id, after_id, state in connection.execute(query):
        after.setdefault(job_id, []).append({"id": after_id, "state": state})
    trial = sweep_trials.c
    trials = sa.select(trial.job_id, trial.sweep_id, trial.number, trial.pruned_at).where(
        trial.job_id.in_([row["id"] for row in rows])
    )
    sweeps = {
        job_id: {"id": sweep, "trial": number, "pruned": pruned_at is not None}
        for job_id, sweep, number, pruned_at in connection.execute(trials)
    }
    return [{**_describe(row, after.get(row["id"], [])), "sweep": sweeps.get(row["id"])} for row in rows]


def _describe(row: Mapping[Any, Any], after: list[dict[str, Any]]) -> dict[str, Any]:
    plain = (
        *(
            "id",
            "name",
            "project",
            "group",
            "recipe",
            "folder",
            "priority",
            "state",
            "reason",
            "exit_code",
            "attempt",
        ),
        *("max_retries", "retries_left", "stop_requested", "created", "created_by", "started", "finished"),
        *("not_before", "agent"),
    )
    return {
        **{key: row[key] for key in plain},
        "command": None if row["command"] is None else json.loads(row["command"]),
        "parameters": json.loads(row["parameters"]),
        "run": row["run_id"],
        "after": after,
        "resources": {key: row[key] for key in ("cpus", "gpus", "memory_mb", "time_limit_s")},
    }
