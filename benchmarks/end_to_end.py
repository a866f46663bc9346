"""Claim: one script's points reach the store, durably, at hundreds of thousands a second."""

from __future__ import annotations

from pathlib import Path

from benchmarks.claim import Claim, Column, Subject

CALLS = {"deepevent": 300_000, "mlflow": 1_000, "wandb": 20_000, "aim": 20_000}
CALLS_OF_OTHERS = 50_000


def measure(subject: Subject, folder: Path) -> dict[str, float]:
    calls = CALLS.get(subject.name, CALLS_OF_OTHERS)
    figures: dict[str, float] = {}
    for n_metrics, word in ((1, "one"), (10, "ten")):
        scratch = folder / word
        scratch.mkdir()
        answer = subject.call(
            "end_to_end",
            folder=scratch,
            n_metrics=n_metrics,
            calls=max(calls // n_metrics * 2, 200) if n_metrics > 1 else calls,
        )
        figures[word] = answer["points_per_s"]
    return figures


CLAIM = Claim(
    name="end_to_end",
    title="From the log call to durable in the store, points per second",
    how=(
        "One script logs as fast as it can and then closes its run; the clock stops when everything is in"
        " the store. For DeepEvent that is a `deepevent serve` of its own, which acknowledges after an"
        " fsync; for W&B, SwanLab and TensorBoard it is their own file, unsynchronised."
    ),
    columns=(
        Column("one", "one scalar a call", 0, budget=300_000, higher_is_better=True),
        Column("ten", "ten scalars a call", 0),
    ),
    measure=measure,
)
