"""The cascade of the article: at 12, 24 and 48 px a net that judges, one that moves, and a filter.

det12 -> cal12 -> filter -> det24 -> cal24 -> filter -> det48 -> cal48 -> global filter. Levels may be left
out at the end and calibration everywhere, which is what the article's experiments do. Knows trained nets;
nothing of training.
Source: Li et al., CVPR 2015, section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepevent.errors import SettingsError
from deepevent_trainer import calibration, cascade
from deepevent_trainer.cascade import Candidates, Mapper, Stage
from deepevent_trainer.networks import Network
from deepevent_trainer.pyramid import SCALE_STEP

LOCAL_IOU = 0.5
GLOBAL_IOU = 0.3


@dataclass(frozen=True, eq=False)
class CascadeLevel:
    """One size of window.

    Attributes:
        detector: tells faces from background.
        threshold: the score from which it accepts.
        calibrator: moves what is accepted, or None.
    """

    detector: Network
    threshold: float
    calibrator: Network | None = None


def pipeline(
    images: Iterable[NDArray[np.uint8]],
    levels: Sequence[CascadeLevel],
    min_face_px: float,
    *,
    scale_step: float = SCALE_STEP,
    step_px: int | None = None,
    floor: float = calibration.CHANCE,
    batch_size: int = 256,
    scans: bool = True,
    final: bool = True,
) -> Iterator[Candidates]:
    """Yield what is found on every image, in order.

    Args:
        images: each `(H, W, 3)` uint8 RGB.
        levels: from the smallest window to the largest.
        min_face_px: smallest face to find.
        scale_step: ratio between neighbouring scales.
        step_px: between neighbouring windows of a scale; a multiple of the first net's own step.
        floor: calibration classes under it are dropped (see `calibration.average`).
        batch_size: windows that a net judges at a time.
        scans: whether the first net judges a level in one pass, and not its windows in batches.
        final: whether the filter over all scales follows; without it the windows feed a further level.

    Raises:
        SettingsError: if `step_px` is no multiple of the first net's step.
    """
    first = levels[0]
    network = first.detector
    if scans:
        answers = cascade.mapper(network)
    else:
        judge = cascade.classifier(network)
        answers = cascade.windowed(judge, network.size_px, network.stride_px, batch_size)
    stream = cascade.scan_with(
        images,
        network.name,
        _every(answers, network.stride_px, step_px),
        network.size_px,
        step_px or network.stride_px,
        first.threshold,
        min_face_px,
        scale_step,
    )
    stages: list[Stage] = []
    for number, level in enumerate(levels):
        net, size_px = level.detector, level.detector.size_px
        if number:
            judge = cascade.classifier(net)
            stages.append(cascade.classify(net.name, judge, size_px, level.threshold, batch_size))
        if level.calibrator is not None:
            mover = cascade.classifier(level.calibrator)
            stages.append(cascade.calibrate(level.calibrator.name, mover, size_px, batch_size, floor))
        if number + 1 < len(levels) or not final:
            stages.append(cascade.suppression(f"suppress{size_px}", LOCAL_IOU, within_scales=True))
    if final:
        stages.append(cascade.suppression("final", GLOBAL_IOU, within_scales=False))
    return cascade.run(stream, *stages)


def _every(answers: Mapper, stride_px: int, step_px: int | None) -> Mapper:
    """Return `answers` at every `step_px` only."""
    if step_px is None or step_px == stride_px:
        return answers
    if step_px % stride_px:
        raise SettingsError(f"step_px must be a multiple of the net's {stride_px} px, got {step_px!r}")
    every = step_px // stride_px

    def thinned(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return answers(pixels)[:, ::every, ::every]

    return thinned
