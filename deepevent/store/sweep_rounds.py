"""What drives sweeps: which of them need a look, what there is to decide on, and how a decision is committed.

A round is one transaction: states and values of trials, jobs to stop, and new trials with their jobs come
together or not at all, and only if nobody has changed the sweep since it was read. So a kill at any moment
loses no trial and makes none twice, and any number of servers may drive the same sweep.

Knows neither Optuna nor HTTP.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from deepevent.errors import SweepNotFound
from deepevent.search_space import Space, restore
from deepevent.store import jobs, sweeps
from deepevent.store.clock import server_time
from deepevent.store.connection import Database, read_revision
from deepevent.store.schema import jobs as job_table
from deepevent.store.schema import metrics, sweep_trials
from deepevent.store.schema import sweeps as sweep_table

ACTOR = "sweep"
KEEP = 2**62
"""`n_judged` of a trial that no pruner shall judge again: a person has queued it anew."""
WORKING = ("queued", *jobs.HELD)
MAX_FAILURES = 5
"""A sweep whose last so many ended trials all failed is ended: something else is wrong."""


@dataclass
class Trial:
    """One trial, as it is stored, with what its job and its metric are by now."""

    number: int
    job: int
    run: str
    job_state: str
    state: str
    source: str
    parameters: dict[str, Any]
    value: float | None
    n_points: int
    reports: dict[int, float]
    n_judged: int
    pruned_at: int | None
    attributes: dict[str, Any]
    finished: float | None
    metric: tuple[int, int, float, float] | None
    """Of the run's metric: rank, number of points, lowest, highest."""

    @property
    def is_open(self) -> bool:
        """Whether the trial is at work or will be."""
        return self.state in sweeps.OPEN


@dataclass
class Snapshot:
    """A sweep and its trials, read in one transaction."""

    sweep: dict[str, Any]
    version: int
    space: Space
    trials: list[Trial]


@dataclass
class Decision:
    """What a round has decided.

    Attributes:
        changed: trials whose row has to be written.
        stops: jobs to stop, each with the reason.
        new: for each new trial its parameters and what the sampler wants to remember.
        state: the sweep's new state with its reason, if it changes.
    """

    changed: list[Trial] = field(default_factory=list)
    stops: list[tuple[int, str]] = field(default_factory=list)
    new: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    state: tuple[str, str] | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.changed or self.stops or self.new or self.state)


def touched(db: Database, after: int) -> tuple[int, list[int]]:
    """Give the newest revision, and the sweeps of which something has changed since.

    That is their own row, or the job or the metric of one of their trials.
    """
    trials = sweep_trials.join(job_table, job_table.c.id == sweep_trials.c.job_id)
    measured = trials.join(sweep_table, sweep_table.c.id == sweep_trials.c.sweep_id).join(
        metrics, sa.and_(metrics.c.run_id == job_table.c.run_id, metrics.c.name == sweep_table.c.metric)
    )
    query = sa.union(
        sa.select(sweep_table.c.id).where(sweep_table.c.revision > after),
        sa.select(sweep_trials.c.sweep_id).select_from(trials).where(job_table.c.revision > after),
        sa.select(sweep_trials.c.sweep_id).select_from(measured).where(metrics.c.revision > after),
    )
    with db.read() as connection:
        newest = read_revision(connection)
        if newest <= after:
            return newest, []
        return newest, sorted(connection.execute(query).scalars())


def read(db: Database, sweep_id: int) -> Snapshot:
    """Read all that a round decides on.

    Raises:
        SweepNotFound: there is no such sweep.
    """
    with db.read() as connection:
        row = sweeps.lock(connection, sweep_id)
        rows = connection.execute(
            sa.select(sweep_trials, job_table.c.run_id, job_table.c.state.label("job_state"))
            .join(job_table, job_table.c.id == sweep_trials.c.job_id)
            .where(sweep_trials.c.sweep_id == sweep_id)
            .order_by(sweep_trials.c.number)
        ).all()
        found: dict[str, tuple[int, int, float, float]] = {}
        measured = (
            sa.select(metrics.c.run_id, metrics.c.rank, metrics.c.n_points, metrics.c.min, metrics.c.max)
            .join(job_table, job_table.c.run_id == metrics.c.run_id)
            .join(sweep_trials, sweep_trials.c.job_id == job_table.c.id)
            .where(sweep_trials.c.sweep_id == sweep_id, metrics.c.name == row["metric"])
            .order_by(metrics.c.rank.desc())
        )
        for run_id, rank, n, low, high in connection.execute(measured):
            found[run_id] = (rank, n, low, high)  # of several ranks, the lowest
        return Snapshot(
            dict(row),
            row["version"],
            restore(json.loads(row["space"])),
            [_trial(r, found.get(r.run_id)) for r in rows],
        )


