"""The nets of the cascade, each by name, as layers that run on one window or on a whole picture.

Every net is a list of convolutions, poolings and dense layers without padding, so the same weights serve two
ways: on crops of exactly `size_px` pixels, `(B, 3, N, N) -> (B, C, 1, 1)`, and fully convolutionally on a
level of a pyramid, `(B, 3, H, W) -> (B, C, h, w)`, one answer per window at `stride_px`. Both give the same
numbers.

Pixels come in as 0..255 and are brought to about -2..2 inside, so no caller can forget it.
This module knows no files, no boxes and no training. Layers: the article where it prints them; where it is
silent, Li et al., "A convolutional neural network cascade for face detection", CVPR 2015, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from deepevent.errors import SettingsError

Task = Literal["detection", "calibration"]
Colour = Literal["rgb", "grey"]

# The answers of a detection net, by index.
BACKGROUND, FACE = 0, 1
DETECTION_CLASSES = 2
CALIBRATION_CLASSES = 45
# ITU-R BT.601, the luminance that OpenCV and Pillow use.
LUMINANCE = (0.299, 0.587, 0.114)
# Batch normalisation regularises by itself: the article then drops out less.
DROPOUT_SHARE_WITH_BATCH_NORM = 0.5


@dataclass(frozen=True)
class Convolution:
    """A convolution without padding, with ReLU behind it: `channels` maps of `kernel` x `kernel`."""

    channels: int
    kernel: int


@dataclass(frozen=True)
class Pooling:
    """A max-pooling of `kernel` x `kernel` every `stride` pixels."""

    kernel: int = 3
    stride: int = 2


@dataclass(frozen=True)
class Dropout:
    """Zeroes a share of the values while training."""

    share: float


@dataclass(frozen=True)
class Dense:
    """A fully connected layer; with ReLU, unless it is the last."""

    units: int


Layer = Convolution | Pooling | Dropout | Dense


@dataclass(frozen=True)
class Plan:
    """A net on paper.

    Attributes:
        name: what commands and checkpoints call it.
        task: `detection` answers 2 classes (background, face), `calibration` 45.
        size_px: side of its square window.
        layers: from the pixels to the last hidden layer; the dense layer of the classes follows by itself.
    """

    name: str
    task: Task
    size_px: int
    layers: tuple[Layer, ...]

    @property
    def n_classes(self) -> int:
        """Return the number of answers."""
        return DETECTION_CLASSES if self.task == "detection" else CALIBRATION_CLASSES


# det12: 12x12 -> conv 10x10x16 -> pool 4x4x16 -> 16 -> 2       cal12: the same up to the pool -> 128 -> 45
# det24: 24x24 -> conv 20x20x64 -> pool 9x9x64 -> 128 -> 2       cal24: conv 20x20x32 -> pool 9x9x32 -> 64 ->
# 45 det48: 48x48 -> conv 44x44x64 -> pool 21x21x64 -> conv 17x17x64 -> pool 8x8x64 -> 256 -> 2
# cal48: 48x48 -> conv 44x44x64 -> pool 21x21x64 -> conv 17x17x64 -> 256 -> 45
_ARTICLE = (
    Plan(
        "det12",
        "detection",
        12,
        (Dropout(0.1), Convolution(16, 3), Pooling(), Dropout(0.5), Dense(16), Dropout(0.5)),
    ),
    Plan(
        "cal12",
        "calibration",
        12,
        (Dropout(0.1), Convolution(16, 3), Pooling(), Dropout(0.5), Dense(128), Dropout(0.5)),
    ),
    Plan(
        "det24",
        "detection",
        24,
        (Dropout(0.1), Convolution(64, 5), Pooling(), Dropout(0.5), Dense(128), Dropout(0.5)),
    ),
    Plan(
        "cal24",
        "calibration",
        24,
        (Dropout(0.1), Convolution(32, 5), Pooling(), Dropout(0.5), Dense(64), Dropout(0.5)),
    ),
    Plan(
        "det48",
        "detection",
        48,
        (
            Dropout(0.1),
            Convolution(64, 5),
            Pooling(),
            Convolution(64, 5),
            Pooling(),
            Dropout(0.3),
            Dense(256),
            Dropout(0.3),
        ),
    ),
    Plan(
        "cal48",
        "calibration",
        48,
        (
            Dropout(0.1),
            Convolution(64, 5),
            Pooling(),
            Convolution(64, 5),
            Dropout(0.3),
            Dense(256),
            Dropout(0.3),
        ),
    ),
)
RECIPES: dict[str, dict[str, Plan]] = {"article": {plan.name: plan for plan in _ARTICLE}}


def plan_of(name: str, recipe: str = "article") -> Plan:
    """Return the plan of net `name` in `recipe`.

    Raises:
        SettingsError: if there is no such recipe or net.
    """
    nets = RECIPES.get(recipe)
    if nets is None:
        raise SettingsError(f"there is no recipe {recipe!r}; there are {', '.join(RECIPES)}")
    if name not in nets:
        raise SettingsError(f"recipe {recipe!r} has no net {name!r}; it has {', '.join(nets)}")
    return nets[name]


class WindowDense(nn.Conv2d):
    """A dense layer over a window of a feature map, which can also slide over a larger map.

    On a map of exactly its own size it is a matrix product, `(B, C, k, k) -> (B, units, 1, 1)`, which is
    several times faster than a convolution with one position.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, units, h, w)` for a map `x` of `(B, C, H, W)`."""
        if x.shape[2:] == self.weight.shape[2:]:
            flat = nn.functional.linear(x.flatten(1), self.weight.flatten(1), self.bias)
            return flat[:, :, None, None]
        return super().forward(x)


class Network(nn.Module):
    """One net of the cascade.

    Attributes:
        plan: its layers on paper.
        recipe: the family that the plan comes from.
        batch_norm: whether convolutions are normalised per batch.
        colour: `rgb`, or `grey` for a net that sees luminance only.
        stride_px: step between neighbouring windows when it runs over a whole picture.
    """

    def __init__(self, plan: Plan, recipe: str, *, batch_norm: bool = False, colour: Colour = "rgb") -> None:
        super().__init__()
        self.plan = plan
        self.recipe = recipe
        self.batch_norm = batch_norm
        self.colour: Colour = colour
        self.layers, self.stride_px = _build(plan, batch_norm=batch_norm)
        self.register_buffer("luminance", torch.tensor(LUMINANCE).view(1, 3, 1, 1), persistent=False)

    @property
    def name(self) -> str:
        """Return the name of the plan."""
        return self.plan.name

    @property
    def size_px(self) -> int:
        """Return the side of the window."""
        return self.plan.size_px

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the logits of every window.

        Args:
            pixels: `(B, 3, H, W)`, uint8 or float of 0..255, H and W at least `size_px`.

        Returns:
            `(B, C, h, w)` float32 with `h = (H - size_px) // stride_px + 1`, w likewise; `(B, C, 1, 1)` for
            crops.
        """
        x = pixels.float()
        if self.colour == "grey":
            luminance = self.get_buffer("luminance")
            x = (x * luminance).sum(1, keepdim=True).expand(-1, 3, -1, -1)
        logits: Tensor = self.layers((x - 127.5) / 64.0)
        # The poolings leave out a window's last row or two, so one more window may have been found than fits
        # in.
        rows, columns = (1 + (side - self.size_px) // self.stride_px for side in pixels.shape[2:])
        return logits[:, :, :rows, :columns]

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Return softmax over the classes, shaped like `forward`, without gradients."""
        with torch.inference_mode():
            return torch.softmax(self(pixels), dim=1)


