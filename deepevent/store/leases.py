"""The queue as agents see it: claim, start, heartbeat, finish; and what happens when an agent falls silent.

    queued → claimed → running → completed | failed | stopped
       ↑         │        └──→ lost   (its lease ran out)
       ├─────────┘ (its lease ran out before anything was started)
       └── failed and lost, while retries are left, after a pause that doubles

A claim is one statement, so a job never goes to two agents. It raises the job's fence, and everything an
agent says about a job carries the fence that it got: what comes with an older one is refused with LeaseLost.
The fence rises only when somebody else takes over (a claim, a stop, a requeue by hand). An agent that was cut
off for longer than its lease therefore gets its job back as long as nobody else has it: hours of training are
not thrown away for a broken cable.

Leases run by the server's clock alone. Must not know HTTP, nor how a job is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from deepevent.errors import AgentNotFound, LeaseLost
from deepevent.store.agents import touch
from deepevent.store.audit import note
from deepevent.store.clock import server_time
from deepevent.store.connection import Database
from deepevent.store.job_runs import end_run, open_run
from deepevent.store.jobs import HELD, change, read_job
from deepevent.store.schema import agent_recipes, agents, job_attempts, job_dependencies, jobs, queue

CLAIMED = ("id", "fence", "attempt", "run_id", "name", "project", "group", "parameters")
RESULTS = ("completed", "failed", "stopped")


@dataclass(frozen=True)
class Terms:
    """The server's terms: how long a lease lasts without a heartbeat, and how long a retry waits at first."""

    lease_s: float = 30.0
    backoff_s: float = 10.0
    max_backoff_s: float = 600.0


TERMS = Terms()


@dataclass(frozen=True)
class Free:
    """What an agent has left for one more job."""

    cpus: int = 1
    gpus: int = 0
    memory_mb: int = 0


@dataclass(frozen=True)
class Claim:
    """A job that was given to an agent, with the fence that it has to show."""

    job: dict[str, Any]
    fence: int


def claim(db: Database, agent_id: str, free: Free, terms: Terms = TERMS) -> Claim | None:
    """Give the agent the next job that it can run, or None.

    Raises:
        AgentNotFound: it must register again.
    """
    touch(db, agent_id)
    now = server_time()
    with db.read() as connection:
        if connection.execute(_candidate(agent_id, free, now)).first() is None:
            return None
    with db.write() as connection:
        agent = connection.execute(sa.select(agents.c.name).where(agents.c.id == agent_id)).scalar()
        if agent is None:
            raise AgentNotFound(f"no agent {agent_id!r}: register again")
        now = server_time()
        # Where the database locks rows, those that another claim holds are passed over.
        candidate = _candidate(agent_id, free, now).with_for_update(skip_locked=True, of=jobs)
        row = connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == candidate.scalar_subquery())
            .values(
                state="claimed",
                reason="",
                exit_code=None,
                agent_id=agent_id,
                fence=jobs.c.fence + 1,
                attempt=jobs.c.attempt + 1,
                lease_expires=now + terms.lease_s,
                started=None,
                finished=None,
            )
            .returning(*(jobs.c[name] for name in CLAIMED))
        ).first()
        if row is None:
            return None
        change(connection, row.id, run_id=open_run(connection, row, now))
        connection.execute(
            sa.insert(job_attempts).values(
                job_id=row.id,
                fence=row.fence,
                attempt=row.attempt,
                agent_id=agent_id,
                agent=agent,
                state="claimed",
                reason="",
                claimed=now,
            )
        )
        note(connection, row.id, agent, "claim", f"attempt {row.attempt}, fence {row.fence}")
        return Claim(read_job(connection, row.id), int(row.fence))


