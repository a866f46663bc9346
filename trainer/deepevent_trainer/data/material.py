"""What a net learns from and is judged by: faces and background, cut out of divided photographs.

Knows photographs and crops; not the net, nor how it is trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepevent_trainer.data import crops
from deepevent_trainer.data.crops import Crops
from deepevent_trainer.data.split import Division
from deepevent_trainer.networks import Colour

# Background windows that are kept for every face: an epoch takes as many of them as it shows faces.
BACKGROUND_A_FACE = 4
MIN_BACKGROUND = 8_000
# Above this share of grey crops on either side, colour would tell faces from background by itself.
MAX_GREY_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class Material:
    """What a net learns from and is judged by, cut out of the photographs.

    Attributes:
        division: the photographs.
        faces: crops of training and of validation faces.
        background: crops of background likewise.
        colour: `rgb`, or `grey` where colour would give the answer away.
    """

    division: Division
    faces: tuple[Crops, Crops]
    background: tuple[Crops, Crops]
    colour: Colour

    def counts(self) -> dict[str, int]:
        """Return how much there is of each kind."""
        training, validation = self.division.training, self.division.validation
        return {
            "n_training_photographs": len(training),
            "n_training_faces": len(self.faces[0]),
            "n_validation_photographs": len(validation),
            "n_validation_faces": len(self.faces[1]),
            "n_validation_background": len(self.background[1]),
        }

    def sentence(self) -> str:
        """Return the same for people."""
        n = self.counts()
        return (
            f"{n['n_training_faces']:,} faces of {n['n_training_photographs']:,} photographs to learn from, "
            f"{n['n_validation_faces']:,} faces of {n['n_validation_photographs']:,} held-out photographs "
            f"and {n['n_validation_background']:,} background windows to judge by ({self.colour})"
        )


def gather(division: Division, size_px: int, seed: int, min_face_px: float | None = None) -> Material:
    """Cut faces and background for a net of `size_px` out of photographs."""
    sides = (division.training, division.validation)
    faces = [crops.positives(side, size_px, seed, min_face_px) for side in sides]
    wanted = (max(MIN_BACKGROUND, BACKGROUND_A_FACE * len(faces[0])), len(faces[1]))
    background = [
        crops.negatives(side, size_px, count, seed + index)
        for index, (side, count) in enumerate(zip(sides, wanted, strict=True))
    ]
    shares = (_grey_share(faces[0]), _grey_share(background[0]))
    colour: Colour = "grey" if max(shares) > MAX_GREY_SHARE else "rgb"
    return Material(division, (faces[0], faces[1]), (background[0], background[1]), colour)


def _grey_share(some: Crops) -> float:
    """Return the share of crops without colour, of up to 2,000."""
    chosen = some.pixels[:: max(1, len(some) // 2000), ::4, ::4].astype(np.int16)
    if not len(chosen):
        return 0.0
    spread = chosen.max(axis=3) - chosen.min(axis=3)
    return float((spread.mean(axis=(1, 2)) < 2).mean())
