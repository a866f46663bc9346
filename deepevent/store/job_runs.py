"""The run of a job: made when the job is first claimed, gone on with by every further attempt.

The server makes it, so that it has the job's name and parameters however its script logs, and even if its
program has never heard of us. Scripts join it (DEEPEVENT_RUN); the end of the job is the end of the run.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from deepevent.ids import new_id
from deepevent.store.apply import new_run
from deepevent.store.connection import next_revision
from deepevent.store.schema import runs
from deepevent.store.staging import write_values


def open_run(connection: sa.Connection, job: Any, now: float) -> str:
    """Make the job's run, or let it go on; give its id, a new one if the run was deleted meanwhile."""
    revision = next_revision(connection)
    found = connection.execute(sa.select(runs.c.deleted).where(runs.c.id == job.run_id)).scalar()
    if found is False:
        connection.execute(
            sa.update(runs)
            .where(runs.c.id == job.run_id)
            .values(
                status="running",
                finished=None,
                traceback=None,
                stop_requested=False,
                heartbeat=now,
                revision=revision,
            )
        )
        return str(job.run_id)
    run_id = str(job.run_id) if found is None else new_id()
    values = {
        **new_run(run_id, now).row,
        "name": job.name,
        "project": job.project,
        "group": job.group,
        "config": job.parameters,
        "revision": revision,
    }
    connection.execute(sa.insert(runs).values(**values))
    write_values(connection, run_id, "config", job.parameters)
    return run_id


def end_run(connection: sa.Connection, run_id: str, state: str, now: float) -> None:
    """End the run where its script did not: it was killed, or left it to the job, or never knew of us."""
    connection.execute(
        sa.update(runs)
        .where(runs.c.id == run_id, runs.c.status.in_(("running", "lost")))
        .values(status=state, finished=now, revision=next_revision(connection))
    )