def heartbeat(
    db: Database, job_id: int, fence: int, terms: Terms = TERMS, *, agent_id: str | None = None
) -> bool:
    """Prolong a lease; give whether the job shall stop.

    Raises:
        LeaseLost: the job went to somebody else, or has ended.
    """
    with db.write() as connection:
        row = _hold(connection, job_id, fence, agent_id)
        values: dict[str, Any] = {"lease_expires": server_time() + terms.lease_s}
        if row.state in HELD:
            # Nothing that a person sees has changed: no new revision, so no reader wakes up for it.
            connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**values))
        else:
            _take_back(connection, row, **values)
        return bool(row.stop_requested)


def start(
    db: Database, job_id: int, fence: int, terms: Terms = TERMS, *, agent_id: str | None = None
) -> bool:
    """Note that the job's process is about to run; give whether it shall stop instead.

    Raises:
        LeaseLost: as for `heartbeat`.
    """
    now = server_time()
    with db.write() as connection:
        row = _hold(connection, job_id, fence, agent_id)
        _take_back(connection, row, started=row.started or now, lease_expires=now + terms.lease_s)
        return bool(row.stop_requested)


def finish(
    db: Database,
    job_id: int,
    fence: int,
    state: str,
    *,
    exit_code: int | None = None,
    reason: str = "",
    terms: Terms = TERMS,
    agent_id: str | None = None,
) -> dict[str, Any]:
    """Note how an attempt ended. The same news twice is one.

    `state` is completed, failed, stopped, or lost (the attempt was cut off through no fault of the job). A
    job that was asked to stop is stopped however it ended: nothing that waits for its completion begins.

    Raises:
        LeaseLost: the job went to somebody else before.
    """
    now = server_time()
    with db.write() as connection:
        row = _find(connection, job_id, fence, agent_id)
        if row.lease_expires is None:
            return read_job(connection, job_id)  # this fence has told its end already
        # A script that sees `should_stop` ends well, perhaps before its agent has heard of the wish.
        final = "stopped" if row.stop_requested else state
        again = final in {"failed", "lost"} and row.retries_left > 0
        change(
            connection,
            job_id,
            **(_retry(row, now, terms) if again else {"state": final, "finished": now}),
            reason=reason,
            exit_code=exit_code,
            lease_expires=None,
        )
        _end_attempt(connection, job_id, fence, final, now, reason=reason, exit_code=exit_code)
        if final in RESULTS and not again:
            end_run(connection, row.run_id, final, now)
        note(connection, job_id, "", f"attempt {final}", reason)
        return read_job(connection, job_id)


def expire(db: Database, terms: Terms = TERMS) -> list[int]:
    """Take back the jobs whose lease has run out: to the queue while retries are left, else they are lost.

    Returns:
        Their numbers.
    """
    now = server_time()
    overdue = sa.select(jobs).where(jobs.c.state.in_(HELD), jobs.c.lease_expires < now)
    with db.read() as connection:
        if connection.execute(overdue.limit(1)).first() is None:
            return []
    with db.write() as connection:
        rows = connection.execute(overdue).all()
        for row in rows:
            _lose(connection, row, now, "its agent fell silent", terms)
        return [row.id for row in rows]


def release_agent(db: Database, agent_id: str, reason: str, terms: Terms = TERMS) -> list[int]:
    """Take back at once what an agent held that is known to have ended: it has started anew, or left."""
    now = server_time()
    with db.write() as connection:
        rows = connection.execute(
            sa.select(jobs).where(jobs.c.state.in_(HELD), jobs.c.agent_id == agent_id)
        ).all()
        for row in rows:
            _lose(connection, row, now, reason, terms)
        return [row.id for row in rows]


def renew_all(db: Database, terms: Terms = TERMS) -> None:
    """Give every lease its full time again: a server that was away has heard no heartbeat meanwhile."""
    with db.write() as connection:
        connection.execute(
            sa.update(jobs).where(jobs.c.state.in_(HELD)).values(lease_expires=server_time() + terms.lease_s)
        )


