"""The cascade as a pipeline: windows of many images flow through generators, in full batches.

Every stage is a generator from `Candidates` to `Candidates`, one per image and in the order of the images.
Stages that run a net collect windows of as many images as a batch needs, so the number of images in flight,
and with it the memory, is bounded by the batch size. Every stage notes what it kept and from which window of
the stage before it came (`parents`), for `log_detections` and for asking why a face was missed.

This module knows boxes, scores and nets as functions from crops to probabilities; nothing of training.
Source: Li et al., CVPR 2015, section 3; batches between stages are the article's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from deepevent_trainer import calibration
from deepevent_trainer.boxes import as_boxes, squared
from deepevent_trainer.pyramid import SCALE_STEP, crop_windows, levels, window_corners
from deepevent_trainer.suppression import Overlap, suppress

if TYPE_CHECKING:
    # The fast detector runs these stages without torch.
    import torch

    from deepevent_trainer.networks import Network

FACE = 1
Kind = Literal["classify", "calibrate", "suppress", "final"]
# (N, S, S, 3) uint8 -> (N, C) probabilities.
Classifier = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
# A level (H, W[, 3]) uint8 -> (C, h, w) answers, one for each window.
Mapper = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class StageRecord:
    """What one stage kept of one image.

    Attributes:
        name: of the stage, `det12`, `cal12`, `suppress12`.
        kind: what the stage does.
        boxes: `(N, 4)` float32.
        scores: `(N,)` float32 in [0, 1], of the detection net that judged the window last.
        parents: `(N,)` int64, index of the window of the stage before; -1 in the first stage.
        n_seen: how many windows the stage looked at.
        threshold: the score from which the stage accepts, if it judges.
        judged: `(M,)` float32 in [0, 1], what it gave to every window of the stage before, the ones that it
            turned down included; None if it does not judge, or nothing was before it.
    """

    name: str
    kind: Kind
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    parents: NDArray[np.int64]
    n_seen: int
    threshold: float | None = None
    judged: NDArray[np.float32] | None = None


@dataclass(eq=False)
class Candidates:
    """The windows of one image on their way through the cascade.

    Attributes:
        image: `(H, W, 3)` uint8.
        boxes: `(N, 4)` float32.
        scores: `(N,)` float32.
        scales: `(N,)` int64, the level of the pyramid that each window came from.
        stages: what the stages so far kept.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32] = field(default_factory=lambda: as_boxes([]))
    scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    scales: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    stages: list[StageRecord] = field(default_factory=list)
    # (N, 4) where the net that judged last saw the edges of the face; used by the next `move`.
    offsets: NDArray[np.float32] | None = None

    def passed(
        self,
        name: str,
        kind: Kind,
        kept: NDArray[np.int64],
        boxes: NDArray[np.float32] | None = None,
        scores: NDArray[np.float32] | None = None,
        threshold: float | None = None,
        judged: NDArray[np.float32] | None = None,
    ) -> Candidates:
        """Return the windows `kept`, with new `boxes` or `scores` of those if given, and the stage noted."""
        new_boxes = self.boxes[kept] if boxes is None else boxes
        new_scores = self.scores[kept] if scores is None else scores
        record = StageRecord(name, kind, new_boxes, new_scores, kept, len(self.boxes), threshold, judged)
        return Candidates(self.image, new_boxes, new_scores, self.scales[kept], [*self.stages, record])


Stage = Callable[[Iterable[Candidates]], Iterator[Candidates]]


def all_windows(
    images: Iterable[NDArray[np.uint8]], size_px: int, min_face_px: float, scale_step: float = SCALE_STEP
) -> Iterator[Candidates]:
    """Yield every window of every image, for a first stage that looks at crops one by one."""
    for image in images:
        boxes, scales = [as_boxes([])], [np.zeros(0, dtype=np.int64)]
        for level in levels(image, size_px, min_face_px, scale_step):
            height, width = level.pixels.shape[:2]
            corners = window_corners(height, width, size_px)
            boxes.append(level.boxes(corners, size_px))
            scales.append(np.full(len(corners), level.index, dtype=np.int64))
        joined = np.concatenate(boxes)
        yield Candidates(image, joined, np.ones(len(joined), dtype=np.float32), np.concatenate(scales))


def scan(
    images: Iterable[NDArray[np.uint8]],
    network: Network,
    threshold: float,
    min_face_px: float,
    scale_step: float = SCALE_STEP,
) -> Iterator[Candidates]:
    """Yield the windows of every image that `network` takes for a face, scanning each level in one pass."""
    answers = mapper(network)
    size_px, stride_px = network.size_px, network.stride_px
    return scan_with(images, network.name, answers, size_px, stride_px, threshold, min_face_px, scale_step)


