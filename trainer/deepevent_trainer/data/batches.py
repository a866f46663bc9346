"""What a training loop is fed: batches of one epoch in a fixed order, and the validation set.

A source is a pure function of seed, epoch and batch: batch 7 of epoch 3 is the same whether or not anything
ran before it. That makes a resumed training equal to an uninterrupted one, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops and their right answers.

    Attributes:
        pixels: `(B, 3, N, N)` float32 of 0..255, or `(B, 1, N, N)` of luminance.
        targets: `(B,)` int64; -100 where the classes are not judged.
        boxes: `(B, 4)` how far the face's edges are from the window's, in its sides; NaN where there is none.
    """

    pixels: Tensor
    targets: Tensor
    boxes: Tensor | None = None


class Source(Protocol):
    """Where batches come from."""

    n_batches: int

    def epoch(self, epoch: int, first_batch: int = 0, stride: int = 1) -> Iterator[Batch]:
        """Yield the batches of `epoch` (from 0), from batch `first_batch` on, every `stride`-th."""
        ...

    def validation(self) -> Iterator[Batch]:
        """Yield the validation set, the same at every call."""
        ...


def numpy_random(*key: int) -> np.random.Generator:
    """Return numbers that depend on `key` alone."""
    return np.random.default_rng(key)


def torch_random(*key: int) -> torch.Generator:
    """Return torch numbers that depend on `key` alone."""
    state = int(np.random.SeedSequence(key).generate_state(1, dtype=np.uint64)[0])
    return torch.Generator().manual_seed(state >> 1)


def rounds(n: int, count: int, random: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return `count` indices below `n` in random order, each as often as any other, give or take one."""
    whole = [random.permutation(n) for _ in range(-(-count // n))]
    return np.concatenate(whole)[:count].astype(np.int64)
