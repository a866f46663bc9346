"""Training the nets that experiments compare, one after the other, each seed a run.

Crops of one size and amount are cut once and serve all trials of that kind, so trials are sorted by what they
need. Knows nets and photographs; not the questions.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from deepevent_trainer.calibrated_training import smallest_face_px
from deepevent_trainer.data.batches import Source
from deepevent_trainer.data.calibration_crops import CalibrationCrops
from deepevent_trainer.data.detection_crops import DetectionCrops
from deepevent_trainer.data.material import Material, gather
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.split import Division
from deepevent_trainer.experiments.catalogue import SMALL_SHARE, Amount, Size, Trial
from deepevent_trainer.loop import Schedule
from deepevent_trainer.net_training import RunLabels, train_net
from deepevent_trainer.networks import build_network, plan_of

BATCH_SIZE = 64
# Nets without normalisation learn more slowly and diverge earlier.
LEARNING_RATE, LEARNING_RATE_WITH_BATCH_NORM = 0.02, 0.05


@dataclass(frozen=True)
class Result:
    """One trained net: its `trial` and `seed`, the `measures` of its last epoch, and the id of its `run`."""

    trial: Trial
    seed: int
    measures: dict[str, float]
    run: str


def small_part(photographs: Iterable[Photograph], share: float = SMALL_SHARE) -> list[Photograph]:
    """Return the photographs of a share of the groups, chosen by a hash of the group's name."""

    def place(group: str) -> float:
        return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64

    return [photograph for photograph in photographs if place(photograph.group or photograph.name) < share]


class Trials:
    """Trains trials on one division of photographs into one folder."""

    def __init__(
        self,
        division: Division,
        size: Size,
        out: Path,
        *,
        project: str,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take what to learn from, how much, and where checkpoints go."""
        self._division, self._size, self._out = division, size, out
        self._project, self._stop = project, stop
        self._cut: tuple[tuple[int, Amount], Material] | None = None

    def run(self, wanted: Mapping[Trial, Sequence[str]]) -> list[Result]:
        """Train every trial with every seed; `wanted` has the names of the experiments that ask for it.

        Raises:
            TrainingStopped: if somebody stopped it; finished trials are passed over the next time.
        """
        order = sorted(wanted, key=lambda trial: (_side(trial), trial.data, trial.key))
        results = []
        for number, trial in enumerate(order, 1):
            for seed in range(self._size.seeds):
                sys.stderr.write(f"{number} of {len(order)}: {trial.key}, seed {seed}\n")
                results.append(self._train(trial, seed, wanted[trial]))
        return results

    def _train(self, trial: Trial, seed: int, experiments: Sequence[str]) -> Result:
        side = _side(trial)
        torch.manual_seed(seed)
        network = build_network(trial.net, trial.recipe, batch_norm=trial.batch_norm, colour="grey")
        rate = LEARNING_RATE_WITH_BATCH_NORM if trial.batch_norm else LEARNING_RATE
        crops_per_epoch = round(self._size.crops[side] * trial.effort / self._size.epochs)
        labels = RunLabels(
            f"{trial.key} seed {seed}",
            self._project,
            trial.key,
            ("reproduce", *experiments),
            {
                "net": trial.net,
                "recipe": trial.recipe,
                "batch_norm": trial.batch_norm,
                "data": trial.data,
                "crops": crops_per_epoch * self._size.epochs,
                "learning_rate": rate,
                "batch_size": BATCH_SIZE,
                "seed": seed,
            },
        )

        def source() -> Source:
            material = self._material(side, trial.data)
            common: dict[str, Any] = {
                "batch_size": BATCH_SIZE,
                "crops_per_epoch": crops_per_epoch,
                "seed": seed,
            }
            if network.plan.task == "calibration":
                return CalibrationCrops(
                    *material.faces, **common, whole_rounds=False, with_boxes=network.plan.finds_box
                )
            faces, background = material.faces, material.background
            pairs = (faces[0], background[0]), (faces[1], background[1])
            return DetectionCrops(*pairs, **common, whole_rounds=False)

        schedule = Schedule(self._size.epochs, rate, seed=seed)
        path = self._out / trial.key / f"seed{seed}.pt"
        trained = train_net(network, source, schedule, labels, path, stop=self._stop)
        return Result(trial, seed, trained.measures, trained.run)

    def _material(self, side: int, data: Amount) -> Material:
        """Return the crops of one kind; those of another are let go first."""
        if self._cut is None or self._cut[0] != (side, data):
            self._cut = None
            division = self._division
            if data == "small":
                division = Division(small_part(division.training), division.validation)
            self._cut = ((side, data), gather(division, side, 0, smallest_face_px(side)))
        return self._cut[1]


def _side(trial: Trial) -> int:
    return plan_of(trial.net, trial.recipe).size_px
