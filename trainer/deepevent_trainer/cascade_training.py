"""`deepevent train cascade --recipe best`: the nets of the cascade, one behind the other.

Each net is trained in rounds; before every round the cascade so far, from a net's second round on with the
net itself, searches photographs for background that it takes for faces, and the net learns from what was
found. A net whose checkpoint is complete is not trained again, so an interrupted command goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deepevent.errors import SettingsError
from deepevent_trainer import box_cascade, cascade, checkpoint
from deepevent_trainer.arguments import use_threads
from deepevent_trainer.boxes import squared
from deepevent_trainer.cascade import Candidates
from deepevent_trainer.data import crops
from deepevent_trainer.data.box_crops import BoxCrops, Faces
from deepevent_trainer.data.crops import Crops
from deepevent_trainer.data.folder import read_folder
from deepevent_trainer.data.mining import joined, mine
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.split import Division, divide
from deepevent_trainer.distributed import ALONE, Group
from deepevent_trainer.loop import Sample, Sampler, Schedule
from deepevent_trainer.net_training import RunLabels, train_net
from deepevent_trainer.networks import Network, build_network
from deepevent_trainer.plans import Plan
from deepevent_trainer.recipes import CASCADES, plan_of
from deepevent_trainer.records import detections
from deepevent_trainer.samples import choose, small
from deepevent_trainer.stopping import end_when, stop_on_signal
from deepevent_trainer.thresholds import LOWEST, choose_threshold

# Epochs of each round of a net, in shares of --epochs: what the last net lets pass is what a person sees.
COURSES: dict[str, tuple[float, ...]] = {"det12": (1, 0.5), "det24": (1, 1), "det48": (1, 1, 1)}
LATER_ROUNDS_RATE = 0.4
# Nets are mined a little below their thresholds, so that the next one knows what lies around those.
MINING_THRESHOLD_SHARE = 0.7
OWN_MINING_THRESHOLD = 0.3
# Faces smaller than this teach nothing that an enlarged crop could show.
SMALLEST_FACE_PX = 18.0
MIN_FACE_PX = 24.0


def train_cascade(args: argparse.Namespace, group: Group = ALONE) -> int:
    """Train the nets of `args.recipe` in order; return the exit code.

    Args:
        args: of `deepevent train cascade`.
        group: this process alone, with the device that it trains on.

    Raises:
        TrainingStopped: if somebody stopped it; called again, it goes on.
    """
    use_threads(args, default=1)
    division = divide(read_folder(args.data, args.positives_only, spare_covered=True), args.seed)
    with stop_on_signal() as stopped:
        return train_nets(Workshop(args, division, stopped.is_set, group=group))


def train_nets(work: Workshop) -> int:
    """Train the nets that `work.args` wants, each behind those before it; return the exit code.

    Raises:
        TrainingStopped: if `work.stop` says so; the same work goes on where it was.
    """
    args, division = work.args, work.division
    names = CASCADES[args.recipe]
    wanted = args.nets.split(",") if args.nets else names
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise SettingsError(f"recipe {args.recipe!r} has no net {unknown[0]!r}; it has {', '.join(names)}")
    for name in wanted:
        if name in work.thresholds() and work.path(name).exists():
            _say(f"{name}: trained already, {work.path(name)}")
            continue
        _train_net(work, plan_of(name, args.recipe))
        so_far = work.trained(before=name, itself=True)
        judges = judges_of([network for network, _ in so_far], {one.name: limit for one, limit in so_far})
        threshold = choose_threshold(
            judges, division.validation, MIN_FACE_PX, args.seed, before_each=work.check(name)
        )
        work.note_threshold(name, threshold)
        _say(f"{name}: accepts from {threshold:.4f} on")
    return 0


@dataclass(frozen=True)
class Workshop:
    """What a training of the cascade works with: arguments, photographs and the folder of checkpoints.

    Attributes:
        args: of the command.
        division: of the photographs.
        stop: whether somebody wants it to stop.
        n_windows: of training and of validation, drawn at random, and as many mined before each round.
        group: this process alone, with the device that it trains on.
    """

    args: argparse.Namespace
    division: Division
    stop: Callable[[], bool]
    n_windows: tuple[int, int] = (8_000, 2_000)
    group: Group = ALONE

    def path(self, name: str) -> Path:
        """Return where the checkpoint of a net lies."""
        return Path(self.args.out) / f"{name}.pt"

    def thresholds(self) -> dict[str, float]:
        """Return the score from which each trained net accepts."""
        return checkpoint.load_thresholds(Path(self.args.out))

    def note_threshold(self, name: str, threshold: float) -> None:
        """Keep the threshold of a net, in the order of the cascade."""
        found = self.thresholds() | {name: threshold}
        ordered = {one: found[one] for one in CASCADES[self.args.recipe] if one in found}
        checkpoint.save_thresholds(Path(self.args.out), ordered)

    def check(self, name: str) -> Callable[[], None]:
        """Return what the searches for a net call before each photograph, to end when somebody stops it."""
        return end_when(self.stop, f"{name} of {self.args.recipe}", self.args.out)

    def trained(self, before: str, *, itself: bool = False) -> list[tuple[Network, float]]:
        """Return the nets that stand before a net and are trained by now, with their thresholds.

        A net may be trained while one before it is not there yet (`--nets`): its first rounds then learn from
        what the still earlier ones let pass. `itself` adds the net, at the lowest threshold.
        """
        thresholds, found = self.thresholds(), []
        for name in CASCADES[self.args.recipe]:
            if name == before:
                if itself:
                    found.append((self._load(name), LOWEST))
                break
            if name in thresholds:
                found.append((self._load(name), thresholds[name]))
        return found

    def _load(self, name: str) -> Network:
        return checkpoint.network_from(checkpoint.load(self.path(name)))


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
    kept = crops.positives(photographs, size_px, seed, SMALLEST_FACE_PX, planes=1)
    sides = np.ones((len(kept), 2), dtype=np.float32)
    for index in range(len(kept)):
        faces = photographs[kept.photographs[index]].faces
        match = int(np.abs(squared(faces) - kept.boxes[index]).sum(axis=1).argmin())
        width, height = faces[match, 2:] - faces[match, :2]
        sides[index] = (width / max(width, height), height / max(width, height))
    return Faces(kept, sides)


def _train_net(work: Workshop, plan: Plan) -> None:
    """Train one net, in rounds of mining, to its checkpoint; rounds that are complete are passed over."""
    args, name = work.args, plan.name
    torch.manual_seed(args.seed)
    network = build_network(name, args.recipe)
    windows = Windows(work, plan)
    sampler = _sampler(work, name)
    shares = COURSES[name]
    for number, share in enumerate(shares, start=1):
        windows.add_round(network if number > 1 else None)
        rate = args.learning_rate * (1 if number == 1 else LATER_ROUNDS_RATE)
        epochs = max(1, round(args.epochs * share))
        labels = RunLabels(
            f"{name} round {number}",
            args.project,
            args.group or f"cascade-{args.recipe}",
            ("cascade", name),
            {
                "net": name,
                "recipe": args.recipe,
                "round": number,
                "epochs": epochs,
                "learning_rate": rate,
                "batch_size": args.batch_size,
                "loss": args.loss,
                "seed": args.seed,
            },
        )
        trained = train_net(
            deepcopy(network),  # what is mined with it is mined with it as it was
            windows.source,
            Schedule(
                epochs,
                rate,
                weight_decay=args.weight_decay,
                seed=args.seed,
                loss=args.loss,
                mixed_precision=args.amp,
            ),
            labels,
            work.path(name) if number == len(shares) else work.path(f"{name}.round{number}"),
            sampler=sampler,
            stop=work.stop,
            group=work.group,
        )
        network = trained.network


class Windows:
    """What a net learns from: faces, and the background of every round so far.

    A training that goes on finds the same background again as when it was stopped: a round is searched with
    the net as the round before has left it, in the order of the rounds, and not before a round needs it.
    """

    def __init__(self, work: Workshop, plan: Plan) -> None:
        self._work, self._plan = work, plan
        self._sides = (work.division.training, work.division.validation)
        self._faces: list[Faces] = []
        self._background: list[Crops] = []
        self._rounds: list[Network | None] = []
        self._n_searched = 0

    def add_round(self, itself: Network | None) -> None:
        """Let another round begin, which is searched by the net too, if it has learnt something."""
        self._rounds.append(itself)

    def source(self) -> BoxCrops:
        """Cut what was not cut yet, search for what the last round needs, and return its batches.

        Raises:
            TrainingStopped: somebody stopped the search.
        """
        args, size_px = self._work.args, self._plan.size_px
        if not self._faces:
            self._faces = [faces_of(side, size_px, args.seed) for side in self._sides]
            self._background = [
                crops.negatives(side, size_px, count, args.seed + index, planes=1)
                for index, (side, count) in enumerate(zip(self._sides, self._work.n_windows, strict=True))
            ]
        for itself in self._rounds[self._n_searched :]:
            for index, side in enumerate(self._sides):
                found = _mined(self._work, itself, self._plan, side, self._work.n_windows[index])
                self._background[index] = joined([self._background[index], *found])
        self._n_searched = number = len(self._rounds)
        _say(
            f"{self._plan.name}, round {number}: {len(self._faces[0].crops)} faces, "
            f"{len(self._background[0])} windows of background"
        )
        return BoxCrops(
            (self._faces[0], self._background[0]),
            (self._faces[1], self._background[1]),
            context=self._plan.context,
            batch_size=args.batch_size,
            crops_per_epoch=args.crops_per_epoch,
            seed=args.seed + number,
        )


def _mined(
    work: Workshop, itself: Network | None, plan: Plan, photographs: Sequence[Photograph], most: int
) -> list[Crops]:
    """Return the background that the cascade so far takes for faces; nothing where there is none."""
    so_far = work.trained(before=plan.name)
    networks = [network for network, _ in so_far]
    limits = {network.name: threshold * MINING_THRESHOLD_SHARE for network, threshold in so_far}
    if itself is not None:
        networks.append(itself.eval())
        limits[plan.name] = OWN_MINING_THRESHOLD
    if not networks:
        return []
    order = np.random.default_rng([work.args.seed, 50, len(networks)]).permutation(len(photographs))
    chosen = [photographs[index] for index in order[: work.args.mining_photographs]]
    judges = judges_of(networks, limits)

    def find(images: Iterable[NDArray[np.uint8]]) -> Iterator[Candidates]:
        return box_cascade.pipeline(images, judges, MIN_FACE_PX)

    check = work.check(plan.name)
    return [mine(find, chosen, plan.size_px, most, SMALLEST_FACE_PX, planes=1, before_each=check)]


def _sampler(work: Workshop, name: str) -> Sampler:
    """Return what shows the cascade so far on a few photographs, the net in training as its last."""
    shown = [small(photograph) for photograph in choose(work.division.validation, work.args.seed)]
    before = work.trained(before=name)

    def sample(trained: Network, _measures: dict[str, float]) -> list[Sample]:
        limits = {one.name: threshold for one, threshold in before} | {name: 0.5}
        judges = judges_of([*(one for one, _ in before), trained], limits)
        if judges[0].mapper is None:
            return []
        images = [photograph.read() for photograph in shown]
        outs = box_cascade.pipeline(images, judges, MIN_FACE_PX)
        return [
            (photograph.name, image, detections(out.stages, photograph.faces, train=False))
            for photograph, image, out in zip(shown, images, outs, strict=True)
        ]

    return sample


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")
    sys.stderr.flush()
