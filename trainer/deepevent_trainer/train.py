"""`deepevent train NET`: from photographs to a trained net, logged as a run.

Puts the pieces together: photographs, their division, crops, the loop, the run. The pieces know nothing of
it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import torch

import deepevent
from deepevent.errors import CheckpointInvalid, SettingsError
from deepevent_trainer import checkpoint
from deepevent_trainer.arguments import (
    add_photographs,
    add_project,
    add_threads,
    photographs_of,
    use_threads,
)
from deepevent_trainer.calibrated_training import SIZES_PX, CascadeSettings, train_levels
from deepevent_trainer.cascade_training import train_cascade
from deepevent_trainer.data.batches import Source
from deepevent_trainer.data.calibration_crops import CalibrationCrops
from deepevent_trainer.data.detection_crops import DetectionCrops
from deepevent_trainer.data.material import Material, gather
from deepevent_trainer.data.split import divide
from deepevent_trainer.distributed import Group, joined
from deepevent_trainer.loop import Outcome, Schedule, train
from deepevent_trainer.losses import RULES
from deepevent_trainer.measures import first_stage_threshold
from deepevent_trainer.networks import RECIPES, Network, build_network, describe, plan_of
from deepevent_trainer.own_runs import runs_of_their_own
from deepevent_trainer.recipes import CASCADES
from deepevent_trainer.samples import CascadeSamples, choose
from deepevent_trainer.stopping import stop_on_signal

HELP = "train a net of the face cascade on annotated photographs"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `deepevent train`."""
    nets = sorted({name for recipe in RECIPES.values() for name in recipe})
    parser.add_argument(
        "net",
        choices=[*nets, "cascade"],
        metavar="NET",
        help=f"{', '.join(nets)}; cascade: all nets of a recipe",
    )
    parser.add_argument(
        "--mining-photographs", type=int, default=1_200, help="searched for wrong windows (%(default)s)"
    )
    parser.add_argument(
        "--nets", metavar="NAMES", help="of cascade: only these, by comma; others are taken as --out has them"
    )
    add_photographs(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("checkpoints"),
        metavar="DIR",
        help="where checkpoints go (%(default)s)",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--epochs", type=int, default=30, help="(%(default)s)")
    parser.add_argument("--batch-size", type=int, default=64, help="(%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.05, help="(%(default)s)")
    parser.add_argument("--weight-decay", type=float, default=5e-4, help="(%(default)s)")
    parser.add_argument(
        "--crops-per-epoch",
        type=int,
        default=16_384,
        help="at least so many, small sets repeat (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument(
        "--loss",
        choices=RULES,
        default="plain",
        help="all windows of a batch, its hardest 70 %% (ohem), or the unsure ones (focal) (%(default)s)",
    )
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="article", help="(%(default)s)")
    parser.add_argument("--batch-norm", action="store_true", help="normalise each convolution per batch")
    parser.add_argument(
        "--colour",
        choices=("auto", "rgb", "grey"),
        default="auto",
        help="what the net sees; auto: grey when many photographs are",
    )
    parser.add_argument(
        "--min-face", type=float, metavar="PX", help="smallest face to learn from (the net's window)"
    )
    parser.add_argument("--det12", type=Path, metavar="FILE", help="for cal12's samples (det12.pt in --out)")
    add_threads(parser)
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="where it computes (%(default)s)"
    )
    parser.add_argument("--amp", action="store_true", help="mixed precision; with --device cuda")
    parser.add_argument(
        "--describe", action="store_true", help="print the net's layers, parameters and FLOPs, and stop"
    )
    parser.add_argument("--name", help="of the run (the net's name)")
    add_project(parser, "cascade")
    parser.add_argument("--group", help="of the run")
    parser.add_argument("--notes", default="", help="of the run")


