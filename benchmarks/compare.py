"""Claim: comparing a hundred runs is instant, with all their points."""

from __future__ import annotations

from pathlib import Path

from benchmarks.claim import Claim, Column, Subject
from benchmarks.serve_start import CLAIM as SERVE

RUNS, METRICS, POINTS = 100, 5, 1_000


def prepare(subject: Subject, folder: Path) -> object:
    return subject.call("fill", folder=folder, runs=RUNS, n_metrics=METRICS, calls=POINTS)


def measure(subject: Subject, folder: Path) -> dict[str, float]:
    answer = subject.call("compare", folder=folder, n_metrics=METRICS)
    return {"ms": answer["ms"], "points": answer["points"]}


CLAIM = Claim(
    name="compare",
    title="Compare 100 runs × 5 metrics × 1,000 points",
    how=(
        "All metrics of all runs in as few requests as the subject's own page needs, request to last"
        " byte. The points returned say how much of the 500,000 came; for Aim they are estimated from the"
        " bytes of its answer."
    ),
    columns=(
        Column("ms", "ms", 0, budget=150),
        Column("points", "points returned", 0, budget=500_000, higher_is_better=True),
    ),
    prepare=prepare,
    measure=measure,
    absent=SERVE.absent,
)
