"""The cascade of the recipe `best`: three nets that answer score and box, filters between them.

det12, of neighbouring windows the best -> box12 -> filter -> det24 -> box24 -> filter -> det48 -> box48 ->
global filters. The nets are functions on pixels, so torch and ONNX Runtime run the very same stages. The last
net sees each window and its mirror image, and the mean counts: a point of average precision more on held-out
photographs, for less than a millisecond. Knows no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer import cascade
from deepevent_trainer.cascade import Candidates, Classifier, Mapper, Stage
from deepevent_trainer.pyramid import luminance

# A box moves by itself, so levels need not lie as near as with windows that stay (MTCNN: 1.41).
SCALE_STEP = 1.414
# The net of this size is the last one: its score is joined with the one before.
LAST_SIZE_PX = 48
# A window of a lower score may be the one that the next net knows; 0.8 finds no more faces and costs time.
_LOCAL_IOU = 0.7
_FINAL_IOU, _FINAL_PART = 0.4, 0.7


@dataclass(frozen=True, eq=False)
class Judge:
    """One net as a function.

    Attributes:
        name: of the net.
        size_px: side of its window.
        context: what it sees against the box.
        threshold: the score from which it accepts.
        judge: crops to answers.
        mapper: a level to answers, for the first net.
        stride_px: step of its windows on a level.
    """

    name: str
    size_px: int
    context: float
    threshold: float
    judge: Classifier
    mapper: Mapper | None = None
    stride_px: int = 4


def pipeline(
    images: Iterable[NDArray[np.uint8]],
    judges: Sequence[Judge],
    min_face_px: float,
    *,
    scale_step: float = SCALE_STEP,
    batch_size: int = 256,
) -> Iterator[Candidates]:
    """Yield every image's windows behind the last of `judges`, which may be the first net or two alone."""
    first = judges[0]
    if first.mapper is None:
        raise ValueError(f"{first.name!r} cannot scan a level")
    stream = cascade.scan_with(
        (luminance(image) for image in images),
        first.name,
        first.mapper,
        first.size_px,
        first.stride_px,
        first.threshold,
        min_face_px,
        scale_step,
        peaks=True,
    )
    stages: list[Stage] = []
    for index, judge in enumerate(judges):
        last = judge.size_px == LAST_SIZE_PX
        if index:
            stages.append(
                cascade.classify(
                    judge.name,
                    mirrored_too(judge.judge) if last else judge.judge,
                    judge.size_px,
                    judge.threshold,
                    batch_size,
                    judge.context,
                    heeds_before=last,
                )
            )
        stages.append(cascade.move(f"box{judge.size_px}"))
        iou = _FINAL_IOU if last else _LOCAL_IOU
        stages.append(cascade.suppression(f"suppress{judge.size_px}", iou, within_scales=False))
        if last:
            # A part of a face that looks like a face by itself lies in a better box.
            stages.append(
                cascade.suppression("suppress_parts", _FINAL_PART, within_scales=False, overlap="smaller")
            )
    return cascade.run(stream, *stages)


def mirrored_too(judge: Classifier) -> Classifier:
    """Return `judge` on windows and on their mirror images: the mean of scores and of edges.

    Scores are joined over their log-odds, as `cascade.mean_score` has it.
    """

    def judge_both(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        answers = judge(np.concatenate([pixels, pixels[:, :, ::-1]]))
        straight, mirrored = answers[: len(pixels)], answers[len(pixels) :]
        score = cascade.mean_score(straight[:, cascade.FACE], mirrored[:, cascade.FACE])
        # Left and right change places, and what was to the left lies to the right.
        edges = mirrored[:, _MIRRORED_EDGES] * _MIRRORED_SIGNS
        return np.concatenate([1 - score[:, None], score[:, None], (straight[:, 2:] + edges) / 2], axis=1)

    return judge_both


# Of answers: two classes, then x1, y1, x2, y2.
_MIRRORED_EDGES = [4, 3, 2, 5]
_MIRRORED_SIGNS = np.array([-1, 1, -1, 1], dtype=np.float32)
