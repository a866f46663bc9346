"""Mirror, shift, scale, rotation and colour of crops, as one resampling of a whole batch.

A kept crop covers -1..1 in both directions with its box at -1/2..1/2, which are the coordinates that
`grid_sample` takes: calibration transform, mirror and rotation multiply to one matrix a crop, so no crop is
resampled twice. Why no library does this: docs/decisions/0010-augmentation-in-one-resampling.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from deepevent_trainer.data.crops import oversampling


@dataclass(frozen=True)
class Augmentation:
    """How far crops are varied; all zero is no change.

    Attributes:
        mirror: whether half of the crops are mirrored.
        shift: largest shift, as a share of the box.
        scale: largest change of size: 0.1 is a factor of 1/1.1 to 1.1.
        rotation_deg: largest rotation about the middle of the box.
        brightness: largest change of brightness, in levels of 0..255.
        contrast: largest change of contrast: 0.3 is a factor of 1/1.3 to 1.3.
        colour: largest change of one channel against the others, as a factor like `contrast`.
    """

    mirror: bool = False
    shift: float = 0.0
    scale: float = 0.0
    rotation_deg: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    colour: float = 0.0


UNCHANGED = Augmentation()
# Windows stand 4 of 12 px apart and levels a factor of 1.18: a face is up to 1/6 of a window and 9 % off.
FOR_DETECTION = Augmentation(
    mirror=True, shift=0.12, scale=0.12, rotation_deg=15, brightness=30, contrast=0.3, colour=0.1
)
# Shift and scale are what a calibration net has to tell, so they stay untouched.
FOR_CALIBRATION = Augmentation(mirror=True, rotation_deg=8, brightness=30, contrast=0.3, colour=0.1)


def sample(
    stored: Tensor,
    size_px: int,
    augmentation: Augmentation = UNCHANGED,
    generator: torch.Generator | None = None,
    transforms: Tensor | None = None,
) -> Tensor:
    """Return what a net sees of kept crops.

    Args:
        stored: `(B, S, S, 3)` uint8, see `crops`.
        size_px: N, side of the net's window.
        augmentation: how far to vary them.
        generator: where its random numbers come from; the same state gives the same pixels.
        transforms: `(B, 3)` of (s, x, y): the crop of the box under each calibration transform; None: the
        box.

    Returns:
        `(B, 3, N, N)` float32 of 0..255.
    """
    n = len(stored)
    if not n:
        return torch.zeros(0, 3, size_px, size_px)
    fine = size_px * oversampling(size_px)
    theta = _matrices(n, augmentation, generator, transforms)
    pixels = stored.permute(0, 3, 1, 2).float()
    grid = torch.nn.functional.affine_grid(theta, [n, 3, fine, fine], align_corners=False)
    found = torch.nn.functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    if fine != size_px:
        found = torch.nn.functional.avg_pool2d(found, fine // size_px)
    return _coloured(found, augmentation, generator)


def _matrices(
    n: int, augmentation: Augmentation, generator: torch.Generator | None, transforms: Tensor | None
) -> Tensor:
    """Return the `(n, 2, 3)` maps from the net's window to the kept crop."""
    scale = _factor(n, augmentation.scale, generator)
    shift = _spread((n, 2), augmentation.shift, generator)
    # Middle and half of the window in the coordinates of the kept crop.
    half, middle = scale / 2, shift
    if transforms is not None:
        half = half * transforms[:, 0]
        middle = middle + (-0.5 + transforms[:, 1:] + transforms[:, :1] / 2)
    angle = _spread((n,), math.radians(augmentation.rotation_deg), generator)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    mirror = torch.ones(n)
    if augmentation.mirror:
        mirror = 1 - 2 * torch.randint(2, (n,), generator=generator).float()
    # The face is turned about its middle and mirrored first; then the window is taken.
    rotation = torch.stack(
        [torch.stack([mirror * cosine, -mirror * sine], dim=1), torch.stack([sine, cosine], dim=1)], dim=1
    )
    return torch.cat([rotation * half[:, None, None], rotation @ middle[:, :, None]], dim=2)


def _coloured(pixels: Tensor, augmentation: Augmentation, generator: torch.Generator | None) -> Tensor:
    n = len(pixels)
    if augmentation.contrast:
        mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
        pixels = mean + (pixels - mean) * _factor(n, augmentation.contrast, generator).view(n, 1, 1, 1)
    if augmentation.colour:
        pixels = pixels * _factor(3 * n, augmentation.colour, generator).view(n, 3, 1, 1)
    if augmentation.brightness:
        pixels = pixels + _spread((n, 1, 1, 1), augmentation.brightness, generator)
    return pixels.clamp(0, 255)


def _spread(shape: tuple[int, ...], most: float, generator: torch.Generator | None) -> Tensor:
    if not most:
        return torch.zeros(shape)
    return (torch.rand(shape, generator=generator) * 2 - 1) * most


def _factor(n: int, most: float, generator: torch.Generator | None) -> Tensor:
    return torch.exp(_spread((n,), math.log1p(most), generator))
