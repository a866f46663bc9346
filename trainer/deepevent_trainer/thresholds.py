"""From which score each net of a cascade accepts, chosen on validation photographs.

The nets before the last one let through a share of the faces that reach them (Li et al., CVPR 2015, section
4.2, with 99 and 97 %); the last one is where precision and recall balance. Knows the cascade and photographs
with faces; not how a net is trained. Photographs of a test set have no business here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer import box_cascade
from deepevent_trainer.boxes import iou, squared
from deepevent_trainer.cascade import Candidates
from deepevent_trainer.data.mining import Find
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.evaluation.average_precision import Scene, precision_recall
from deepevent_trainer.evaluation.matching import Detections, SizeRange

# The score under which no window is looked at.
LOWEST = 0.05
RECALL_FLOOR = 0.97
# Photographs that are looked at, and overlap with the face of a window that counts.
MOST_PHOTOGRAPHS = 120
WINDOW_IOU, FOUND_IOU = 0.4, 0.5
# Where the photographs decide nothing.
_UNDECIDED = 0.5


def choose_threshold(
    judges: Sequence[box_cascade.Judge],
    photographs: Sequence[Photograph],
    min_face_px: float,
    seed: int,
    before_each: Callable[[], None] = lambda: None,
) -> float:
    """Return the score from which the last of `judges`, which accepts from `LOWEST` on, is to accept.

    Args:
        judges: the nets so far.
        photographs: to judge by; some of them, in an order of the seed.
        min_face_px: smaller faces do not count.
        seed: of the order.
        before_each: called before each photograph; what it raises ends the search.
    """
    order = np.random.default_rng([seed, 51]).permutation(len(photographs))
    if judges[-1].size_px == box_cascade.LAST_SIZE_PX:
        chosen = [photographs[i] for i in order[:MOST_PHOTOGRAPHS]]
        return _balanced(judges, chosen, min_face_px, before_each)
    with_faces = [photographs[i] for i in order if len(photographs[i].faces)]

    def find(images: Iterable[NDArray[np.uint8]]) -> Iterator[Candidates]:
        return box_cascade.pipeline(images, judges, min_face_px)

    return passing_threshold(
        find, with_faces[:MOST_PHOTOGRAPHS], RECALL_FLOOR, min_face_px, before_each=before_each
    )


def passing_threshold(
    find: Find,
    photographs: Sequence[Photograph],
    recall: float,
    min_face_px: float,
    before_each: Callable[[], None] = lambda: None,
) -> float:
    """Return the highest score at which the last net of `find` keeps its share of the faces that reach it.

    Args:
        find: the cascade with the last net accepting everything.
        photographs: to judge by.
        recall: the share to keep, in (0, 1].
        min_face_px: smaller faces do not count.
        before_each: called before each photograph; what it raises ends the search.
    """
    best: list[float] = []
    for photograph in photographs:
        before_each()
        faces = photograph.faces[photograph.faces[:, 3] - photograph.faces[:, 1] >= min_face_px]
        if not len(faces):
            continue
        found = next(find([photograph.read()]))
        if len(found.boxes):
            on_face = iou(squared(faces), squared(found.boxes)) >= WINDOW_IOU
            scores = np.where(on_face, found.scores[None], -1.0).max(axis=1)
            best += scores[scores >= 0].tolist()
    return float(np.quantile(best, 1 - recall)) if best else _UNDECIDED


def _balanced(
    judges: Sequence[box_cascade.Judge],
    photographs: Sequence[Photograph],
    min_face_px: float,
    before_each: Callable[[], None],
) -> float:
    """Return the score at which the harmonic mean of precision and recall is greatest."""
    scenes = []
    for photograph in photographs:
        before_each()
        found = next(box_cascade.pipeline([photograph.read()], judges, min_face_px))
        detections = Detections(found.boxes, found.scores.astype(np.float64))
        scenes.append(Scene(photograph.faces, photograph.ignored, detections))
    curve = precision_recall(scenes, FOUND_IOU, SizeRange(min_face_px))
    both = curve.precision + curve.recall
    balance = np.divide(curve.precision * curve.recall, both, out=np.zeros_like(both), where=both > 0)
    return float(curve.scores[balance.argmax()]) if balance.any() else _UNDECIDED
