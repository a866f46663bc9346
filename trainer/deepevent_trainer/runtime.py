"""The fast detector: NumPy, OpenCV and ONNX Runtime, one `.cascade` file, no torch.

    from deepevent_trainer import Detector
    boxes, scores = Detector().detect(image)

The stages are those of `box_cascade`, so its boxes are those of the PyTorch pipeline up to the rounding of
the nets' arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from deepevent.errors import SettingsError
from deepevent_trainer import box_cascade
from deepevent_trainer.cascade import StageRecord
from deepevent_trainer.cascade_file import CascadeFileInvalid, CascadeModel, StageModel, read_cascade

# What the package carries, once trained.
CARRIED = Path(__file__).with_name("weights") / "best.cascade"


# For curves over all scores, which a threshold chosen for use would cut short.
EVALUATION_THRESHOLD = 0.02


@dataclass(frozen=True, eq=False)
class Found:
    """The faces of one image: `boxes` `(N, 4)`, `scores` `(N,)`, falling, and what each stage kept."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    stages: list[StageRecord]


class Detector:
    """Finds faces.

    Args:
        path: a `.cascade` file; None takes the one that the package carries.
        min_face: side of the smallest face to find, in pixels.
        threshold: score from which the last stage accepts, in [0, 1]; None takes the file's.
        threads: of ONNX Runtime.

    Raises:
        SettingsError: if an argument cannot be used.
        CascadeFileInvalid: if the file cannot be used.
    """

    def __init__(
        self,
        path: Path | str | None = None,
        *,
        min_face: float = 24,
        threshold: float | None = None,
        scale_step: float = box_cascade.SCALE_STEP,
        threads: int = 1,
    ) -> None:
        if not min_face >= 12:
            raise SettingsError(f"min_face must be at least 12 pixels, got {min_face!r}")
        if threshold is not None and not 0 <= threshold <= 1:
            raise SettingsError(f"threshold must be in [0, 1], got {threshold!r}")
        if path is None and not CARRIED.exists():
            raise CascadeFileInvalid(
                "this package carries no trained cascade: give the path of a .cascade file"
            )
        self.model: CascadeModel = read_cascade(Path(path) if path is not None else CARRIED)
        self.min_face, self.scale_step = float(min_face), scale_step
        stages = self.model.stages
        limits = [stage.threshold for stage in stages]
        if threshold is not None:
            limits[-1] = threshold
        self.judges = [_judge(stage, limit, threads) for stage, limit in zip(stages, limits, strict=True)]

    def detect(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return boxes `(N, 4)` (see `boxes`) and scores `(N,)`, by falling score.

        Args:
            image: `(H, W, 3)` uint8 RGB, or `(H, W)` grey.
        """
        found = self.explain(image)
        return found.boxes, found.scores

    def explain(self, image: NDArray[np.uint8]) -> Found:
        """Return the faces together with what every stage kept."""
        return next(self.stream([image]))

    def stream(self, images: Iterable[NDArray[np.uint8]]) -> Iterator[Found]:
        """Yield what is found in each image, in order; windows of several images share a batch."""
        checked = (_checked(image) for image in images)
        for found in box_cascade.pipeline(checked, self.judges, self.min_face, scale_step=self.scale_step):
            yield Found(found.boxes, found.scores, found.stages)


def for_evaluation() -> Detector:
    """Return the shipped detector as it is measured: faces from 24 px, from a low score on."""
    return Detector(min_face=24, threshold=EVALUATION_THRESHOLD)


def _checked(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise SettingsError(f"image must be (H, W, 3) or (H, W) uint8, got {image.shape} {image.dtype}")
    return image if image.size else np.zeros((1, 1), dtype=np.uint8)


def _judge(stage: StageModel, threshold: float, threads: int) -> box_cascade.Judge:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(stage.onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise CascadeFileInvalid(
            f"net {stage.name!r} of the cascade file cannot be loaded: {error}"
        ) from error

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = session.run(None, {"pixels": pixels[:, None].astype(np.float32)})[0]
        return np.asarray(found, dtype=np.float32)

    def crops(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return run(pixels).reshape(len(pixels), -1)

    def level(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(run(pixels[None])[0], dtype=np.float32)

    return box_cascade.Judge(
        stage.name,
        stage.size_px,
        stage.context,
        threshold,
        crops,
        level if stage.slides else None,
        stage.stride_px,
    )
