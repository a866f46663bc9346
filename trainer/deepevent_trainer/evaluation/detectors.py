"""Run a detector over photographs and time it.

A detector is anything with `detect(image) -> (boxes, scores)`. It is named by where it comes from, so that
the project's own and anybody else's are measured the same way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Protocol, cast

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from deepevent.errors import SettingsError
from deepevent_trainer.boxes import as_boxes
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers.files import image_size
from deepevent_trainer.evaluation.detections_file import DetectionsFile
from deepevent_trainer.evaluation.matching import Detections

# Names for what would be long to type.
NAMED = {"cascade": "deepevent_trainer.runtime:for_evaluation"}


class Detector(Protocol):
    """What is measured."""

    def detect(self, image: NDArray[np.uint8]) -> tuple[ArrayLike, ArrayLike]:
        """Return boxes, `(N, 4)` (see `boxes`), and scores, `(N,)`, of an image `(H, W, 3)` uint8 RGB."""
        ...


def load_detector(name: str) -> Detector:
    """Return the detector `name`: `module:factory`, called without arguments, or a key of `NAMED`.

    Raises:
        SettingsError: if it cannot be loaded or has no `detect`.
    """
    module_name, separator, factory_name = NAMED.get(name, name).partition(":")
    if not separator:
        raise SettingsError(
            f"no detector is named {name!r}: give {', '.join(NAMED)} or module:factory, as mine.detector:make"
        )
    try:
        factory = getattr(import_module(module_name), factory_name)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"cannot load the detector {name!r}: {error}") from error
    detector = factory()
    if not callable(getattr(detector, "detect", None)):
        raise SettingsError(f"{name!r} makes a {type(detector).__name__}, which has no detect(image)")
    return cast(Detector, detector)


def run_detector(
    detector: Detector,
    photographs: Sequence[Photograph],
    longest_side: int | None = None,
    name: str = "",
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> DetectionsFile:
    """Run `detector` over photographs, one after the other, and time each.

    Args:
        detector: what is measured.
        photographs: in any order; names unique.
        longest_side: scale each photograph to this before, up or down; boxes are scaled back. None leaves it.
        name: written into the result.
        progress: called with the photographs done and all.
    """
    detections, times = {}, {}
    for done, photograph in enumerate(photographs, start=1):
        image, scale = scaled(photograph.read(), longest_side)
        started = time.perf_counter()
        boxes, scores = detector.detect(image)
        times[photograph.name] = (time.perf_counter() - started) * 1000
        detections[photograph.name] = Detections(as_boxes(boxes) / np.float32(scale), np.asarray(scores))
        progress(done, len(photographs))
    return DetectionsFile(detections, name, times)


def scaled(image: NDArray[np.uint8], longest_side: int | None) -> tuple[NDArray[np.uint8], float]:
    """Return `image` with its longer side as given, and the factor; aspect kept."""
    if longest_side is None or longest_side == max(image.shape[:2]):
        return image, 1.0
    factor = longest_side / max(image.shape[:2])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=method), dtype=np.uint8), factor


def scale_of(photograph: Photograph, longest_side: int | None) -> float:
    """Return the factor by which `scaled` changes a photograph."""
    if longest_side is None:
        return 1.0
    if photograph.pixels is not None:
        return longest_side / float(max(photograph.pixels.shape[:2]))
    if photograph.path is None:
        raise ValueError(f"{photograph.name!r} has neither a file nor pixels")
    return longest_side / max(image_size(photograph.path))
