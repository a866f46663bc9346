"""`deepevent train cascade --recipe best`: all nets of the cascade, one behind the other.

Each later net learns from background that the cascade so far takes for faces, twice: once before it is
trained and once with itself in the cascade. A net whose checkpoint is complete is not trained again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import deepevent
from deepevent_trainer import box_cascade, cascade, checkpoint
from deepevent_trainer.boxes import as_boxes, iou, squared
from deepevent_trainer.data import crops
from deepevent_trainer.data.box_crops import BoxCrops, Faces
from deepevent_trainer.data.crops import Crops, is_background
from deepevent_trainer.data.folder import read_folder
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.split import divide
from deepevent_trainer.loop import Sample, Schedule, train
from deepevent_trainer.networks import Network, build_network
from deepevent_trainer.plans import Plan
from deepevent_trainer.recipes import CASCADES, plan_of
from deepevent_trainer.records import detections
from deepevent_trainer.samples import choose, small

RECALL_FLOORS = {"det12": 0.97, "det24": 0.97}
FINAL_THRESHOLD = 0.2
MINING_THRESHOLD_SHARE = 0.5
MINED_A_PHOTOGRAPH = 40
# Faces smaller than this teach nothing that an enlarged crop could show.
SMALLEST_FACE_PX = 14.0
MIN_FACE_PX = 24.0


def train_cascade(args: argparse.Namespace) -> int:
    """Train every net of `args.recipe` in order; return the exit code."""
    torch.set_num_threads(args.threads or 1)
    cv2.setNumThreads(args.threads or 1)
    division = divide(read_folder(args.data, args.positives_only), args.seed)
    table = args.out / "thresholds.json"
    thresholds: dict[str, float] = json.loads(table.read_text()) if table.exists() else {}
    done: list[Network] = []
    for name in CASCADES[args.recipe]:
        plan = plan_of(name, args.recipe)
        path = args.out / f"{name}.pt"
        if name in thresholds and path.exists():
            done.append(checkpoint.network_from(checkpoint.load(path)))
            _say(f"{name}: trained already, {path}")
            continue
        network = _stage(args, plan, path, division.training, division.validation, done, thresholds)
        done.append(network)
        thresholds[name] = _threshold(done, thresholds, division.validation, args.seed)
        table.write_text(json.dumps(thresholds, indent=1))
        _say(f"{name}: accepts from {thresholds[name]:.4f} on")
    return 0


def judges_of(networks: Sequence[Network], thresholds: dict[str, float]) -> list[box_cascade.Judge]:
    """Return torch nets as the stages of `box_cascade` take them."""
    judges = []
    for network in networks:
        mapper = cascade.mapper(network) if network.plan.slides else None
        judges.append(
            box_cascade.Judge(
                network.name,
                network.size_px,
                network.plan.context,
                thresholds[network.name],
                cascade.classifier(network),
                mapper,
                network.stride_px,
            )
        )
    return judges


def faces_of(photographs: Sequence[Photograph], size_px: int, seed: int) -> Faces:
    """Return the faces large enough to learn from, with the annotated box of each."""
    kept = crops.positives(photographs, size_px, seed, SMALLEST_FACE_PX)
    sides = np.ones((len(kept), 2), dtype=np.float32)
    for index in range(len(kept)):
        faces = photographs[kept.photographs[index]].faces
        match = int(np.abs(squared(faces) - kept.boxes[index]).sum(axis=1).argmin())
        width, height = faces[match, 2:] - faces[match, :2]
        sides[index] = (width / max(width, height), height / max(width, height))
    return Faces(kept, sides)


def mine(
    judges: Sequence[box_cascade.Judge], photographs: Sequence[Photograph], size_px: int, most: int
) -> Crops:
    """Return windows of background that the cascade so far takes for faces, no photograph giving too many.

    Photographs whose faces are not all annotated give none, and no window overlaps a face.
    """
    found: list[NDArray[np.float32]] = []
    n = 0
    for photograph in photographs:
        boxes = as_boxes([])
        if photograph.complete and n < most:
            candidates = next(box_cascade.pipeline([photograph.read()], judges, MIN_FACE_PX))
            windows = squared(candidates.boxes)
            wrong = is_background(windows, photograph) & (windows[:, 2] - windows[:, 0] >= SMALLEST_FACE_PX)
            boxes = windows[wrong][:MINED_A_PHOTOGRAPH]
        n += len(boxes)
        found.append(boxes)
    return crops.cut(photographs, found, size_px)


def _stage(
    args: argparse.Namespace,
    plan: Plan,
    path: Path,
    training: Sequence[Photograph],
    validation: Sequence[Photograph],
    done: Sequence[Network],
    thresholds: dict[str, float],
) -> Network:
    """Train one net, in two rounds of mining."""
    torch.manual_seed(args.seed)
    network = build_network(plan.name, args.recipe)
    size = plan.size_px
    faces = (faces_of(training, size, args.seed), faces_of(validation, size, args.seed))
    random_background = [
        crops.negatives(side, size, count, args.seed + index)
        for index, (side, count) in enumerate(((training, 6_000), (validation, 1_500)))
    ]
    loose = {name: value * MINING_THRESHOLD_SHARE for name, value in thresholds.items()}
    shuffled = [training[i] for i in np.random.default_rng([args.seed, 50]).permutation(len(training))]
    shown = [small(p) for p in choose(validation, args.seed)]
    for number in (1, 2):
        last = number == 2
        mined: list[Crops] = []
        so_far = [*done, network.eval()] if last else list(done)
        if so_far:
            limits = {**loose, plan.name: 0.3}
            mined.append(mine(judges_of(so_far, limits), shuffled[: args.mining_photographs], size, 7_000))
            _say(f"{plan.name}, round {number}: {len(mined[0])} wrong windows found")
        background = joined([random_background[0], *mined])
        source = BoxCrops(
            (faces[0], background),
            (faces[1], random_background[1]),
            context=plan.context,
            batch_size=args.batch_size,
            crops_per_epoch=args.crops_per_epoch,
            seed=args.seed + number,
        )
        schedule = Schedule(args.epochs, args.learning_rate if not last else args.learning_rate / 3)
        save_to = path if last else path.with_suffix(".round1.pt")
        resumed = checkpoint.load(save_to) if save_to.exists() else None
        run = deepevent.start(
            name=f"{plan.name} round {number}",
            project=args.project,
            group=args.group or f"cascade-{args.recipe}",
            config={"net": plan.name, "recipe": args.recipe, "round": number, "n_mined": len(background)},
        )
        with run:

            def sampler(trained: Network, _measures: dict[str, float]) -> list[Sample]:
                limits = {**thresholds, plan.name: 0.5}
                images = [p.read() for p in shown]
                outs = box_cascade.pipeline(images, judges_of([*done, trained], limits), MIN_FACE_PX)
                return [
                    (p.name, image, detections(out.stages, p.faces, train=False))
                    for p, image, out in zip(shown, images, outs, strict=True)
                ]

            outcome = train(
                network,
                source,
                schedule,
                run,
                save_to=save_to,
                sampler=sampler,
                resume_from=resumed,
                note={"run": run.id},
            )
            run.summary.update(outcome.measures)
        _say(
            f"{plan.name}, round {number}: "
            + json.dumps({k: round(v, 4) for k, v in outcome.measures.items()})
        )
    return network.eval()


def joined(parts: Sequence[Crops]) -> Crops:
    """Return several pools as one; the indices of photographs of later pools mean nothing any more."""
    return Crops(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.photographs for part in parts]),
        parts[0].size_px,
    )


def _threshold(
    networks: Sequence[Network], thresholds: dict[str, float], photographs: Sequence[Photograph], seed: int
) -> float:
    """Return the highest score at which the last net keeps its share of the faces that reach it."""
    name = networks[-1].name
    if name not in RECALL_FLOORS:
        return FINAL_THRESHOLD
    judges = judges_of(networks, {**thresholds, name: 0.01})
    best: list[float] = []
    chosen = [p for p in photographs if len(p.faces)]
    order = np.random.default_rng([seed, 51]).permutation(len(chosen))[:120]
    for index in order:
        photograph = chosen[index]
        tall = photograph.faces[(photograph.faces[:, 3] - photograph.faces[:, 1]) >= MIN_FACE_PX]
        found = next(box_cascade.pipeline([photograph.read()], judges, MIN_FACE_PX))
        if len(tall) and len(found.boxes):
            overlaps = iou(squared(tall), squared(found.boxes)) >= 0.4
            scores = np.where(overlaps, found.scores[None], 0).max(axis=1)
            best += scores[scores > 0].tolist()
    if not best:
        return 0.5
    return float(np.quantile(best, 1 - RECALL_FLOORS[name]))


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")
    sys.stderr.flush()
