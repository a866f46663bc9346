"""What an engine is: something that runs one attempt of a job and tells how it ended.

The agent knows only this protocol. An engine knows neither the server nor the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ReadOutput = Callable[[str, str], None]
"""Takes a stream's name (`stdout`, `stderr`) and a piece of its text."""


@dataclass(frozen=True)
class Task:
    """One attempt, ready to run: nothing in it is a shell line.

    Attributes:
        name: a label for people.
        command: the argument list.
        folder: the working folder.
        records: a folder of this attempt alone, for the engine's own files.
        environment: all of it; nothing is inherited.
        cpus: how many processors it may count on.
        gpus: the numbers (or names) of the GPUs that this attempt has for itself.
        memory_mb: limit over the whole tree of processes, or None.
        time_limit_s: wall-clock limit, or None.
        grace_s: from the wish to stop to the kill.
        silence_s: how long the attempt lives on when the agent has fallen silent (is stopped or swapped out).
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    records: Path
    environment: Mapping[str, str]
    cpus: int = 1
    gpus: tuple[int | str, ...] = ()
    memory_mb: int | None = None
    time_limit_s: float | None = None
    grace_s: float = 20.0
    silence_s: float = 25.0


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: `state` is completed, failed, stopped or lost; `reason` may be empty."""

    state: str
    exit_code: int | None = None
    reason: str = ""


class Execution(Protocol):
    """A started attempt."""

    def outcome(self) -> Outcome | None:
        """Give the end, or None while it runs."""

    def stop(self) -> None:
        """Ask it to end: SIGTERM, then SIGKILL after its grace time."""

    def kill(self) -> None:
        """End it and all it started, now."""

    def beat(self) -> None:
        """Tell it that the agent lives."""


class Engine(Protocol):
    """Starts attempts."""

    def start(self, task: Task, read_output: ReadOutput, on_end: Callable[[], None]) -> Execution:
        """Start an attempt; `read_output` and, once, `on_end` are called from threads of the engine."""

    def close(self) -> None:
        """Let go of what the engine holds; attempts have ended before."""
