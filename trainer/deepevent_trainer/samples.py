"""Sample photographs: the same few each epoch, with the windows that the cascade so far accepts on them.

Knows photographs and the pipeline; the loop calls it and logs what it gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from deepevent_trainer import cascade
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.loop import Sample
from deepevent_trainer.measures import first_stage_threshold
from deepevent_trainer.networks import Network
from deepevent_trainer.records import detections

N_SAMPLES = 4
# Larger photographs are shown and searched at this size: the page shows them no larger, and an epoch waits
# for them.
MAX_SIDE_PX = 480
# Overlap at which the better of two windows of one scale stays (Li et al.'s repositories use 0.3 to 0.5).
LOCAL_IOU = 0.5


class CascadeSamples:
    """Runs the cascade so far over a few photographs: the net in training behind those before it."""

    def __init__(
        self,
        photographs: Sequence[Photograph],
        *,
        training_names: frozenset[str],
        min_face_px: float,
        detector: tuple[Network, float] | None = None,
        batch_size: int = 256,
    ) -> None:
        """Take the photographs, and for a calibration net the detector before it, with its threshold."""
        self._photographs = [small(photograph) for photograph in photographs]
        self._training_names = training_names
        self._min_face_px = min_face_px
        self._detector = detector
        self._batch_size = batch_size

    def __call__(self, network: Network, measures: dict[str, float]) -> Iterator[Sample]:
        """Yield name, pixels and detections of each photograph; a detection net accepts as `measures` say."""
        images = [photograph.read() for photograph in self._photographs]
        for photograph, found in zip(
            self._photographs, self._pipeline(network, measures, images), strict=True
        ):
            record = detections(found.stages, photograph.faces, train=photograph.name in self._training_names)
            yield photograph.name, found.image, record

    def _pipeline(
        self,
        network: Network,
        measures: dict[str, float],
        images: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]],
    ) -> Iterator[cascade.Candidates]:
        size_px = network.size_px
        local = cascade.suppression(f"suppress{size_px}", LOCAL_IOU, within_scales=True)
        if network.plan.task == "detection":
            return cascade.run(
                cascade.scan(images, network, first_stage_threshold(measures), self._min_face_px), local
            )
        judge = cascade.classifier(network)
        moved = cascade.calibrate(network.name, judge, size_px, self._batch_size)
        if self._detector is None:
            return cascade.run(cascade.all_windows(images, size_px, self._min_face_px), moved, local)
        detector, threshold = self._detector
        return cascade.run(cascade.scan(images, detector, threshold, self._min_face_px), moved, local)


def choose(photographs: Sequence[Photograph], seed: int, count: int = N_SAMPLES) -> list[Photograph]:
    """Return up to `count` photographs with faces to look at: real ones before composed scenes."""
    random = np.random.default_rng([seed, 30])
    shuffled = [photographs[index] for index in random.permutation(len(photographs))]
    with_faces = [photograph for photograph in shuffled if len(photograph.faces)]
    # A file is a photograph; pixels in memory were composed.
    return sorted(with_faces, key=lambda photograph: photograph.path is None)[:count]


def small(photograph: Photograph) -> Photograph:
    """Return the photograph in memory, at most `MAX_SIDE_PX` long, its boxes with it."""
    image = photograph.read()
    scale = MAX_SIDE_PX / max(image.shape[:2])
    if scale >= 1:
        return replace(photograph, pixels=image)
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    pixels = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    ratio = np.array([width / image.shape[1], height / image.shape[0]] * 2, dtype=np.float32)
    return replace(
        photograph, pixels=pixels, faces=photograph.faces * ratio, ignored=photograph.ignored * ratio
    )
