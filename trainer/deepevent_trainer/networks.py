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

from deepevent_trainer.plans import (
    Convolution,
    Dense,
    Dropout,
    Inception,
    Layer,
    Plan,
    Pooling,
    ResponseNormalisation,
    Separable,
)
from deepevent_trainer.recipes import RECIPES, plan_of

__all__ = ["BACKGROUND", "FACE", "RECIPES", "Network", "build_network", "costs", "describe", "plan_of"]

Colour = Literal["rgb", "grey"]

# The answers of a detection net, by index.
BACKGROUND, FACE = 0, 1
# ITU-R BT.601, the luminance that OpenCV and Pillow use.
LUMINANCE = (0.299, 0.587, 0.114)
# Batch normalisation regularises by itself: the article then drops out less.
DROPOUT_SHARE_WITH_BATCH_NORM = 0.5


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


class InceptionModule(nn.Module):
    """The branches of an `Inception` side by side, `(B, C, H, W) -> (B, channels, H, W)`."""

    def __init__(self, channels: int, plan: Inception, *, batch_norm: bool) -> None:
        super().__init__()

        def convolution(into: int, out: int, kernel: int) -> list[nn.Module]:
            return _convolution(into, out, kernel, padding=kernel // 2, batch_norm=batch_norm)

        branches = [
            convolution(channels, plan.plain, 1),
            convolution(channels, plan.reduce3, 1) + convolution(plan.reduce3, plan.maps3, 3),
            convolution(channels, plan.reduce5, 1) + convolution(plan.reduce5, plan.maps5, 5),
        ]
        if plan.pooled:
            branches.append([nn.MaxPool2d(3, 1, padding=1), *convolution(channels, plan.pooled, 1)])
        self.branches = nn.ModuleList(nn.Sequential(*branch) for branch in branches)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps of all branches, joined."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


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
        self.batch_norm = batch_norm if plan.batch_norm is None else plan.batch_norm
        self.colour: Colour = "grey" if plan.planes == 1 else colour
        if plan.branches:
            main = _Builder(plan.planes, plan.size_px, batch_norm=self.batch_norm)
            self.layers = main.features(plan.layers)
            n_features, lower = main.n_values, []
            for branch in plan.branches:
                builder = _Builder(plan.planes, plan.size_px // branch.divisor, batch_norm=self.batch_norm)
                lower.append(builder.features(branch.layers))
                n_features += builder.n_values
            self.branches = nn.ModuleList(lower)
            self.head = nn.Linear(n_features, plan.n_outputs)
            self.stride_px = plan.size_px
        else:
            whole = _Builder(plan.planes, plan.size_px, batch_norm=self.batch_norm)
            whole.dense_stride = _dense_stride(plan)
            for layer in plan.layers:
                whole.add(layer)
            whole.add_dense(plan.n_outputs)
            self.layers = nn.Sequential(*whole.modules)
            self.stride_px = whole.stride * whole.dense_stride
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
        """Return the answers for every window: logits of the classes, then the box if the net finds one.

        Args:
            pixels: `(B, 3, H, W)`, or `(B, 1, H, W)` of luminance, uint8 or float of 0..255, H and W at least
                `size_px`; exactly that for a net that does not slide.

        Returns:
            `(B, C, h, w)` float32 with `h = (H - size_px) // stride_px + 1`, w likewise; `(B, C, 1, 1)` for
            crops.
        """
        x = (self._planes(pixels.float()) - 127.5) / 64.0
        if self.plan.branches:
            found = [self.layers(x)]
            for branch, layers in zip(self.plan.branches, self.branches, strict=True):
                found.append(layers(nn.functional.avg_pool2d(x, branch.divisor)))
            joined: Tensor = self.head(torch.cat(found, dim=1))
            return joined[:, :, None, None]
        logits: Tensor = self.layers(x)
        if not self.plan.slides:
            return logits
        # The poolings leave out a window's last row or two, so one more window may have been found than fits
        # in.
        rows, columns = (1 + (side - self.size_px) // self.stride_px for side in pixels.shape[2:])
        return logits[:, :, :rows, :columns]

    def _planes(self, x: Tensor) -> Tensor:
        """Return what the net sees of the colours."""
        if self.colour == "rgb":
            return x if x.shape[1] == 3 else x.expand(-1, 3, -1, -1)
        if x.shape[1] == 3:
            x = (x * self.get_buffer("luminance")).sum(1, keepdim=True)
        return x if self.plan.planes == 1 else x.expand(-1, 3, -1, -1)

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Return softmax over the classes, shaped like `forward`, without gradients."""
        return self.answers(pixels)[:, : self.plan.n_classes]

    def answers(self, pixels: Tensor) -> Tensor:
        """Return probabilities of the classes, then the box if the net finds one, without gradients."""
        with torch.inference_mode():
            return self.answer_values(self(pixels))

    def answer_values(self, outputs: Tensor) -> Tensor:
        """Return `forward`'s `outputs` with the logits made probabilities; the box stays as it is."""
        n = self.plan.n_classes
        return torch.cat([torch.softmax(outputs[:, :n], dim=1), outputs[:, n:]], dim=1)


def _convolution(
    into: int,
    out: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
    batch_norm: bool,
) -> list[nn.Module]:
    """Return a convolution with what stands behind it."""
    modules: list[nn.Module] = [
        nn.Conv2d(into, out, kernel, stride, padding, groups=groups, bias=not batch_norm)
    ]
    if batch_norm:
        modules.append(nn.BatchNorm2d(out))
    return [*modules, nn.ReLU()]


class _Builder:
    """Turns layers on paper into modules, keeping count of maps, side and step."""

    def __init__(self, planes: int, side: int, *, batch_norm: bool) -> None:
        self.modules: list[nn.Module] = []
        self.channels, self.side, self.stride = planes, side, 1
        self.dense_stride = 1
        self._batch_norm = batch_norm
        self._seen_dense = False

    @property
    def n_values(self) -> int:
        return self.channels * self.side**2

    def features(self, layers: tuple[Layer, ...]) -> nn.Sequential:
        """Return `layers` with their last map laid out as `(B, n_values)`."""
        for layer in layers:
            self.add(layer)
        return nn.Sequential(*self.modules, nn.Flatten())

    def add(self, layer: Layer) -> None:
        normed = self._batch_norm
        match layer:
            case Convolution(maps, kernel, step, padding):
                self._extend(
                    _convolution(self.channels, maps, kernel, stride=step, padding=padding, batch_norm=normed)
                )
                self._slide(kernel, step, padding)
                self.channels = maps
            case Separable(maps, kernel, step, padding):
                before = self.channels
                within = _convolution(
                    before, before, kernel, stride=step, padding=padding, groups=before, batch_norm=normed
                )
                self._extend(within + _convolution(before, maps, 1, batch_norm=normed))
                self._slide(kernel, step, padding)
                self.channels = maps
            case Pooling(kernel, step):
                self._extend([nn.MaxPool2d(kernel, step)])
                self._slide(kernel, step, 0)
            case ResponseNormalisation():
                self._extend([nn.LocalResponseNorm(5)])
            case Inception():
                self._extend([InceptionModule(self.channels, layer, batch_norm=normed)])
                self.channels = layer.channels
            case Dropout(share):
                self._extend([nn.Dropout(share * DROPOUT_SHARE_WITH_BATCH_NORM if normed else share)])
            case Dense(units):
                self.add_dense(units)
                self._extend([nn.ReLU()])

    def add_dense(self, units: int) -> None:
        kernel, step = (1, 1) if self._seen_dense else (self.side, self.dense_stride)
        self._extend([WindowDense(self.channels, units, kernel, stride=step)])
        self.channels, self.side, self._seen_dense = units, 1, True

    def _extend(self, modules: list[nn.Module]) -> None:
        self.modules += modules

    def _slide(self, kernel: int, step: int, padding: int) -> None:
        self.side = (self.side + 2 * padding - kernel) // step + 1
        self.stride *= step


def _dense_stride(plan: Plan) -> int:
    """Return the step of the first dense layer with which windows lie 4 px apart (Li et al., 3.1)."""
    stepped = 1
    for layer in plan.layers:
        stepped *= getattr(layer, "stride", 1)
    return max(1, 4 // stepped)


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
    """Return layers, parameters and FLOPs (two per multiplication) for one window, branches included."""
    found: list[LayerCost] = []

    def note(module: nn.Module, _inputs: object, output: Tensor) -> None:
        n_parameters = sum(p.numel() for p in module.parameters())
        flops = 0
        if isinstance(module, nn.Conv2d):
            flops = 2 * module.weight.numel() * output.shape[2] * output.shape[3]
        elif isinstance(module, nn.Linear):
            flops = 2 * module.weight.numel()
        found.append(LayerCost(_kind(module), tuple(output.shape[1:]), n_parameters, flops))

    handles = [module.register_forward_hook(note) for module in network.modules() if type(module) in _KINDS]
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        network(torch.zeros(1, network.plan.planes, network.size_px, network.size_px))
    network.train(was_training)
    for handle in handles:
        handle.remove()
    return found


_KINDS: dict[type[nn.Module], str] = {
    nn.Conv2d: "convolution",
    nn.MaxPool2d: "max-pooling",
    nn.LocalResponseNorm: "response norm",
    WindowDense: "dense",
    nn.Linear: "dense",
    nn.BatchNorm2d: "batch norm",
}


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d) and module.groups > 1:
        return "within maps"
    return _KINDS[type(module)]


def describe(network: Network) -> str:
    """Return a table of the layers of `network`, its parameters and its FLOPs, for people."""
    rows = costs(network)
    side = network.size_px
    answers = f"{network.plan.n_classes} classes" + (" and a box" if network.plan.finds_box else "")
    slides = f"windows {network.stride_px} px apart" if network.plan.slides else "crops only"
    lines = [f"{network.name}: {side}x{side} px, {answers}, {slides}"]
    for row in rows:
        shape = "x".join(str(n) for n in row.shape)
        lines.append(
            f"  {row.layer:<13} {shape:>10} {row.n_parameters:>10,} parameters {row.flops:>12,} FLOP"
        )
    lines.append(
        f"  {'in all':<13} {'':>10} {sum(r.n_parameters for r in rows):>10,} parameters "
        f"{sum(r.flops for r in rows):>12,} FLOP a window"
    )
    return "\n".join(lines)