def _build(plan: Plan, *, batch_norm: bool) -> tuple[nn.Sequential, int]:
    """Return the layers of `plan` and the step of its windows in pixels."""
    modules: list[nn.Module] = []
    channels, side, stride = 3, plan.size_px, 1
    dense_stride = _dense_stride(plan)
    seen_dense = False

    def add_dense(units: int) -> None:
        nonlocal channels, seen_dense
        kernel, step = (1, 1) if seen_dense else (side, dense_stride)
        modules.append(WindowDense(channels, units, kernel, stride=step))
        channels, seen_dense = units, True

    for layer in plan.layers:
        match layer:
            case Convolution(maps, kernel):
                modules.append(nn.Conv2d(channels, maps, kernel, bias=not batch_norm))
                if batch_norm:
                    modules.append(nn.BatchNorm2d(maps))
                modules.append(nn.ReLU())
                channels, side = maps, side - kernel + 1
            case Pooling(kernel, step):
                modules.append(nn.MaxPool2d(kernel, step))
                side, stride = (side - kernel) // step + 1, stride * step
            case Dropout(share):
                modules.append(nn.Dropout(share * DROPOUT_SHARE_WITH_BATCH_NORM if batch_norm else share))
            case Dense(units):
                add_dense(units)
                modules.append(nn.ReLU())
    add_dense(plan.n_classes)
    return nn.Sequential(*modules), stride * dense_stride


