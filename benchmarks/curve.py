"""Claim: a long curve arrives at once and its one-point spike is in it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.claim import Claim, Column, Subject
from benchmarks.serve_start import CLAIM as SERVE

POINTS = 100_000


def prepare(subject: Subject, folder: Path) -> object:
    return subject.call("fill", folder=folder, runs=1, n_metrics=1, calls=POINTS, spike=True)


def measure(subject: Subject, folder: Path) -> dict[str, float]:
    answer = subject.call("curve", folder=folder)
    return {key: answer[key] for key in ("ms", "points", "spike")}


CLAIM = Claim(
    name="curve",
    title="A curve of 100,000 points with a spike of one point",
    how=(
        "The whole curve fetched from a freshly started server as the subject's own page fetches it,"
        " request to last byte, JSON decoded; then whether the spike is among the points that came."
    ),
    columns=(
        Column("ms", "ms", 1, budget=20),
        Column("points", "points returned", 0),
        Column("spike", "spike shown (1 = yes)", 0, budget=1, higher_is_better=True),
    ),
    prepare=prepare,
    measure=measure,
    absent=SERVE.absent,
)
