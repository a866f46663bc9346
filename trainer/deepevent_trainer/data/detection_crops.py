"""Batches for a detection net: half faces, half background.

Knows crops, augmentation and what the answers mean; not where the crops came from.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from deepevent.errors import SettingsError
from deepevent_trainer.data.augment import FOR_DETECTION, UNCHANGED, Augmentation, sample
from deepevent_trainer.data.batches import Batch, numpy_random, rounds, torch_random
from deepevent_trainer.data.crops import Crops
from deepevent_trainer.networks import BACKGROUND, FACE

_VALIDATION_BATCH = 512


class DetectionCrops:
    """A source of faces and background in equal numbers, so that guessing is right half of the time.

    An epoch shows every face equally often, and at least `crops_per_epoch` crops: a small set is shown
    several times over, varied anew each time.
    """

    def __init__(
        self,
        training: tuple[Crops, Crops],
        validation: tuple[Crops, Crops],
        *,
        batch_size: int,
        crops_per_epoch: int,
        seed: int,
        augmentation: Augmentation = FOR_DETECTION,
        whole_rounds: bool = True,
    ) -> None:
        """Take `(faces, background)` to learn from and to judge by.

        `whole_rounds` False makes an epoch `crops_per_epoch` crops however many faces there are.

        Raises:
            SettingsError: if one of the four is empty, or `batch_size` is below 2.
        """
        for side, pair in (("training", training), ("validation", validation)):
            for kind, crops in zip(("face", "background window"), pair, strict=True):
                if not len(crops):
                    raise SettingsError(
                        f"the {side} photographs give no {kind} of {crops.size_px} px or more"
                    )
        if batch_size < 2:
            raise SettingsError(f"batch_size must be at least 2, got {batch_size!r}")
        self._training, self._validation = training, validation
        self._faces_a_batch = batch_size // 2
        self._seed, self._augmentation = seed, augmentation
        self.size_px = training[0].size_px
        faces = max(len(training[0]) if whole_rounds else 0, crops_per_epoch // 2)
        self.n_batches = max(1, faces // self._faces_a_batch)

    def epoch(self, epoch: int, first_batch: int = 0, stride: int = 1) -> Iterator[Batch]:
        """Yield the batches of `epoch`, from `first_batch` on, every `stride`-th."""
        random = numpy_random(self._seed, 10, epoch)
        count = self.n_batches * self._faces_a_batch
        orders = [rounds(len(crops), count, random) for crops in self._training]
        for batch in range(first_batch, self.n_batches, stride):
            generator = torch_random(self._seed, 11, epoch, batch)
            at = slice(batch * self._faces_a_batch, (batch + 1) * self._faces_a_batch)
            stored = np.concatenate(
                [crops.pixels[order[at]] for crops, order in zip(self._training, orders, strict=True)]
            )
            pixels = sample(torch.from_numpy(stored), self.size_px, self._augmentation, generator)
            targets = torch.zeros(len(stored), dtype=torch.int64)
            targets[: self._faces_a_batch] = FACE
            yield Batch(pixels, targets)

    def validation(self) -> Iterator[Batch]:
        """Yield all held-out faces and background windows, unvaried."""
        for target, crops in zip((FACE, BACKGROUND), self._validation, strict=True):
            for start in range(0, len(crops), _VALIDATION_BATCH):
                stored = torch.from_numpy(crops.pixels[start : start + _VALIDATION_BATCH])
                pixels = sample(stored, self.size_px, UNCHANGED)
                yield Batch(pixels, torch.full((len(stored),), target, dtype=torch.int64))
