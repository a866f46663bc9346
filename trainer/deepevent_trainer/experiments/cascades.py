"""Questions to the trained cascade as a whole; every setting that is tried becomes a run.

Knows the six trained nets and photographs to judge by; not how the nets were trained.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

import deepevent
from deepevent_trainer import calibration
from deepevent_trainer.calibrated_cascade import CascadeLevel, pipeline
from deepevent_trainer.calibrated_training import smallest_face_px
from deepevent_trainer.cascade import Candidates
from deepevent_trainer.data.calibration_crops import CalibrationCrops
from deepevent_trainer.data.crops import positives
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.evaluation.average_precision import Scene, precision_recall
from deepevent_trainer.evaluation.matching import Detections, SizeRange
from deepevent_trainer.measures import paired_iou
from deepevent_trainer.networks import Network
from deepevent_trainer.pyramid import SCALE_STEP
from deepevent_trainer.records import detections

# Photographs whose detections are shown on the page.
N_SHOWN = 4
STEPS_PX = (4, 8, 12)
SCALE_STEPS = (1.18, 1.414, 2.0)
# Li et al.'s repositories drop classes under 0.1.
PAPER_FLOOR = 0.1
BATCH_SIZES = (1, 8, 32, 128, 512)


@dataclass(frozen=True)
class Row:
    """One setting of an experiment: its `label`, what it `measures`, and the id of its `run`."""

    label: str
    measures: dict[str, float]
    run: str


@dataclass(frozen=True, eq=False)
class Questioned:
    """What is asked, and of what.

    Attributes:
        levels: the trained cascade.
        photographs: held out.
        min_face_px: smallest face to find, and to count.
        project: of the runs.
    """

    levels: Sequence[CascadeLevel]
    photographs: Sequence[Photograph]
    min_face_px: float
    project: str

    def ask(
        self,
        experiment: str,
        label: str,
        levels: Sequence[CascadeLevel],
        *,
        scale_step: float = SCALE_STEP,
        step_px: int | None = None,
        batch_size: int = 256,
        scans: bool = True,
    ) -> Row:
        """Run `levels` over all photographs and return what comes out."""
        config = {"levels": len(levels), "scale_step": scale_step, "step_px": step_px or 4}
        config |= {"calibrated": levels[0].calibrator is not None, "batch_size": batch_size}
        config |= {} if scans else {"scans": False}
        run = deepevent.start(
            name=f"{experiment}: {label}",
            project=self.project,
            group=experiment,
            tags=("reproduce", experiment),
            config=config,
        )
        with run:
            images = [photograph.read() for photograph in self.photographs]
            started = time.process_time()
            found = list(
                pipeline(
                    images,
                    levels,
                    self.min_face_px,
                    scale_step=scale_step,
                    step_px=step_px,
                    batch_size=batch_size,
                    scans=scans,
                )
            )
            seconds = time.process_time() - started
            measures = self._measures(found) | {"processor_ms": 1000 * seconds / len(images)}
            run.log(measures, step=0)
            run.summary.update(measures)
            for photograph, image, one in list(zip(self.photographs, images, found, strict=True))[:N_SHOWN]:
                shown = detections(one.stages, photograph.faces, train=False)
                run.log_detections(photograph.name, image, shown, step=0)
        return Row(label, measures, run.id)

    def _measures(self, found: Sequence[Candidates]) -> dict[str, float]:
        scenes = [
            Scene(
                photograph.faces,
                photograph.ignored,
                Detections(one.boxes.astype(np.float64), one.scores.astype(np.float64)),
            )
            for photograph, one in zip(self.photographs, found, strict=True)
        ]
        curve = precision_recall(scenes, 0.5, SizeRange(self.min_face_px))
        n = len(found)
        last = {f"windows/{s.name}": 0.0 for s in found[0].stages}
        for one in found:
            for stage in one.stages:
                last[f"windows/{stage.name}"] += len(stage.boxes) / n
        return {
            "average_precision": curve.average_precision,
            "recall": float(curve.recall.max(initial=0.0)),
            "detections_a_photograph": sum(len(one.boxes) for one in found) / n,
            "windows_seen": sum(one.stages[0].n_seen for one in found) / n,
            **last,
        }


def without_calibration(levels: Sequence[CascadeLevel]) -> list[CascadeLevel]:
    """Return `levels` with nothing that moves a window."""
    return [replace(level, calibrator=None) for level in levels]


def ask_levels(asked: Questioned) -> Iterator[Row]:
    """Yield one, two and three levels."""
    for n in range(1, len(asked.levels) + 1):
        yield asked.ask("levels", f"{n} level{'s' if n > 1 else ''}", asked.levels[:n])


def ask_steps(asked: Questioned) -> Iterator[Row]:
    """Yield steps between windows and between scales, with and without calibration."""
    plain = without_calibration(asked.levels)
    for levels, told in ((asked.levels, "calibrated"), (plain, "not calibrated")):
        for step_px in STEPS_PX:
            yield asked.ask("steps", f"{step_px} px, {told}", levels, step_px=step_px)
        for scale_step in SCALE_STEPS[1:]:
            yield asked.ask("steps", f"scales {scale_step:g} apart, {told}", levels, scale_step=scale_step)


def ask_batch_sizes(asked: Questioned) -> Iterator[Row]:
    """Yield window by window, at the first net too, and sizes of the batches between the stages."""
    some = replace(asked, photographs=asked.photographs[: max(1, len(asked.photographs) // 5)])
    yield some.ask("batch-size", "window by window", asked.levels, batch_size=1, scans=False)
    for batch_size in BATCH_SIZES:
        yield some.ask("batch-size", f"batches of {batch_size}", asked.levels, batch_size=batch_size)


def ask_calibration_use(asked: Questioned) -> Iterator[Row]:
    """Yield ways to make one move of 45 probabilities, on the held-out faces under all 45 transforms."""
    rules: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float64]]] = {
        "average from 1/45 on": calibration.average,
        "average from 0.1 on": lambda p: calibration.average(p, PAPER_FLOOR),
        "arg-max": lambda p: calibration.CLASSES[p.argmax(axis=1)],
    }
    answers = {
        level.calibrator.name: _answers(level.calibrator, asked.photographs)
        for level in asked.levels
        if level.calibrator is not None
    }
    for label, rule in rules.items():
        run = deepevent.start(
            name=f"calibration-use: {label}",
            project=asked.project,
            group="calibration-use",
            tags=("reproduce", "calibration-use"),
            config={"rule": label},
        )
        with run:
            measures: dict[str, float] = {}
            for name, (probabilities, targets) in answers.items():
                face = np.tile(np.array([[0.0, 0.0, 1.0, 1.0]]), (len(targets), 1))
                moved = calibration.encode(face, targets)
                back = calibration.apply(moved, rule(probabilities))
                measures[f"iou_before/{name}"] = float(paired_iou(moved, face).mean())
                measures[f"iou_after/{name}"] = float(paired_iou(back, face).mean())
            run.log(measures, step=0)
            run.summary.update(measures)
        yield Row(label, measures, run.id)


ASKED: dict[str, Callable[[Questioned], Iterator[Row]]] = {
    "levels": ask_levels,
    "steps": ask_steps,
    "calibration-use": ask_calibration_use,
    "batch-size": ask_batch_sizes,
}


def _answers(
    network: Network, photographs: Sequence[Photograph]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return probabilities `(N, 45)` and true classes `(N,)` of faces under the transforms."""
    faces = positives(photographs, network.size_px, 0, smallest_face_px(network.size_px))
    source = CalibrationCrops(faces, faces, batch_size=64, crops_per_epoch=64, seed=0)
    probabilities, targets = [], []
    for batch in source.validation():
        answers = network.probabilities(batch.pixels).flatten(1)
        probabilities.append(answers)
        targets.append(batch.targets)
    return torch.cat(probabilities).numpy(), torch.cat(targets).numpy()