def execute(args: argparse.Namespace) -> int:
    """Train, and return 0 when it completed or was stopped on request."""
    if args.net == "cascade":
        with runs_of_their_own():
            return _cascade(args)
    if args.describe:
        network = build_network(args.net, args.recipe, batch_norm=args.batch_norm)
        sys.stdout.write(describe(network) + "\n")
        return 0
    with joined(args.device) as group:
        return _train(args, group)


def _train(args: argparse.Namespace, group: Group) -> int:
    """Train one net, together with the other processes of the group."""
    use_threads(args)
    schedule = _schedule(args)
    save_to = args.out / f"{args.net}.pt"
    resumed = checkpoint.load(save_to) if args.resume else None
    photographs = photographs_of(args)
    plan = plan_of(args.net, args.recipe)
    material = gather(divide(photographs, args.seed), plan.size_px, args.seed, args.min_face)
    colour = material.colour if args.colour == "auto" else args.colour
    torch.manual_seed(args.seed)
    network = build_network(args.net, args.recipe, batch_norm=args.batch_norm, colour=colour)
    source = _source(network, material, args)
    samples = CascadeSamples(
        choose(material.division.validation, args.seed),
        training_names=frozenset(p.name for p in material.division.training),
        min_face_px=max(args.min_face or 0, 20.0 if args.data is None else 24.0),
        detector=_detector(args, network),
    )
    config = {
        "net": args.net,
        "recipe": args.recipe,
        "batch_norm": args.batch_norm,
        "colour": colour,
        "epochs": args.epochs,
        "batch_size": args.batch_size,
        "learning_rate": args.learning_rate,
        "momentum": schedule.momentum,
        "weight_decay": args.weight_decay,
        "loss": args.loss,
        "seed": args.seed,
        "data": "bundled" if args.data is None else args.data.resolve().name,
        **material.counts(),
    }
    config |= {"processes": group.size} if group.size > 1 else {}
    say = _say if group.leads else _say_nothing
    say(f"{args.net}: {material.sentence()}")
    run = deepevent.start(
        name=args.name or args.net,
        project=args.project,
        config=config,
        tags=("cascade", args.net),
        notes=_notes(args.notes, network, material),
        group=args.group,
        resume=None if resumed is None else resumed["note"].get("run"),
    )
    with run, stop_on_signal() as stopped:
        say(f"{args.net}: run {run.id} begins; Ctrl-C stops it and keeps a checkpoint for --resume")
        outcome = train(
            network,
            source,
            schedule,
            run,
            save_to=save_to,
            sampler=samples,
            stop=stopped.is_set,
            resume_from=resumed,
            note={"run": run.id},
            group=group,
        )
        if group.leads:
            run.summary.update({**outcome.measures, **material.counts()})
        run.finish(outcome.status)
    say(f"{args.net}: {_result(outcome)}; checkpoint in {save_to}")
    return 0


