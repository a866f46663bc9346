"""Claim: the server is there in a second and idles in little memory."""

from __future__ import annotations

from pathlib import Path

from benchmarks.claim import Claim, Column, Subject


def measure(subject: Subject, folder: Path) -> dict[str, float]:
    answer = subject.call("serve", folder=folder)
    return {"first_200_s": answer["first_200_s"], "memory_mb": answer["memory_mb"]}


CLAIM = Claim(
    name="serve_start",
    title="The server's start and idle memory",
    how=(
        "Seconds from the start of the server's command, on an empty home, to its first answer 200;"
        " proportional set size of all its processes three seconds later."
    ),
    columns=(
        Column("first_200_s", "first 200, s", 2, budget=1),
        Column("memory_mb", "idle memory, MB", 0, budget=120),
    ),
    measure=measure,
    absent={
        "wandb": "offline mode has no server of its own",
        "swanlab": "its base package has no server",
    },
)
