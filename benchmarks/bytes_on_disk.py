"""Claim: a scalar point costs about four bytes on disk."""

from __future__ import annotations

from pathlib import Path

from benchmarks.claim import Claim, Column, Subject

CALLS = {"mlflow": 5_000}
CALLS_OF_OTHERS = 50_000


def measure(subject: Subject, folder: Path) -> dict[str, float]:
    figures: dict[str, float] = {}
    for key, n_metrics, single in (("one", 1, True), ("ten", 10, True), ("double", 1, False)):
        scratch = folder / key
        scratch.mkdir()
        calls = CALLS.get(subject.name, CALLS_OF_OTHERS) // n_metrics
        answer = subject.call(
            "bytes_per_point", folder=scratch, n_metrics=n_metrics, calls=calls, single=single
        )
        figures[key] = answer["bytes"]
    return figures


CLAIM = Claim(
    name="bytes_on_disk",
    title="Bytes on disk per scalar point",
    how=(
        "Disk blocks allocated by a run of 50,000 points (MLflow: 5,000) less those of a run of one point,"
        " after everything was closed and, for DeepEvent, compacted. Values carry noise in every digit of a"
        " float32, as losses do; in the last column in every digit of a float64, whose 52 random bits alone"
        " are 6.5 bytes that nothing can compress."
    ),
    columns=(
        Column("one", "one scalar a call", 1, budget=5),
        Column("ten", "ten scalars a call", 1, budget=5),
        Column("double", "one, 52 random bits", 1),
    ),
    measure=measure,
)
