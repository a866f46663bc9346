"""Batches for a calibration net: faces moved by each of the 45 transforms; which one is the question.

Knows crops, augmentation and the classes; not the net.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from deepevent.errors import SettingsError
from deepevent_trainer.calibration import CLASSES, N_CLASSES
from deepevent_trainer.data.augment import FOR_CALIBRATION, UNCHANGED, Augmentation, sample
from deepevent_trainer.data.batches import Batch, numpy_random, rounds, torch_random
from deepevent_trainer.data.crops import Crops

_VALIDATION_BATCH = 512
# All 45 crops of every face are kept up to this many; above, each face shows some of its 45, all equally
# often.
_MAX_VALIDATION = 45 * 256


class CalibrationCrops:
    """A source of moved faces: every epoch shows each face and each of the 45 classes equally often."""

    def __init__(
        self,
        training: Crops,
        validation: Crops,
        *,
        batch_size: int,
        crops_per_epoch: int,
        seed: int,
        augmentation: Augmentation = FOR_CALIBRATION,
    ) -> None:
        """Take the faces to learn from and to judge by.

        Raises:
            SettingsError: if one of them is empty, or `batch_size` is below 1.
        """
        for side, crops in (("training", training), ("validation", validation)):
            if not len(crops):
                raise SettingsError(f"the {side} photographs give no face of {crops.size_px} px or more")
        if batch_size < 1:
            raise SettingsError(f"batch_size must be at least 1, got {batch_size!r}")
        self._training, self._validation = training, validation
        self._batch_size, self._seed, self._augmentation = batch_size, seed, augmentation
        self.size_px = training.size_px
        self.n_batches = max(1, max(len(training), crops_per_epoch) // batch_size)
        self._transforms = torch.from_numpy(CLASSES.astype(np.float32))

    def epoch(self, epoch: int, first_batch: int = 0, stride: int = 1) -> Iterator[Batch]:
        """Yield the batches of `epoch`, from `first_batch` on, every `stride`-th."""
        random = numpy_random(self._seed, 20, epoch)
        count = self.n_batches * self._batch_size
        faces, classes = rounds(len(self._training), count, random), rounds(N_CLASSES, count, random)
        for batch in range(first_batch, self.n_batches, stride):
            generator = torch_random(self._seed, 21, epoch, batch)
            at = slice(batch * self._batch_size, (batch + 1) * self._batch_size)
            yield self._batch(self._training, faces[at], classes[at], self._augmentation, generator)

    def validation(self) -> Iterator[Batch]:
        """Yield the held-out faces under the 45 transforms, otherwise unvaried."""
        n = len(self._validation)
        if n * N_CLASSES <= _MAX_VALIDATION:
            index = np.arange(n * N_CLASSES)
            faces, classes = index // N_CLASSES, index % N_CLASSES
        else:
            # 45 and its successor share no factor: faces and classes pair off evenly.
            index = np.arange(_MAX_VALIDATION)
            faces, classes = index * n // _MAX_VALIDATION, index % N_CLASSES
        for start in range(0, len(index), _VALIDATION_BATCH):
            at = slice(start, start + _VALIDATION_BATCH)
            yield self._batch(self._validation, faces[at], classes[at], UNCHANGED, None)

    def _batch(
        self,
        crops: Crops,
        faces: np.ndarray[tuple[int], np.dtype[np.int64]],
        classes: np.ndarray[tuple[int], np.dtype[np.int64]],
        augmentation: Augmentation,
        generator: torch.Generator | None,
    ) -> Batch:
        targets = torch.from_numpy(classes)
        stored = torch.from_numpy(crops.pixels[faces])
        transforms = self._transforms[targets]
        return Batch(sample(stored, self.size_px, augmentation, generator, transforms), targets)
