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
# All 45 crops of up to this many faces are judged at 12 px, fewer of larger ones, which cost more; of more
# faces each shows some of its 45, all equally often.
_MAX_VALIDATION_FACES = 256


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
        whole_rounds: bool = True,
        with_boxes: bool = False,
    ) -> None:
        """Take the faces to learn from and to judge by.

        `whole_rounds` False makes an epoch `crops_per_epoch` crops however many faces there are; `with_boxes`
        adds where in the window the face is, for a net that also answers that.

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
        self.n_batches = max(1, max(len(training) if whole_rounds else 0, crops_per_epoch) // batch_size)
        self._with_boxes = with_boxes
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
        most = N_CLASSES * max(1, _MAX_VALIDATION_FACES * 12 // self.size_px)
        if n * N_CLASSES <= most:
            index = np.arange(n * N_CLASSES)
            faces, classes = index // N_CLASSES, index % N_CLASSES
        else:
            # 45 and its successor share no factor: faces and classes pair off evenly.
            index = np.arange(most)
            faces, classes = index * n // most, index % N_CLASSES
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
        pixels = sample(stored, self.size_px, augmentation, generator, transforms)
        return Batch(pixels, targets, _edges(transforms) if self._with_boxes else None)


def _edges(transforms: torch.Tensor) -> torch.Tensor:
    """Return how far the face's edges are from the moved window's, `(N, 4)` in sides of the window."""
    scale, shift = transforms[:, :1], transforms[:, 1:]
    return torch.cat([-shift / scale, (1 - shift - scale) / scale], dim=1)
