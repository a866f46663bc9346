"""Faces and pieces of background, cut out of photographs once and kept small.

A crop is kept with its surroundings, twice as wide as its box, at about twice the net's resolution:
augmentation and the 45 calibration transforms then need one resampling and never see an edge. Reading,
deciding and cutting happen here; what is done with a crop afterwards is `augment`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer.boxes import area, as_boxes, intersection, iou, squared
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.pyramid import crop_windows, luminance

# A kept crop is this many times as wide as its box.
CONTEXT = 2.0
# A pool of crops takes at most this much memory; a larger one is thinned at random.
MAX_POOL_BYTES = 384 * 2**20
# A window with less overlap than this with every face is background (MTCNN's bound; the article names none).
NEGATIVE_IOU = 0.3
# Share of the background windows that are taken close to a face, where a detector is most often wrong.
NEAR_FACES = 0.3
# How large those are against the face: parts of it as well as more than it.
NEAR_SIZES = (0.3, 2.0)


@dataclass(frozen=True, eq=False)
class Crops:
    """Crops with their surroundings.

    Attributes:
        pixels: `(N, S, S, 3)` uint8, S = `stored_px(size_px)`, or `(N, S, S)` of luminance; the box is the
            middle half.
        boxes: `(N, 4)` float32, where in its photograph each box lies.
        photographs: `(N,)` index of the photograph in the list that the crops were cut from.
        size_px: side of the net's window.
    """

    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    photographs: NDArray[np.int64]
    size_px: int

    def __len__(self) -> int:
        return len(self.pixels)


def oversampling(size_px: int) -> int:
    """Return how many kept pixels stand for one pixel of the net."""
    return 2 if size_px < 48 else 1


def stored_px(size_px: int) -> int:
    """Return the side of a kept crop for a net of `size_px`."""
    return int(CONTEXT * size_px * oversampling(size_px))


def max_crops(size_px: int, planes: int = 3) -> int:
    """Return how many crops a pool holds at most."""
    return MAX_POOL_BYTES // (planes * stored_px(size_px) ** 2)


def positives(
    photographs: Sequence[Photograph],
    size_px: int,
    seed: int,
    min_face_px: float | None = None,
    planes: int = 3,
) -> Crops:
    """Return the faces of at least `min_face_px` (default: the net's window), as squares.

    More than fit into a pool are thinned at random by `seed`. `planes` is 1 for luminance alone.
    """
    smallest = size_px if min_face_px is None else min_face_px
    found = [squared(photograph.faces) for photograph in photographs]
    found = [boxes[boxes[:, 2] - boxes[:, 0] >= smallest] for boxes in found]
    kept = _thinned(found, max_crops(size_px, planes), np.random.default_rng([seed, 1]))
    return cut(photographs, kept, size_px, planes)


def negatives(
    photographs: Sequence[Photograph], size_px: int, count: int, seed: int, planes: int = 3
) -> Crops:
    """Return about `count` random windows of background: of photographs without faces, and away from faces.

    Sizes are drawn so that each doubling is equally likely, from the net's window up to the whole photograph.
    Photographs whose faces are not all annotated give none.
    """
    usable = [index for index, photograph in enumerate(photographs) if photograph.complete]
    count = min(count, max_crops(size_px, planes))
    if not usable or count <= 0:
        return _Pool(0, size_px, planes).crops()
    shares = np.bincount(np.arange(count) % len(usable), minlength=len(usable))
    shares = np.random.default_rng([seed, 3]).permutation(shares)
    pool = _Pool(count, size_px, planes)
    for index, share in zip(usable, shares.tolist(), strict=True):
        random = np.random.default_rng([seed, 2, index])
        image = photographs[index].read()
        windows = background_windows(photographs[index], image.shape[:2], size_px, share, random)
        pool.add(image, windows, index)
    return pool.crops()


def background_windows(
    photograph: Photograph, shape: Sequence[int], size_px: int, count: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """Return at most `count` squares of a photograph of `shape` (H, W) that are not a face, `(n, 4)`."""
    height, width = int(shape[0]), int(shape[1])
    if min(height, width) < size_px:
        return as_boxes([])
    tries = 3 * count
    sides = np.exp(random.uniform(np.log(size_px), np.log(min(height, width)), tries))
    corners = random.uniform(0, 1, (tries, 2)) * (np.array([width, height]) - sides[:, None])
    if len(photograph.faces):
        near = np.flatnonzero(random.random(tries) < NEAR_FACES)
        faces = squared(photograph.faces)[random.integers(len(photograph.faces), size=len(near))]
        factors = np.exp(random.uniform(math.log(NEAR_SIZES[0]), math.log(NEAR_SIZES[1]), len(near)))
        sides[near] = np.maximum((faces[:, 2] - faces[:, 0]) * factors, size_px)
        centre = (faces[:, :2] + faces[:, 2:]) / 2
        away = random.uniform(-1, 1, (len(near), 2)) * sides[near, None]
        corners[near] = centre + away - sides[near, None] / 2
    windows = np.concatenate([corners, corners + sides[:, None]], axis=1).astype(np.float32)
    inside = (windows[:, :2] >= 0).all(1) & (windows[:, 2:] <= (width, height)).all(1)
    return windows[inside & is_background(windows, photograph)][:count]


def is_background(windows: NDArray[np.floating], photograph: Photograph) -> NDArray[np.bool_]:
    """Return which windows, `(N, 4)`, overlap little with any face or ignored region."""
    clear = (iou(windows, photograph.faces) < NEGATIVE_IOU).all(1)
    covered = intersection(windows, photograph.ignored).sum(1)
    return np.asarray(clear & (covered < NEGATIVE_IOU * area(windows)))


def cut(
    photographs: Sequence[Photograph], boxes: Iterable[NDArray[np.float32]], size_px: int, planes: int = 3
) -> Crops:
    """Return `boxes` of `photographs` (one `(n, 4)` array each) as crops; each photograph is read once."""
    found = list(boxes)
    pool = _Pool(sum(len(some) for some in found), size_px, planes)
    for index, (photograph, some) in enumerate(zip(photographs, found, strict=True)):
        if len(some):
            pool.add(photograph.read(), some, index)
    return pool.crops()


class _Pool:
    """Room for a number of crops, filled photograph by photograph; never more than once in memory."""

    def __init__(self, room: int, size_px: int, planes: int) -> None:
        side = stored_px(size_px)
        shape = (room, side, side) if planes == 1 else (room, side, side, planes)
        self._pixels: NDArray[np.uint8] = np.zeros(shape, dtype=np.uint8)
        self._boxes = np.zeros((room, 4), dtype=np.float32)
        self._photographs = np.zeros(room, dtype=np.int64)
        self._size_px = size_px
        self._n = 0

    def add(self, image: NDArray[np.uint8], boxes: NDArray[np.float32], photograph: int) -> None:
        """Cut `boxes` out of `image`, with their surroundings."""
        centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
        wide = np.concatenate([centre - CONTEXT * half, centre + CONTEXT * half], axis=1)
        at = slice(self._n, self._n + len(boxes))
        if self._pixels.ndim == 3:
            image = luminance(image)
        self._pixels[at] = crop_windows(image, wide, stored_px(self._size_px))
        self._boxes[at] = boxes
        self._photographs[at] = photograph
        self._n += len(boxes)

    def crops(self) -> Crops:
        """Return what was added."""
        n = self._n
        return Crops(self._pixels[:n], self._boxes[:n], self._photographs[:n], self._size_px)


def _thinned(
    boxes: Sequence[NDArray[np.float32]], most: int, random: np.random.Generator
) -> Iterator[NDArray[np.float32]]:
    """Yield the arrays of `boxes` with at most `most` boxes kept in all."""
    total = sum(len(some) for some in boxes)
    kept = np.zeros(total, dtype=bool)
    kept[random.permutation(total)[:most]] = True
    start = 0
    for some in boxes:
        yield some[kept[start : start + len(some)]]
        start += len(some)