def _dense_stride(plan: Plan) -> int:
    """Return the step of the first dense layer with which windows lie 4 px apart (Li et al., 3.1)."""
    pooled = 1
    for layer in plan.layers:
        if isinstance(layer, Pooling):
            pooled *= layer.stride
    return max(1, 4 // pooled)


def build_network(
    name: str, recipe: str = "article", *, batch_norm: bool = False, colour: Colour = "rgb"
) -> Network:
    """Return a fresh net `name` of `recipe`; its weights follow torch's global seed.

    Raises:
        SettingsError: if there is no such recipe or net.
    """
    return Network(plan_of(name, recipe), recipe, batch_norm=batch_norm, colour=colour)


@dataclass(frozen=True)
class LayerCost:
    """What one layer of a net holds and costs for one window: `shape` is `(C, H, W)` behind it."""

    layer: str
    shape: tuple[int, ...]
    n_parameters: int
    flops: int


def costs(network: Network) -> list[LayerCost]:
    """Return layers, parameters and FLOPs (two per multiplication) for one window."""
    found: list[LayerCost] = []
    x = torch.zeros(1, 3, network.size_px, network.size_px)
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        for module in network.layers:
            x = module(x)
            n_parameters = sum(p.numel() for p in module.parameters())
            flops = 0
            if isinstance(module, nn.Conv2d):
                flops = 2 * module.weight.numel() * x.shape[2] * x.shape[3]
            if n_parameters or isinstance(module, nn.MaxPool2d):
                found.append(LayerCost(type(module).__name__, tuple(x.shape[1:]), n_parameters, flops))
    network.train(was_training)
    return found


def describe(network: Network) -> str:
    """Return a table of the layers of `network`, its parameters and its FLOPs, for people."""
    rows = costs(network)
    side = network.size_px
    lines = [
        f"{network.name}: {side}x{side} px, {network.plan.n_classes} classes, "
        f"windows {network.stride_px} px apart"
    ]
    names = {
        "Conv2d": "convolution",
        "MaxPool2d": "max-pooling",
        "WindowDense": "dense",
        "BatchNorm2d": "batch norm",
    }
    for row in rows:
        shape = "x".join(str(n) for n in row.shape)
        lines.append(
            f"  {names[row.layer]:<12} {shape:>10} {row.n_parameters:>10,} parameters {row.flops:>12,} FLOP"
        )
    lines.append(
        f"  {'in all':<12} {'':>10} {sum(r.n_parameters for r in rows):>10,} parameters "
        f"{sum(r.flops for r in rows):>12,} FLOP a window"
    )
    return "\n".join(lines)