def _candidate(agent_id: str, free: Free, now: float) -> sa.Select[tuple[int]]:
    """Select the next job for this agent."""
    before = jobs.alias("before")
    waits = sa.exists(
        sa.select(1)
        .select_from(job_dependencies.join(before, before.c.id == job_dependencies.c.after_id))
        .where(job_dependencies.c.job_id == jobs.c.id, before.c.state != "completed")
    )
    offered = sa.select(agent_recipes.c.name).where(agent_recipes.c.agent_id == agent_id)
    agent = sa.select(1).where(
        agents.c.id == agent_id, agents.c.draining.is_(sa.false()), agents.c.left.is_(None)
    )
    return (
        sa.select(jobs.c.id)
        .where(
            jobs.c.state == "queued",
            jobs.c.not_before <= now,
            jobs.c.cpus <= free.cpus,
            jobs.c.gpus <= free.gpus,
            sa.func.coalesce(jobs.c.memory_mb, 0) <= free.memory_mb,
            sa.or_(
                jobs.c.recipe.in_(offered),
                sa.and_(
                    jobs.c.recipe.is_(None), sa.exists(agent.where(agents.c.allow_commands.is_(sa.true())))
                ),
            ),
            sa.exists(agent),
            ~waits,
            ~sa.exists(sa.select(1).where(queue.c.paused.is_(sa.true()))),
        )
        .order_by(jobs.c.priority.desc(), jobs.c.id)
        .limit(1)
    )


def _find(connection: sa.Connection, job_id: int, fence: int, agent_id: str | None) -> Any:
    row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).first()
    foreign = row is not None and agent_id is not None and row.agent_id != agent_id
    if row is None or row.fence != fence or fence == 0 or foreign:
        raise LeaseLost(f"job {job_id} is no longer held with fence {fence}: end it and report nothing")
    return row


def _hold(connection: sa.Connection, job_id: int, fence: int, agent_id: str | None) -> Any:
    """Find a job that this fence may still speak for: held, or taken back and given to nobody yet."""
    row = _find(connection, job_id, fence, agent_id)
    if row.lease_expires is None:
        raise LeaseLost(f"job {job_id} is {row.state}: end it and report nothing")
    return row


def _take_back(connection: sa.Connection, row: Any, **values: Any) -> None:
    change(connection, row.id, state="running", reason="", finished=None, **values)
    connection.execute(
        sa.update(job_attempts)
        .where(job_attempts.c.job_id == row.id, job_attempts.c.fence == row.fence)
        .values(
            state="running",
            reason="",
            started=sa.func.coalesce(job_attempts.c.started, server_time()),
            finished=None,
        )
    )


def _lose(connection: sa.Connection, row: Any, now: float, reason: str, terms: Terms) -> None:
    if row.stop_requested:
        values: dict[str, Any] = {"state": "stopped", "finished": now}
    elif row.state == "claimed":
        # Agents ask `start` before they start a process: nothing has run yet, so no retry is used up.
        values = {"state": "queued", "not_before": now + terms.backoff_s}
    elif row.retries_left > 0:
        values = _retry(row, now, terms)
    else:
        values = {"state": "lost", "finished": now}
    change(connection, row.id, **values, reason=reason)
    if row.stop_requested:
        end_run(connection, row.run_id, "stopped", now)
    _end_attempt(connection, row.id, row.fence, "lost", now, reason=reason, exit_code=None)
    note(connection, row.id, "", "attempt lost", reason)


def _retry(row: Any, now: float, terms: Terms) -> dict[str, Any]:
    used = row.max_retries - row.retries_left
    return {
        "state": "queued",
        "retries_left": row.retries_left - 1,
        "not_before": now + min(terms.backoff_s * 2**used, terms.max_backoff_s),
    }


def _end_attempt(
    connection: sa.Connection,
    job_id: int,
    fence: int,
    state: str,
    now: float,
    *,
    reason: str,
    exit_code: int | None,
) -> None:
    connection.execute(
        sa.update(job_attempts)
        .where(job_attempts.c.job_id == job_id, job_attempts.c.fence == fence)
        .values(state=state, finished=now, reason=reason, exit_code=exit_code)
    )
