"""A net on paper: its layers as plain data, before any of it is a tensor.

Recipes write these, `networks` builds them. Knows neither torch nor files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["detection", "calibration"]

DETECTION_CLASSES = 2
CALIBRATION_CLASSES = 45
# Edges of the face against edges of the window, in sides of the window: left, top, right, bottom.
BOX_NUMBERS = 4


@dataclass(frozen=True)
class Convolution:
    """A convolution with ReLU behind it: `channels` maps of `kernel` x `kernel`."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True)
class Separable:
    """A convolution in two steps: `kernel` x `kernel` within each map, then 1x1 across the maps.

    Source: Howard et al., "MobileNets", 2017, section 3.1; a normalisation stands behind both steps.
    """

    channels: int
    kernel: int = 3
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True)
class Pooling:
    """A max-pooling of `kernel` x `kernel` every `stride` pixels."""

    kernel: int = 3
    stride: int = 2


@dataclass(frozen=True)
class ResponseNormalisation:
    """Local response normalisation across 5 neighbouring maps (Li et al., CVPR 2015, figure 2)."""


@dataclass(frozen=True)
class Inception:
    """Branches side by side whose maps are joined, the side kept (Szegedy et al., "Going deeper", 2014).

    Attributes:
        plain: maps of the 1x1 branch.
        reduce3, maps3: a 1x1 to `reduce3` maps, then 3x3 to `maps3`.
        reduce5, maps5: a 1x1 to `reduce5` maps, then 5x5 to `maps5`.
        pooled: maps of the fourth branch, a 3x3 max-pooling and a 1x1; 0 leaves it out,
            as the article had to.
    """

    plain: int
    reduce3: int
    maps3: int
    reduce5: int
    maps5: int
    pooled: int = 0

    @property
    def channels(self) -> int:
        """Return the number of maps behind it."""
        return self.plain + self.maps3 + self.maps5 + self.pooled


@dataclass(frozen=True)
class Dropout:
    """Zeroes a share of the values while training."""

    share: float


@dataclass(frozen=True)
class Dense:
    """A fully connected layer; with ReLU, unless it is the last."""

    units: int


Layer = Convolution | Separable | Pooling | ResponseNormalisation | Inception | Dropout | Dense


@dataclass(frozen=True)
class Branch:
    """The same window at a lower resolution, whose features join the others before the classifier.

    Attributes:
        divisor: the window is averaged down to `size_px / divisor`.
        layers: from those pixels to the features.
    """

    divisor: int
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Plan:
    """A net on paper.

    Attributes:
        name: what commands and checkpoints call it.
        task: `detection` answers 2 classes (background, face), `calibration` 45.
        size_px: side of its square window.
        layers: from the pixels to the last hidden layer; the dense layer of the classes follows by itself.
        branches: lower resolutions of the window.
        finds_box: whether it also answers where in the window the face is, as `BOX_NUMBERS` numbers.
        context: side of what it sees against the side of the box that it judges.
        planes: 3 for colour, 1 for a net that takes luminance only.
        batch_norm: whether the recipe wants batch normalisation; None leaves it to the caller.
    """

    name: str
    task: Task
    size_px: int
    layers: tuple[Layer, ...]
    branches: tuple[Branch, ...] = ()
    finds_box: bool = False
    context: float = 1.0
    planes: int = 3
    batch_norm: bool | None = None

    @property
    def n_classes(self) -> int:
        """Return the number of classes."""
        return DETECTION_CLASSES if self.task == "detection" else CALIBRATION_CLASSES

    @property
    def n_outputs(self) -> int:
        """Return the number of answers: classes, and the box if it finds one."""
        return self.n_classes + (BOX_NUMBERS if self.finds_box else 0)

    @property
    def slides(self) -> bool:
        """Return whether the same weights run over a whole picture: nothing is padded, nothing is joined."""
        padded = any(
            isinstance(layer, Inception) or getattr(layer, "padding", 0) > 0 for layer in self.layers
        )
        return not padded and not self.branches