def scan_with(
    images: Iterable[NDArray[np.uint8]],
    name: str,
    answers_of: Mapper,
    size_px: int,
    stride_px: int,
    threshold: float,
    min_face_px: float,
    scale_step: float = SCALE_STEP,
    *,
    peaks: bool = False,
) -> Iterator[Candidates]:
    """Yield the windows of every image that the net behind `answers_of` takes for a face.

    `peaks` keeps of those only the ones with no better window among their eight neighbours: a filter within
    scales that costs next to nothing, before any work on windows.
    """
    for image in images:
        boxes, scores = [as_boxes([])], [np.zeros(0, dtype=np.float32)]
        scales, offsets = [np.zeros(0, dtype=np.int64)], [np.zeros((0, 4), dtype=np.float32)]
        n_seen = 0
        for level in levels(image, size_px, min_face_px, scale_step):
            answers = answers_of(level.pixels)
            faces = answers[FACE]
            accepted = faces >= threshold
            if peaks:
                # A place outside of the map counts as the lowest score.
                accepted &= faces >= cv2.dilate(faces, _NEIGHBOURS)
            rows, columns = np.nonzero(accepted)
            n_seen += faces.size
            corners = np.stack([columns, rows], axis=1) * stride_px
            boxes.append(level.boxes(corners, size_px))
            scores.append(faces[rows, columns])
            scales.append(np.full(len(rows), level.index, dtype=np.int64))
            if len(answers) == _WITH_BOX:
                offsets.append(answers[2:, rows, columns].T)
        found, probability = np.concatenate(boxes), np.concatenate(scores)
        parents = np.full(len(found), -1, dtype=np.int64)
        record = StageRecord(name, "classify", found, probability, parents, n_seen, threshold)
        moves = np.concatenate(offsets)
        yield Candidates(
            image,
            found,
            probability,
            np.concatenate(scales),
            [record],
            moves if len(moves) == len(found) else None,
        )


# Two classes and four edges.
_WITH_BOX = 6
_NEIGHBOURS = np.ones((3, 3), dtype=np.uint8)


