"""Training the article's cascade: six nets, each behind what the ones before it let through.

det12 learns from random background, det24 and det48 also from what the cascade before them takes for faces;
thresholds keep a share of the faces (Li et al., CVPR 2015, section 4.2: 99 % behind the first net, 97 %
behind the second). A net whose checkpoint is complete is not trained again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deepevent_trainer import checkpoint
from deepevent_trainer.calibrated_cascade import CascadeLevel, pipeline
from deepevent_trainer.cascade import Candidates
from deepevent_trainer.data import crops
from deepevent_trainer.data.batches import Source
from deepevent_trainer.data.calibration_crops import CalibrationCrops
from deepevent_trainer.data.crops import Crops
from deepevent_trainer.data.detection_crops import DetectionCrops
from deepevent_trainer.data.material import Material, gather
from deepevent_trainer.data.mining import Find, joined, mine
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.split import Division
from deepevent_trainer.distributed import ALONE, Group
from deepevent_trainer.loop import Sample, Sampler, Schedule
from deepevent_trainer.measures import first_stage_threshold
from deepevent_trainer.net_training import RunLabels, TrainedNet, train_net
from deepevent_trainer.networks import Colour, Network, build_network
from deepevent_trainer.records import detections
from deepevent_trainer.samples import choose, small
from deepevent_trainer.stopping import end_when
from deepevent_trainer.thresholds import passing_threshold

SIZES_PX = (12, 24, 48)
# Shares of the faces that reach a level and pass it.
RECALL = {24: 0.97, 48: 0.95}
MOST_MINED = 8_000


@dataclass(frozen=True, kw_only=True)
class CascadeSettings:
    """How the six nets are trained.

    Attributes:
        recipe: `article` or `paper`.
        schedules: by side of the window.
        crops_per_epoch: by side of the window.
        batch_size: of the training.
        batch_norm: whether convolutions are normalised.
        min_face_px: smallest face that the cascade is asked to find while it is trained.
        mining_photographs: searched for what the cascade takes for faces.
        threshold_photographs: whose faces choose the thresholds.
        seed: of weights, order and augmentation.
        colour: what the nets see; `grey` where many photographs are.
        project, group: of the runs.
    """

    recipe: str
    schedules: dict[int, Schedule]
    crops_per_epoch: dict[int, int]
    batch_size: int = 64
    batch_norm: bool = False
    min_face_px: float = 24.0
    mining_photographs: int = 1_200
    threshold_photographs: int = 120
    seed: int = 0
    colour: Colour = "grey"
    project: str = "cascade"
    group: str | None = None


def smallest_face_px(size_px: int) -> float:
    """Return the smallest face that a net of `size_px` learns from: small sets have few large ones."""
    return float(min(size_px, 24))


def train_levels(
    division: Division,
    settings: CascadeSettings,
    out: Path,
    stop: Callable[[], bool] = lambda: False,
    group: Group = ALONE,
) -> list[CascadeLevel]:
    """Train the six nets into `out` and return them with their thresholds.

    Raises:
        TrainingStopped: if somebody stopped it; called again, it goes on.
    """
    thresholds = checkpoint.load_thresholds(out)
    levels: list[CascadeLevel] = []
    random = np.random.default_rng([settings.seed, 60])
    searched = [division.training[i] for i in random.permutation(len(division.training))]
    judged = [p for p in division.validation if len(p.faces)]
    judged = [judged[i] for i in random.permutation(len(judged))[: settings.threshold_photographs]]
    shown = [small(photograph) for photograph in choose(division.validation, settings.seed)]
    for size_px in SIZES_PX:
        material = _Once(division, size_px, settings.seed)
        check = end_when(stop, f"det{size_px} of {settings.recipe}", out)
        background = _detection_source(material, settings, levels, searched, check)
        show = _sampler(settings, levels, None, shown)
        judge = _train(f"det{size_px}", settings, out, background, show, stop, group)
        name = judge.network.name
        if name not in thresholds:
            thresholds[name] = _threshold(judge, levels, judged, settings.min_face_px, check)
            checkpoint.save_thresholds(out, thresholds)
            sys.stderr.write(f"{name}: accepts from {thresholds[name]:.4f} on\n")
        level = CascadeLevel(judge.network, thresholds[name])
        show = _sampler(settings, levels, level, shown)
        moved = _calibration_source(material, settings)
        mover = _train(f"cal{size_px}", settings, out, moved, show, stop, group)
        levels.append(replace(level, calibrator=mover.network))
    return levels


def _threshold(
    judge: TrainedNet,
    levels: Sequence[CascadeLevel],
    judged: Sequence[Photograph],
    min_face_px: float,
    check: Callable[[], None],
) -> float:
    """Return the score from which a level accepts."""
    if not levels:
        return first_stage_threshold(judge.measures)
    find = _finder([*levels, CascadeLevel(judge.network, 0.0)], min_face_px)
    recall = RECALL[judge.network.size_px]
    return passing_threshold(find, judged, recall, min_face_px, before_each=check)


class _Once:
    """Crops of one size, cut when they are first asked for."""

    def __init__(self, division: Division, size_px: int, seed: int) -> None:
        self._division, self.size_px, self._seed = division, size_px, seed
        self._material: Material | None = None

    def get(self) -> Material:
        if self._material is None:
            smallest = smallest_face_px(self.size_px)
            self._material = gather(self._division, self.size_px, self._seed, smallest)
        return self._material


def _detection_source(
    material: _Once,
    settings: CascadeSettings,
    levels: Sequence[CascadeLevel],
    searched: Sequence[Photograph],
    check: Callable[[], None],
) -> Callable[[], Source]:
    def make() -> Source:
        cut = material.get()
        parts: list[Crops] = [cut.background[0]]
        if levels:
            find = _finder(levels, settings.min_face_px)
            chosen = searched[: settings.mining_photographs]
            most = min(MOST_MINED, crops.max_crops(material.size_px))
            mined = mine(find, chosen, material.size_px, most, before_each=check)
            sys.stderr.write(
                f"det{material.size_px}: {len(mined):,} windows that the cascade takes for faces\n"
            )
            parts.append(mined)
        return DetectionCrops(
            (cut.faces[0], joined(parts)),
            (cut.faces[1], cut.background[1]),
            batch_size=settings.batch_size,
            crops_per_epoch=settings.crops_per_epoch[material.size_px],
            seed=settings.seed,
        )

    return make


def _calibration_source(material: _Once, settings: CascadeSettings) -> Callable[[], Source]:
    def make() -> Source:
        return CalibrationCrops(
            *material.get().faces,
            batch_size=settings.batch_size,
            crops_per_epoch=settings.crops_per_epoch[material.size_px],
            seed=settings.seed,
        )

    return make


def _train(
    name: str,
    settings: CascadeSettings,
    out: Path,
    make_source: Callable[[], Source],
    sampler: Sampler,
    stop: Callable[[], bool],
    group: Group,
) -> TrainedNet:
    torch.manual_seed(settings.seed)
    network = build_network(name, settings.recipe, batch_norm=settings.batch_norm, colour=settings.colour)
    schedule = settings.schedules[network.size_px]
    config = {
        "net": name,
        "recipe": settings.recipe,
        "batch_norm": network.batch_norm,
        "epochs": schedule.epochs,
        "learning_rate": schedule.learning_rate,
        "batch_size": settings.batch_size,
        "crops_per_epoch": settings.crops_per_epoch[network.size_px],
        "seed": settings.seed,
    }
    labels = RunLabels(
        f"{name} of {settings.recipe}",
        settings.project,
        settings.group or f"cascade-{settings.recipe}",
        ("cascade", name),
        config,
    )
    path = out / f"{name}.pt"
    return train_net(network, make_source, schedule, labels, path, sampler=sampler, stop=stop, group=group)


def _sampler(
    settings: CascadeSettings,
    levels: Sequence[CascadeLevel],
    detector: CascadeLevel | None,
    shown: list[Photograph],
) -> Sampler:
    """Return what shows the cascade so far on a few photographs, the net in training as its last."""

    def sample(network: Network, measures: dict[str, float]) -> list[Sample]:
        if detector is None:
            last = CascadeLevel(network, first_stage_threshold(measures))
        else:
            last = CascadeLevel(detector.detector, detector.threshold, network)
        images = [photograph.read() for photograph in shown]
        found = pipeline(images, [*levels, last], settings.min_face_px)
        return [
            (photograph.name, image, detections(one.stages, photograph.faces, train=False))
            for photograph, image, one in zip(shown, images, found, strict=True)
        ]

    return sample


def _finder(levels: Sequence[CascadeLevel], min_face_px: float) -> Find:
    """Return the cascade up to `levels` as what feeds the next one."""

    def find(images: Iterable[NDArray[np.uint8]]) -> Iterator[Candidates]:
        return pipeline(images, levels, min_face_px, final=False)

    return find
