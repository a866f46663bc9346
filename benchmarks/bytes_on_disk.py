"""Claim: a scalar point costs about four bytes on disk."""

from __future__ import annotations

from pathlib import Path

from benchmarks.claim import Claim, Column, Subject

CALLS = {"mlflow": 5_000}
CALLS_OF_OTHERS = 50_000


def measure(subject: Subject, folder: Path) -> dict[str, float]:
    figures: dict[str, float] = {}
    for n_metrics, word in ((1, "one"), (10, "ten")):
        scratch = folder / word
        scratch.mkdir()
        calls = CALLS.get(subject.name, CALLS_OF_OTHERS) // n_metrics
        figures[word] = subject.call("bytes_per_point", folder=scratch, n_metrics=n_metrics, calls=calls)[
            "bytes"
        ]
    return figures


CLAIM = Claim(
    name="bytes_on_disk",
    title="Bytes on disk per scalar point",
    how=(
        "Disk blocks allocated by a run of 50,000 points (MLflow: 5,000) less those of a run of one"
        " point, after everything was closed and, for DeepEvent, compacted. Values carry noise in every"
        " digit."
    ),
    columns=(
        Column("one", "one scalar a call", 1, budget=5),
        Column("ten", "ten scalars a call", 1, budget=5),
    ),
    measure=measure,
)