def _cascade(args: argparse.Namespace) -> int:
    """Describe or train all nets of a recipe."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SettingsError("train cascade is one process; torchrun trains one net at a time")
    names = CASCADES.get(args.recipe)
    if names is None:
        raise SettingsError(f"recipe {args.recipe!r} is no cascade; there are {', '.join(CASCADES)}")
    if args.describe:
        nets = (build_network(name, args.recipe, batch_norm=args.batch_norm) for name in names)
        sys.stdout.write("\n".join(describe(network) for network in nets) + "\n")
        return 0
    if not plan_of(names[0], args.recipe).finds_box:
        return _calibrated(args)
    if args.data is None:
        raise SettingsError("train cascade needs --data DIR with annotated photographs")
    _schedule(args)  # what cannot be used is told before photographs are read
    with joined(args.device) as group:
        return train_cascade(args, group)


def _calibrated(args: argparse.Namespace) -> int:
    """Train the six nets of a recipe with calibration."""
    use_threads(args)
    photographs = photographs_of(args)
    division = divide(photographs, args.seed)
    colour = args.colour
    if colour == "auto":
        colour = gather(division, SIZES_PX[0], args.seed, args.min_face).colour
    settings = CascadeSettings(
        recipe=args.recipe,
        schedules=dict.fromkeys(SIZES_PX, _schedule(args)),
        crops_per_epoch=dict.fromkeys(SIZES_PX, args.crops_per_epoch),
        batch_size=args.batch_size,
        batch_norm=args.batch_norm,
        min_face_px=args.min_face or 24.0,
        mining_photographs=args.mining_photographs,
        seed=args.seed,
        colour=colour,
        project=args.project,
        group=args.group,
    )
    with joined(args.device) as group, stop_on_signal() as stopped:
        levels = train_levels(division, settings, args.out, stopped.is_set, group)
    _say(f"{args.recipe}: {len(levels)} levels trained, checkpoints and thresholds in {args.out}")
    return 0


def _schedule(args: argparse.Namespace) -> Schedule:
    """Return how a net is trained.

    Raises:
        SettingsError: if a value cannot be used, or the device has no mixed precision.
    """
    if args.amp and not (args.device == "cuda" and torch.cuda.is_bf16_supported()):
        raise SettingsError("--amp needs --device cuda and a GPU that computes in bfloat16")
    return Schedule(
        args.epochs,
        args.learning_rate,
        weight_decay=args.weight_decay,
        seed=args.seed,
        loss=args.loss,
        mixed_precision=args.amp,
    )


def _source(network: Network, material: Material, args: argparse.Namespace) -> Source:
    common: dict[str, Any] = {
        "batch_size": args.batch_size,
        "crops_per_epoch": args.crops_per_epoch,
        "seed": args.seed,
    }
    if network.plan.task == "calibration":
        return CalibrationCrops(*material.faces, **common, with_boxes=network.plan.finds_box)
    training = (material.faces[0], material.background[0])
    return DetectionCrops(training, (material.faces[1], material.background[1]), **common)


def _detector(args: argparse.Namespace, network: Network) -> tuple[Network, float] | None:
    """Return the trained det12 before a 12 px calibration net, with its threshold, if there is one."""
    if network.plan.task != "calibration" or network.size_px != 12:
        return None
    path = args.det12 or args.out / "det12.pt"
    if args.det12 is None and not path.exists():
        _say(f"no {path}: the samples show every window moved; train det12 first to see only what it accepts")
        return None
    state = checkpoint.load(path)
    if state["net"] != "det12":
        raise CheckpointInvalid(f"--det12 {str(path)!r} is a checkpoint of {state['net']}, not of det12")
    return checkpoint.network_from(state), first_stage_threshold(state["measures"])


def _notes(own: str, network: Network, material: Material) -> str:
    """Return the run's notes: the person's own, what it learns from, and what its accuracy means."""
    if network.plan.task == "detection":
        meaning = (
            "Accuracy is the share of windows told right, half of them faces and half background: guessing "
            "is right half of the time."
        )
    else:
        meaning = (
            "Accuracy is the share of moved faces whose move, one of 45, is named exactly: guessing is right "
            "once in 45 times. What counts is val/iou_after against val/iou_before."
        )
    varied = (
        "Training figures are taken while windows are varied and parts of the net are dropped out, so they "
        "are lower than validation's."
    )
    learnt = f"{material.sentence()[0].upper()}{material.sentence()[1:]}."
    return " ".join(filter(None, [own, learnt, meaning, varied]))


def _result(outcome: Outcome) -> str:
    measures = outcome.measures
    if not measures:
        return f"{outcome.status} before the end of the first epoch"
    accuracy = measures["val/accuracy"]
    told = f"{outcome.status} after {outcome.progress.epoch} epochs, validation accuracy {accuracy:.3f}"
    if "val/iou_after" in measures:
        before, after = measures["val/iou_before"], measures["val/iou_after"]
        told += f", overlap with the face {before:.3f} before and {after:.3f} after calibration"
    return told


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")


def _say_nothing(_message: str) -> None:
    """Leave it to the process that leads."""