def face_map(network: Network, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probability of a face at every window of a level `(H, W, 3)`, `(h, w)` float32."""
    found: NDArray[np.float32] = network.probabilities(_as_tensor(pixels[None]))[0, FACE].numpy()
    return found


def mapper(network: Network) -> Mapper:
    """Return `network` as a function from a level to the answers for its windows."""

    def answers(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = network.answers(_as_tensor(pixels[None]))[0].numpy()
        return found

    return answers


def windowed(judge: Classifier, size_px: int, stride_px: int, batch_size: int) -> Mapper:
    """Return what `mapper` returns, each window cut out of the level and judged by itself.

    This is how the first stage ran before it was one pass over a level: kept to measure what that gains.
    """

    def answers(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        windows = np.lib.stride_tricks.sliding_window_view(pixels, (size_px, size_px), axis=(0, 1))
        windows = windows[::stride_px, ::stride_px]
        n_rows, n_columns = windows.shape[:2]
        crops = windows if pixels.ndim == 2 else np.moveaxis(windows, 2, -1)
        crops = np.array(crops.reshape(-1, size_px, size_px, *pixels.shape[2:]))
        judged = [judge(crops[at : at + batch_size]) for at in range(0, len(crops), batch_size)]
        return np.concatenate(judged).T.reshape(-1, n_rows, n_columns)

    return answers


def classifier(network: Network) -> Classifier:
    """Return `network` as a function from crops `(N, S, S, 3)` uint8 to probabilities `(N, C)` float32."""

    def classify_crops(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = network.answers(_as_tensor(crops)).flatten(1).numpy()
        return found

    return classify_crops


def classify(
    name: str,
    judge: Classifier,
    size_px: int,
    threshold: float,
    batch_size: int,
    context: float = 1.0,
    *,
    heeds_before: bool = False,
) -> Stage:
    """Return a stage that keeps the windows which `judge` takes for a face.

    `judge` sees the square around each box, `context` times as wide; if it answers a box too, that is kept
    for a `move`. With `heeds_before` the score is the mean of its own and the one before, as `mean_score` has
    it.
    """

    def stage(stream: Iterable[Candidates]) -> Iterator[Candidates]:
        for candidates, probabilities in in_batches(stream, judge, size_px, batch_size, context):
            scores = probabilities[:, FACE]
            if heeds_before:
                scores = mean_score(candidates.scores, scores)
            kept = np.flatnonzero(scores >= threshold).astype(np.int64)
            passed = candidates.passed(
                name, "classify", kept, scores=scores[kept], threshold=threshold, judged=scores
            )
            if len(passed.stages) == 1:
                # The windows before the first stage are noted nowhere, so there is nothing to point to.
                passed.stages[0].parents[:] = -1
            if probabilities.shape[1] == _WITH_BOX:
                passed.offsets = probabilities[kept, 2:]
            yield passed

    return stage


def mean_score(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the mean of two nets' scores, taken over their log-odds.

    Nets that see a window at different sizes are wrong about different windows.
    """
    odds = [np.log(p) - np.log1p(-p) for p in (_inside(first), _inside(second))]
    return np.asarray(1 / (1 + np.exp(-(odds[0] + odds[1]) / 2)), dtype=np.float32)


def _inside(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return probabilities that are neither 0 nor 1."""
    return np.clip(probabilities.astype(np.float64), 1e-6, 1 - 1e-6)


def calibrate(
    name: str, judge: Classifier, size_px: int, batch_size: int, floor: float = calibration.CHANCE
) -> Stage:
    """Return a stage that moves every window as `judge`'s 45 probabilities say."""

    def stage(stream: Iterable[Candidates]) -> Iterator[Candidates]:
        for candidates, probabilities in in_batches(stream, judge, size_px, batch_size):
            every = np.arange(len(candidates.boxes), dtype=np.int64)
            moved = as_boxes(calibration.calibrate(candidates.boxes, probabilities, floor))
            yield candidates.passed(name, "calibrate", every, boxes=moved)

    return stage


def move(name: str) -> Stage:
    """Return a stage that moves every window to where the net before saw the face."""

    def stage(stream: Iterable[Candidates]) -> Iterator[Candidates]:
        for candidates in stream:
            every = np.arange(len(candidates.boxes), dtype=np.int64)
            windows = squared(candidates.boxes).astype(np.float64)
            offsets = np.zeros_like(windows) if candidates.offsets is None else candidates.offsets
            found = windows + offsets * (windows[:, 2:3] - windows[:, :1])
            # A net that is quite lost may turn a box inside out: then the window stays.
            lost = ((found[:, 2:] - found[:, :2]) < 1).any(axis=1)
            found[lost] = windows[lost]
            yield candidates.passed(name, "calibrate", every, boxes=as_boxes(found))

    return stage


def suppression(name: str, threshold: float, *, within_scales: bool, overlap: Overlap = "iou") -> Stage:
    """Return a stage that keeps the best of overlapping windows, within each scale or over all."""

    def stage(stream: Iterable[Candidates]) -> Iterator[Candidates]:
        for candidates in stream:
            groups = candidates.scales if within_scales else None
            kept = suppress(candidates.boxes, candidates.scores, threshold, groups=groups, overlap=overlap)
            yield candidates.passed(name, "suppress" if within_scales else "final", kept)

    return stage


def in_batches(
    stream: Iterable[Candidates], judge: Classifier, size_px: int, batch_size: int, context: float = 1.0
) -> Iterator[tuple[Candidates, NDArray[np.float32]]]:
    """Yield each image of `stream` with `judge`'s answers for its windows, `(N, C)`, in order.

    `judge` is given `batch_size` windows at a time, of as many images as that takes; only the last batch is
    smaller. An image without windows waits for its turn and gets no answers, `(0, 45)`.
    """
    waiting: deque[_Waiting] = deque()
    crops: list[NDArray[np.uint8]] = []
    owners: list[tuple[_Waiting, int]] = []
    n_crops = 0

    def flush() -> None:
        nonlocal n_crops
        answers = judge(np.concatenate(crops))
        start = 0
        for owner, n in owners:
            owner.answers.append(answers[start : start + n])
            owner.n_missing -= n
            start += n
        crops.clear()
        owners.clear()
        n_crops = 0

    for candidates in stream:
        owner = _Waiting(candidates, len(candidates.boxes))
        waiting.append(owner)
        start = 0
        while start < len(candidates.boxes):
            part = candidates.boxes[start : start + batch_size - n_crops]
            crops.append(crop_windows(candidates.image, widened(part, context), size_px))
            owners.append((owner, len(part)))
            n_crops += len(part)
            start += len(part)
            if n_crops == batch_size:
                flush()
        while waiting and not waiting[0].n_missing:
            yield waiting.popleft().complete()
    if n_crops:
        flush()
    while waiting:
        yield waiting.popleft().complete()


def widened(boxes: NDArray[np.float32], context: float) -> NDArray[np.float32]:
    """Return the squares around `boxes`, `context` times as wide; the boxes as they are for 1."""
    if context == 1.0:
        return boxes
    square = squared(boxes)
    margin = (square[:, 2:] - square[:, :2]) * np.float32((context - 1) / 2)
    return np.concatenate([square[:, :2] - margin, square[:, 2:] + margin], axis=1)


@dataclass(eq=False)
class _Waiting:
    """An image whose windows are not all judged."""

    candidates: Candidates
    n_missing: int
    answers: list[NDArray[np.float32]] = field(default_factory=list)

    def complete(self) -> tuple[Candidates, NDArray[np.float32]]:
        if not self.answers:
            return self.candidates, np.zeros((0, calibration.N_CLASSES), dtype=np.float32)
        return self.candidates, np.concatenate(self.answers)


def run(stream: Iterator[Candidates], *stages: Stage) -> Iterator[Candidates]:
    """Return `stream` sent through `stages`, one behind the other."""
    for stage in stages:
        stream = stage(stream)
    return stream


def _as_tensor(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Return `(N, H, W, 3)` pixels as `(N, 3, H, W)`, `(N, H, W)` of luminance as `(N, 1, H, W)`."""
    import torch

    if pixels.ndim == 3:
        return torch.from_numpy(np.ascontiguousarray(pixels))[:, None]
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
