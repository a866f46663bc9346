"""Old runs are found, deleted or thinned when somebody asks; what is young, tagged or at work stays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from deepevent.store import curves, deletion, inspection, jobs, retention, runs
from deepevent.store.connection import Database
from deepevent.store.ingest import Committer

NOW = 1_000_000_000.0
N = 20_000


@pytest.fixture
def log(committer: Committer, script: Any) -> Any:
    """Log a run that ended at a moment; gives its id."""

    def log_one(
        name: str = "old",
        values: Any = (1.0,),
        ended: float | None = 1000.0,
        run: str | None = None,
        **keys: Any,
    ) -> str:
        writer = script(run).start(name=name, created=500.0, **keys)
        for step, value in enumerate(values):
            writer.log({"value": float(value)}, step)
            if step % 4000 == 3999:
                committer.submit(writer.batch())
        if ended is not None:
            writer.event("finish", status="completed", time=ended)
        committer.submit(writer.batch())
        return str(writer.run)

    return log_one


def _ids(found: list[retention.OldRun]) -> set[str]:
    return {run.id for run in found}


def _values(db: Database, run: str) -> tuple[list[int], list[float]]:
    steps: list[int] = []
    values: list[float] = []
    while len((points := curves.read_points(db, run, "value", after_index=len(steps))).steps):
        steps += map(int, points.steps)
        values += map(float, points.values)
    return steps, values


def test_only_what_has_ended_long_ago_is_found(db: Database, log: Any) -> None:
    """Running runs, the trash, jobs that may go on and other projects stay out; tags where they are to."""
    old, tagged, elsewhere = log(), log(tags=["best"]), log(project="q")
    running, trashed = log(ended=None), log()
    runs.update_run(db, trashed, trashed=True)
    log(run=jobs.enqueue(db, command=["true"], created_by="me")["run"])  # its job waits for a next attempt
    later = NOW * 10
    assert _ids(retention.find(db, later)) == {old, tagged, elsewhere}
    assert _ids(retention.find(db, later, keep_tagged=True)) == {old, elsewhere}
    assert _ids(retention.find(db, later, project="q")) == {elsewhere}
    assert _ids(retention.find(db, later, filter='"best" in tags')) == {tagged}
    assert running not in _ids(retention.find(db, later))
    assert retention.find(db, 0.0) == []


def test_a_removed_run_is_gone(db: Database, log: Any) -> None:
    """With its points, and a line in the audit log."""
    from deepevent.store import audit

    run = log(values=range(5000))
    (found,) = retention.find(db, NOW * 10)
    assert found.n_points == 5000
    retention.remove(db, found)
    assert retention.find(db, NOW * 10) == []
    deletion.purge(db)
    assert [entry["action"] for entry in audit.list_entries(db)] == ["run deleted"]
    assert run in audit.list_entries(db)[0]["detail"]


def test_a_thinned_curve_keeps_every_extreme_and_nonfinite_point(db: Database, log: Any) -> None:
    """A sixtieth of the points, each at its own step; the summary is what it was, the store adds up."""
    values = np.sin(np.arange(N) / 300) + np.random.default_rng(0).normal(0, 0.1, N)
    values[[1234, 15_000]] = [50.0, -60.0]
    values[[77, 9999]] = [math.nan, math.inf]
    run = log(values=values)
    before = runs.list_metrics(db, run)[0]
    (found,) = retention.find(db, NOW * 10, keep_thinned=True)
    gone = retention.thin(db, found)
    steps, kept = _values(db, run)
    assert len(steps) == N - gone < N / 50
    assert all(kept[at] == values[step] or math.isnan(values[step]) for at, step in enumerate(steps))
    assert {0, 77, 1234, 9999, 15_000, N - 1} <= set(steps)
    for start in range(0, N, retention.GROUP):
        group = values[start : start + retention.GROUP]
        group = group[np.isfinite(group)]
        mine = [
            value for step, value in zip(steps, kept, strict=True) if start <= step < start + retention.GROUP
        ]
        assert group.min() in mine and group.max() in mine
    after = runs.list_metrics(db, run)[0]
    assert after | {"n": N} == before
    assert inspection.gaps(db) == []
    drawn = curves.read_curves(db, [curves.Query(run, "value")], pixels=100).curves[0]
    assert max(v for v in drawn.columns["value"] if math.isfinite(v)) == 50.0
    assert runs.get_run(db, run)["tags"] == ["thinned"]
    assert retention.find(db, NOW * 10, keep_thinned=True) == []
    assert retention.thin(db, found) >= 0


def test_what_was_logged_again_is_put_in_its_place(db: Database, committer: Committer, script: Any) -> None:
    """After thinning a step shows its newest value, as before, and the run can still go on."""
    writer = script().start(created=500.0)
    writer.series("value", [0.0] * 3000).series("value", [1.0] * 2000, first_step=1000)
    writer.event("finish", status="completed")
    committer.submit(writer.batch())
    (found,) = retention.find(db, NOW * 10)
    retention.thin(db, found)
    steps, kept = _values(db, writer.run)
    assert steps == sorted(set(steps))
    assert all(value == (step >= 1000) for step, value in zip(steps, kept, strict=True))
    committer.submit(writer.log({"value": 7.0}, 5000).batch())
    assert _values(db, writer.run)[1][-1] == 7.0
    assert inspection.gaps(db) == []
