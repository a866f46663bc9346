"""`deepevent export-model`: checkpoints of a trained cascade become one `.cascade` file."""

from __future__ import annotations

import argparse
import io
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepevent.errors import SettingsError
from deepevent_trainer import checkpoint
from deepevent_trainer.cascade_file import CascadeModel, StageModel, write_cascade
from deepevent_trainer.networks import Network

HELP = "write a trained cascade as one .cascade file"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `deepevent export-model`."""
    parser.add_argument("checkpoints", type=Path, metavar="DIR", help="what deepevent train cascade left")
    parser.add_argument("out", type=Path, metavar="FILE", help="the .cascade file")
    parser.add_argument("--card", type=Path, metavar="JSON", help="the model card to put in")


def execute(args: argparse.Namespace) -> int:
    """Export, and return 0."""
    table = args.checkpoints / "thresholds.json"
    if not table.exists():
        raise SettingsError(f"there is no {table}: train the cascade to its end first")
    thresholds: dict[str, float] = json.loads(table.read_text())
    card: dict[str, Any] = json.loads(args.card.read_text()) if args.card else {}
    networks = [
        checkpoint.network_from(checkpoint.load(args.checkpoints / f"{name}.pt")) for name in thresholds
    ]
    write_cascade(args.out, model_of(networks, thresholds, card))
    sys.stdout.write(f"{args.out}: {', '.join(thresholds)}, {args.out.stat().st_size:,} bytes\n")
    return 0


def model_of(networks: list[Network], thresholds: dict[str, float], card: dict[str, Any]) -> CascadeModel:
    """Return trained nets that find boxes as what a `.cascade` file holds.

    Raises:
        SettingsError: if a net answers classes only.
    """
    plain = [network.name for network in networks if not network.plan.finds_box]
    if plain:
        raise SettingsError(f"{plain[0]} finds no box: only cascades of recipe 'best' can be exported")
    return CascadeModel(
        tuple(
            StageModel(
                network.name,
                network.size_px,
                network.plan.context,
                thresholds[network.name],
                network.stride_px,
                network.plan.slides,
                onnx_bytes(network),
            )
            for network in networks
        ),
        card,
    )


class _Answers(nn.Module):
    """A net with its probabilities, as it is exported."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        outputs = self.network.layers((pixels - 127.5) / 64.0)
        return self.network.answer_values(outputs)


def onnx_bytes(network: Network) -> bytes:
    """Return `network` as an ONNX file of variable batch, and of variable size if it slides."""
    side = network.size_px
    pixels = torch.zeros(2, network.plan.planes, side + 8, side + 9)
    axes: dict[int, str] = {0: "n"}
    if network.plan.slides:
        axes |= {2: "height", 3: "width"}
    else:
        pixels = pixels[..., :side, :side]
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter needs onnxscript, a package more.
        warnings.simplefilter("ignore", DeprecationWarning)
        # A dense layer asks whether it sees one window or a map; which one is settled per net.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        _export(network, pixels, file, axes)
    return file.getvalue()


def _export(network: Network, pixels: Tensor, file: io.BytesIO, axes: dict[int, str]) -> None:
    torch.onnx.export(
        _Answers(network).eval(),
        (pixels,),
        file,  # type: ignore[arg-type]
        input_names=["pixels"],
        output_names=["answers"],
        dynamic_axes={"pixels": axes, "answers": axes},
        opset_version=17,
        dynamo=False,
    )
