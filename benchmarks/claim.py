"""What a claim is, and how its rounds are run.

Alternated: a slow minute of the machine hits everybody alike.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import environments

WORKER = Path(__file__).parent / "peers" / "worker.py"
TASK_LIMIT_S = 600.0


class NotMeasured(Exception):
    """A figure that could not be taken, with its reason in one sentence."""


@dataclasses.dataclass(frozen=True)
class Column:
    """One number that a claim reports.

    Attributes:
        budget: the limit of DESIGN §11 for our own figure; None where there is none.
        higher_is_better: the budget is a floor and not a ceiling.
    """

    key: str
    title: str
    digits: int = 1
    budget: float | None = None
    higher_is_better: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value of ours keeps the budget."""
        if self.budget is None:
            return True
        return value >= self.budget if self.higher_is_better else value <= self.budget


@dataclasses.dataclass(frozen=True)
class Subject:
    """Something that is measured: ourselves or a peer, with the Python that runs it."""

    name: str
    python: Path
    version: str

    def call(self, task: str, **arguments: Any) -> dict[str, Any]:
        """Run a task of `peers/worker.py` in this subject's Python and return its answer.

        Raises:
            NotMeasured: the task failed, took too long, or is one that this subject does not offer.
        """
        command = [str(self.python), "-P", str(WORKER), self.name, task, json.dumps(arguments, default=str)]
        environment = {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": ""}
        environment["PATH"] = f"{self.python.parent}{os.pathsep}{environment.get('PATH', '')}"
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=TASK_LIMIT_S,
                env=environment,
                cwd=tempfile.gettempdir(),
            )
        except subprocess.TimeoutExpired:
            raise NotMeasured(f"{task} took longer than {TASK_LIMIT_S:.0f} s") from None
        answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode != 0 or not answers:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise NotMeasured(f"{task} failed: {last[:300]}")
        answer: dict[str, Any] = json.loads(answers[-1])
        if "not_measured" in answer:
            raise NotMeasured(answer["not_measured"])
        return answer


@dataclasses.dataclass(frozen=True)
class Claim:
    """One row of the budgets: what is measured, of whom, and how.

    Attributes:
        prepare: called once per subject with an empty folder, before the rounds; not timed.
        measure: called once per subject and round with a folder (the prepared one, or an empty one).
        absent: subjects that cannot take part, with the reason.
    """

    name: str
    title: str
    how: str
    columns: tuple[Column, ...]
    measure: Callable[[Subject, Path], dict[str, float]]
    prepare: Callable[[Subject, Path], object] | None = None
    peers: tuple[str, ...] = tuple(environments.PINS)
    absent: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Outcome:
    """The rounds of one subject under one claim, or why there are none."""

    subject: str
    version: str
    rounds: list[dict[str, float]] = dataclasses.field(default_factory=list)
    reason: str | None = None

    def median(self, key: str) -> float:
        """Return the median of one column over the rounds."""
        return statistics.median(measured[key] for measured in self.rounds)


def ourselves() -> Subject:
    """Return DeepEvent as it is installed beside this file."""
    from importlib.metadata import version

    return Subject("deepevent", Path(sys.executable), version("deepevent-monitor"))


def run_claim(
    claim: Claim, peers: Sequence[str], rounds: int, say: Callable[[str], None] = print
) -> list[Outcome]:
    """Measure a claim: prepare every subject, then `rounds` times each subject in turn."""
    outcomes: list[Outcome] = []
    racing: list[tuple[Subject, Outcome]] = []
    for entered in [ourselves(), *(_enter(claim, name) for name in claim.peers if name in peers)]:
        if isinstance(entered, Subject):
            outcomes.append(Outcome(entered.name, entered.version))
            racing.append((entered, outcomes[-1]))
        else:
            outcomes.append(Outcome(entered.name, "", reason=entered.reason))

    with tempfile.TemporaryDirectory(prefix="deepevent-bench-") as scratch:
        for subject, outcome in racing:
            if claim.prepare:
                folder = Path(scratch) / subject.name
                folder.mkdir()
                _attempt(outcome, subject, folder, claim.prepare, say)
        for number in range(rounds):
            for subject, outcome in racing:
                if outcome.reason:
                    continue
                folder = Path(scratch) / subject.name
                if not claim.prepare:
                    shutil.rmtree(folder, ignore_errors=True)
                    folder.mkdir()
                figures = _attempt(outcome, subject, folder, claim.measure, say)
                if isinstance(figures, dict):
                    outcome.rounds.append(figures)
                    shown = "  ".join(f"{key} {value:.6g}" for key, value in figures.items())
                    say(f"  {claim.name} {number + 1}/{rounds} {subject.name}: {shown}")
    return outcomes


def _enter(claim: Claim, peer: str) -> Subject | environments.Absent:
    if peer in claim.absent:
        return environments.Absent(peer, claim.absent[peer])
    found = environments.prepare(peer)
    return found if isinstance(found, environments.Absent) else Subject(peer, found.python, found.version)


def _attempt(
    outcome: Outcome,
    subject: Subject,
    folder: Path,
    act: Callable[[Subject, Path], object],
    say: Callable[[str], None],
) -> object:
    try:
        return act(subject, folder)
    except NotMeasured as error:
        outcome.reason = str(error)
        say(f"  {outcome.subject}: not measured: {error}")
        return None
