"""Batches for a net that finds the box beside the score: windows on and near faces, and background.

Every window on a face is drawn anew: moved and stretched at random, it is a face, a part of one that only
teaches the box, or background, by its overlap with the face (bands after MTCNN, Zhang et al. 2016, section
II-C). Knows crops and augmentation; not where the crops came from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepevent.errors import SettingsError
from deepevent_trainer.data.augment import Augmentation, coloured
from deepevent_trainer.data.batches import Batch, numpy_random, rounds, torch_random
from deepevent_trainer.data.crops import CONTEXT, NEGATIVE_IOU, Crops, oversampling
from deepevent_trainer.networks import BACKGROUND, FACE

# A target that the classes do not learn from.
UNJUDGED = -100
# Windows stand up to 1/6 of their side from a face and levels 1.41 apart, so the best of them may overlap a
# face by no more than a half.
FACE_IOU, PART_IOU = 0.5, 0.4
# Standard deviations of a window's middle, in sides of the face, and of the logarithm of its side, and what
# is cut off. Most windows that a net is shown lie close to a face: the net before has moved them.
_SHIFT, _SCALE, _SHIFT_MOST, _SCALE_MOST, _ROTATION_DEG = 0.1, 0.15, 0.25, 0.4, 10.0
_COLOURS = Augmentation(brightness=40, contrast=0.5)
# Shares of crops that are blurred, and of faces that are covered from below as a mask does, or by anything.
_BLURRED, _MASKED, _COVERED = 0.15, 0.1, 0.05
_VALIDATION_BATCH = 512


@dataclass(frozen=True, eq=False)
class Faces:
    """Kept face crops with the annotated box of each.

    Attributes:
        crops: of the squared boxes, in luminance.
        sides: `(N, 2)` width and height of the annotated box against the side of its square.
    """

    crops: Crops
    sides: NDArray[np.float32]


class BoxCrops:
    """A source of as many windows near faces as of background."""

    def __init__(
        self,
        training: tuple[Faces, Crops],
        validation: tuple[Faces, Crops],
        *,
        context: float,
        batch_size: int,
        crops_per_epoch: int,
        seed: int,
    ) -> None:
        """Take `(faces, background)` to learn from and to judge by; `context` as the net's plan has it.

        Raises:
            SettingsError: if one of the four is empty.
        """
        for side, (faces, background) in (("training", training), ("validation", validation)):
            if not len(faces.crops) or not len(background):
                raise SettingsError(f"the {side} photographs give no face or no background window")
        self._training, self._validation = training, validation
        self._context, self._seed = context, seed
        self._near = max(1, batch_size // 2)
        self._away = max(1, batch_size - self._near)
        self.size_px = training[1].size_px
        self.n_batches = max(1, crops_per_epoch // batch_size)

    def epoch(self, epoch: int, first_batch: int = 0, stride: int = 1) -> Iterator[Batch]:
        """Yield the batches of `epoch`, from `first_batch` on, every `stride`-th."""
        faces, background = self._training
        random = numpy_random(self._seed, 40, epoch)
        near = rounds(len(faces.crops), self._near * self.n_batches, random)
        away = rounds(len(background), self._away * self.n_batches, random)
        for batch in range(first_batch, self.n_batches, stride):
            generator = torch_random(self._seed, 41, epoch, batch)
            on = near[batch * self._near : (batch + 1) * self._near]
            off = away[batch * self._away : (batch + 1) * self._away]
            yield self._varied(faces, on, background, off, generator)

    def validation(self) -> Iterator[Batch]:
        """Yield the held-out faces and background, moved by a fixed draw but not varied otherwise."""
        faces, background = self._validation
        for part, count in enumerate((len(faces.crops), len(background))):
            for start in range(0, count, _VALIDATION_BATCH):
                chosen = np.arange(start, min(count, start + _VALIDATION_BATCH))
                none = chosen[:0]
                on, off = (chosen, none) if part == 0 else (none, chosen)
                generator = torch_random(self._seed, 42, part, start)
                yield self._varied(faces, on, background, off, generator, vary=False)

    def _varied(
        self,
        faces: Faces,
        on: NDArray[np.int64],
        background: Crops,
        off: NDArray[np.int64],
        generator: torch.Generator,
        *,
        vary: bool = True,
    ) -> Batch:
        n, n_near = len(on) + len(off), len(on)
        scale = torch.exp((torch.randn(n, generator=generator) * _SCALE).clamp(-_SCALE_MOST, _SCALE_MOST))
        shift = (torch.randn(n, 2, generator=generator) * _SHIFT).clamp(-_SHIFT_MOST, _SHIFT_MOST)
        if vary:
            # Background needs no shifts of its own: it was drawn anywhere.
            scale[n_near:] = 1.0
            shift[n_near:] = 0.0
        sides = torch.from_numpy(faces.sides[on])
        mirror = 1.0 - 2.0 * torch.randint(2, (n,), generator=generator).float() if vary else torch.ones(n)
        stored = torch.from_numpy(np.concatenate([faces.crops.pixels[on], background.pixels[off]]))
        turn = math.radians(_ROTATION_DEG) if vary else 0.0
        pixels = _windows(stored, self.size_px, scale * self._context, shift, mirror, turn, generator)
        if vary:
            pixels = _degraded(coloured(pixels, _COLOURS, generator), n_near, generator)
        targets = torch.full((n,), BACKGROUND, dtype=torch.int64)
        overlap = _square_iou(scale[:n_near], shift[:n_near])
        targets[:n_near] = torch.where(overlap >= FACE_IOU, FACE, UNJUDGED)
        boxes = torch.full((n, 4), math.nan)
        # The window lies at `shift`, `scale` wide, in sides of the squared face, whose middle is 0.
        low, high = -sides / 2, sides / 2
        corner = shift[:n_near] - scale[:n_near, None] / 2
        found = torch.cat([low - corner, high - corner], dim=1) / scale[:n_near, None]
        near_enough = overlap >= PART_IOU
        boxes[:n_near][near_enough] = found[near_enough] - torch.tensor([0.0, 0.0, 1.0, 1.0])
        targets[:n_near][overlap < NEGATIVE_IOU] = BACKGROUND
        return Batch(pixels, targets, boxes)


def _windows(
    stored: Tensor,
    size_px: int,
    scale: Tensor,
    shift: Tensor,
    mirror: Tensor,
    turn: float,
    generator: torch.Generator,
) -> Tensor:
    """Return the windows of kept crops, `(B, 1, N, N)`; the window is laid over a mirrored, turned face."""
    n, fine = len(stored), size_px * oversampling(size_px)
    angle = (torch.rand(n, generator=generator) * 2 - 1) * turn
    cosine, sine = torch.cos(angle), torch.sin(angle)
    rotation = torch.stack(
        [torch.stack([mirror * cosine, -mirror * sine], dim=1), torch.stack([sine, cosine], dim=1)], dim=1
    )
    # A kept crop is -1..1 and its box 1 wide there, CONTEXT being 2.
    half = scale / CONTEXT
    theta = torch.cat([rotation * half[:, None, None], rotation @ shift[:, :, None] * 2 / CONTEXT], dim=2)
    grid = torch.nn.functional.affine_grid(theta, [n, 1, fine, fine], align_corners=False)
    found = torch.nn.functional.grid_sample(
        stored.float()[:, None], grid, padding_mode="border", align_corners=False
    )
    return found if fine == size_px else torch.nn.functional.avg_pool2d(found, fine // size_px)


def _degraded(pixels: Tensor, n_faces: int, generator: torch.Generator) -> Tensor:
    """Return the crops, some blurred, some faces covered."""
    n, size = len(pixels), pixels.shape[-1]
    chance = torch.rand(n, generator=generator)
    blurred = chance < _BLURRED
    if blurred.any() and size >= 8:
        small = torch.nn.functional.avg_pool2d(pixels[blurred], 2)
        pixels[blurred] = torch.nn.functional.interpolate(small, size=(size, size), mode="bilinear")
    draws = torch.rand(n_faces, 5, generator=generator)
    x, y, width, height, level = draws[:, :, None, None].unbind(1)
    kind = torch.rand(n_faces, generator=generator)[:, None, None]
    across = torch.linspace(0, 1, size)[None, None, :]
    down = torch.linspace(0, 1, size)[None, :, None]
    top, left = 0.48 + 0.14 * y, 0.25 * x
    mask = (down >= top) & (down < top + 0.25 + 0.3 * height) & (across >= left) & (across < 1 - 0.25 * width)
    top, left = 0.8 * y, 0.8 * x
    patch = (down >= top) & (down < top + 0.1 + 0.3 * height)
    patch = patch & (across >= left) & (across < left + 0.1 + 0.3 * width)
    covered = (mask & (kind < _MASKED)) | (patch & (kind > 1 - _COVERED))
    pixels[:n_faces, 0] = torch.where(covered, 255 * level, pixels[:n_faces, 0])
    return pixels


def _square_iou(scale: Tensor, shift: Tensor) -> Tensor:
    """Return the overlap of a window with the squared face, whose side is 1 and whose middle is 0."""
    low = torch.maximum(shift - scale[:, None] / 2, torch.tensor(-0.5))
    high = torch.minimum(shift + scale[:, None] / 2, torch.tensor(0.5))
    common = (high - low).clamp(min=0).prod(1)
    return common / (1 + scale**2 - common)
