"""Claim: logging costs the training script about a microsecond."""

from __future__ import annotations

from pathlib import Path

from benchmarks.claim import Claim, Column, Subject

CALLS = {"deepevent": 100_000, "mlflow": 300}
CALLS_OF_OTHERS = 5_000


def measure(subject: Subject, folder: Path) -> dict[str, float]:
    calls = CALLS.get(subject.name, CALLS_OF_OTHERS)
    figures: dict[str, float] = {}
    for n_metrics, word in ((1, "one"), (10, "ten")):
        scratch = folder / word
        scratch.mkdir()
        took = subject.call("log_call", folder=scratch, n_metrics=n_metrics, calls=calls)
        figures |= {f"{word}_median": took["median_us"], f"{word}_p99": took["p99_us"]}
    return figures


CLAIM = Claim(
    name="call_cost",
    title="One log call, µs",
    how="Each call of `log` with one and with ten scalars is timed alone, back to back, after 200 calls.",
    columns=(
        Column("one_median", "one scalar, median", 2, budget=1.5),
        Column("one_p99", "p99", 1, budget=10),
        Column("ten_median", "ten scalars, median", 2, budget=5),
        Column("ten_p99", "p99", 1, budget=25),
    ),
    measure=measure,
)