def follow_job(trial: Trial, direction: str) -> bool:
    """Bring a trial's state and value up to its job and its metric; whether something changed.

    The value is the best that the metric ever had. It may still come after the job's end, when points were
    held up on the way; what a deleted run had stays.
    """
    before = (trial.state, trial.value, trial.pruned_at, trial.n_judged)
    if trial.metric is not None:
        best = trial.metric[3] if direction == "max" else trial.metric[2]
        trial.value = None if math.isnan(best) else best
    if trial.job_state in WORKING and not trial.is_open and trial.pruned_at is not None:
        trial.pruned_at, trial.n_judged = None, KEEP
    trial.state = _state(trial)
    if trial.is_open:
        trial.finished = None
    elif trial.finished is None:
        trial.finished = server_time()
    return before != (trial.state, trial.value, trial.pruned_at, trial.n_judged)


def commit(db: Database, snapshot: Snapshot, decision: Decision) -> bool:
    """Write a decision, unless the sweep has changed since the snapshot; whether it was written."""
    sweep_id = snapshot.sweep["id"]
    with db.write() as connection:
        try:
            row = sweeps.lock(connection, sweep_id)
        except SweepNotFound:
            return False
        if row["version"] != snapshot.version:
            return False
        for trial in decision.changed:
            _write(connection, sweep_id, trial)
        for job_id, why in decision.stops:
            jobs.stop(connection, job_id, ACTOR, why)
        for number, (parameters, attributes) in enumerate(decision.new, len(snapshot.trials)):
            sweeps.insert_trial(
                connection, row, number, parameters, attributes, "sampler", row["created_by"] or ACTOR
            )
        if decision.state is not None and decision.state[0] == "failed":
            sweeps.end(connection, sweep_id, *decision.state, ACTOR)
        elif decision.state is not None:
            state, reason = decision.state
            sweeps.update(connection, sweep_id, state=state, reason=reason, finished=server_time())
        else:
            sweeps.update(connection, sweep_id)
    return True


def failing(trials: list[Trial]) -> bool:
    """Tell whether the trials that ended last all failed."""
    ended = sorted((t for t in trials if not t.is_open), key=lambda t: (t.finished or 0.0, t.number))
    last = ended[-MAX_FAILURES:]
    return len(last) == MAX_FAILURES and all(trial.state == "failed" for trial in last)


def _state(trial: Trial) -> str:
    if trial.job_state == "queued":
        return "waiting"
    if trial.job_state in jobs.HELD:
        return "running"
    if trial.pruned_at is not None:
        return "pruned"
    if trial.job_state == "completed":
        return "completed" if trial.value is not None else "failed"
    return "stopped" if trial.job_state == "stopped" else "failed"


def _trial(row: Any, metric: tuple[int, int, float, float] | None) -> Trial:
    return Trial(
        number=row.number,
        job=row.job_id,
        run=row.run_id,
        job_state=row.job_state,
        state=row.state,
        source=row.source,
        parameters=json.loads(row.parameters),
        value=None if math.isnan(row.value) else row.value,
        n_points=row.n_points,
        reports={int(n): float(value) for n, value in json.loads(row.reports).items()},
        n_judged=row.n_judged,
        pruned_at=row.pruned_at,
        attributes=json.loads(row.attributes),
        finished=row.finished,
        metric=metric,
    )


def _write(connection: sa.Connection, sweep_id: int, trial: Trial) -> None:
    reports: Mapping[int, float | str] = {
        n: value if math.isfinite(value) else str(value) for n, value in trial.reports.items()
    }
    connection.execute(
        sa.update(sweep_trials)
        .where(sweep_trials.c.sweep_id == sweep_id, sweep_trials.c.number == trial.number)
        .values(
            state=trial.state,
            value=trial.value,
            n_points=trial.n_points,
            reports=json.dumps(reports),
            n_judged=trial.n_judged,
            pruned_at=trial.pruned_at,
            attributes=json.dumps(trial.attributes),
            finished=trial.finished,
        )
    )
