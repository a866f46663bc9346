"""`deepevent reproduce NAME`: train what an experiment compares, and write down what came out.

Every training is a run in the project, in the group of its seeds and with its experiments as tags. Stopped or
cut off, the same command goes on: what is finished is passed over.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from deepevent_trainer.arguments import (
    add_photographs,
    add_project,
    add_threads,
    photographs_of,
    use_threads,
)
from deepevent_trainer.calibrated_training import SIZES_PX, CascadeSettings, train_levels
from deepevent_trainer.data.split import Division, divide
from deepevent_trainer.experiments.cascades import ASKED, Questioned, Row
from deepevent_trainer.experiments.catalogue import CASCADES, NETS, SIZES, Experiment, Size, Trial
from deepevent_trainer.experiments.report import write_report
from deepevent_trainer.experiments.trials import BATCH_SIZE, LEARNING_RATE, Result, Trials
from deepevent_trainer.loop import Schedule
from deepevent_trainer.own_runs import runs_of_their_own
from deepevent_trainer.stopping import stop_on_signal

HELP = "repeat the article's experiments and write a report"
SEED = 0
MIN_FACE_PX = 24.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `deepevent reproduce`."""
    names = [*NETS, *CASCADES]
    parser.add_argument(
        "names",
        nargs="+",
        choices=["all", *names],
        metavar="NAME",
        help=f"all, or any of: {', '.join(names)}",
    )
    add_photographs(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("experiments"),
        metavar="DIR",
        help="where checkpoints and the report go (%(default)s)",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_const", dest="size", const="quick", help="minutes, one seed")
    size.add_argument("--full", action="store_const", dest="size", const="full", help="for a strong machine")
    add_threads(parser)
    add_project(parser, "reproduce")
    parser.add_argument("--list", action="store_true", help="print what would be trained, and stop")


def execute(args: argparse.Namespace) -> int:
    """Run the experiments, write the report, and return 0."""
    size_name = args.size or "standard"
    size = SIZES[size_name]
    names = [*NETS, *CASCADES] if "all" in args.names else list(dict.fromkeys(args.names))
    chosen = [NETS[name] for name in names if name in NETS]
    questions = [name for name in names if name in CASCADES]
    wanted = trials_of(chosen)
    if args.list:
        for trial, experiments in wanted.items():
            sys.stdout.write(f"{trial.key}: {size.seeds} seeds, for {', '.join(experiments)}\n")
        return 0
    use_threads(args)
    started = time.monotonic()
    division = _thinned(
        divide(photographs_of(args), SEED),
        size,
    )
    out = args.out / size_name
    with stop_on_signal() as stopped, runs_of_their_own():
        trials = Trials(division, size, out, project=args.project, stop=stopped.is_set)
        results = trials.run(wanted)
        rows = answer_questions(questions, division, size, out, args.project, stopped.is_set)
    report = args.out / f"report-{size_name}.md"
    write_report(
        report,
        _facts(args, size_name, division, time.monotonic() - started),
        size,
        [(experiment, [r for r in results if _asks_for(experiment, r)]) for experiment in chosen],
        rows,
    )
    sys.stdout.write(f"{report}\n")
    return 0


def trials_of(experiments: Sequence[Experiment]) -> dict[Trial, list[str]]:
    """Return every trial that `experiments` compare, once, with the names of those that do."""
    wanted: dict[Trial, list[str]] = {}
    for experiment in experiments:
        for _, trial in experiment.trials:
            names = wanted.setdefault(trial, [])
            if experiment.name not in names:
                names.append(experiment.name)
    return wanted


def _asks_for(experiment: Experiment, result: Result) -> bool:
    return any(trial == result.trial for _, trial in experiment.trials)


def _thinned(division: Division, size: Size) -> Division:
    """Return the division with no more training photographs than `size` wants, chosen at random."""
    if not size.photographs or len(division.training) <= size.photographs:
        return division
    random = np.random.default_rng([SEED, 70])
    kept = random.permutation(len(division.training))[: size.photographs]
    return Division([division.training[i] for i in sorted(kept.tolist())], division.validation)


def answer_questions(
    questions: Sequence[str],
    division: Division,
    size: Size,
    out: Path,
    project: str,
    stop: Callable[[], bool],
) -> list[tuple[str, list[Row]]]:
    """Return the answers to questions about the cascade, which is trained first."""
    if not questions:
        return []
    settings = CascadeSettings(
        recipe="article",
        schedules={side: Schedule(size.epochs, LEARNING_RATE, seed=SEED) for side in SIZES_PX},
        crops_per_epoch={side: max(1, size.crops[side] // size.epochs) for side in SIZES_PX},
        batch_size=BATCH_SIZE,
        min_face_px=MIN_FACE_PX,
        mining_photographs=size.mining_photographs,
        threshold_photographs=size.judged_photographs,
        project=project,
        group="cascade",
    )
    levels = train_levels(division, settings, out / "cascade", stop)
    random = np.random.default_rng([SEED, 71])
    held_out = [p for p in division.validation if len(p.faces) and p.complete]
    judged = [held_out[i] for i in random.permutation(len(held_out))[: size.judged_photographs]]
    asked = Questioned(levels, judged, MIN_FACE_PX, project)
    answers = []
    for name in questions:
        kept = out / "cascade" / f"{name}.json"
        if kept.exists():
            rows = [Row(**row) for row in json.loads(kept.read_text())]
        else:
            rows = list(ASKED[name](asked))
            kept.write_text(json.dumps([asdict(row) for row in rows], indent=1))
        answers.append((name, rows))
    return answers


def _facts(args: argparse.Namespace, size_name: str, division: Division, seconds: float) -> list[str]:
    data = "the 100 bundled faces" if args.data is None else f"the photographs of {args.data.name!r}"
    sides = [
        f"{len(side):,} photographs with {sum(len(p.faces) for p in side):,} faces"
        for side in (division.training, division.validation)
    ]
    flags = "" if args.size is None else f" --{args.size}"
    return [
        f"Made by `deepevent reproduce {' '.join(args.names)}{flags}` on {data}: {sides[0]} to learn from, "
        f"{sides[1]} to judge by. Torch {torch.__version__} on {torch.get_num_threads()} threads of the "
        f"processor; this last start of the command took {seconds / 60:.0f} minutes."
    ]
