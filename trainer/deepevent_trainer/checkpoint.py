"""Checkpoints: all of a training's state in one file, written so that it is there whole or not at all.

Files are loaded with `weights_only=True`: a checkpoint from elsewhere cannot run code. Knows files and nets;
not the loop.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch

from deepevent.errors import CheckpointInvalid
from deepevent_trainer.networks import Network, build_network

FORMAT = 1
THRESHOLDS = "thresholds.json"


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path` in one step: after a kill at any moment, the old or the new file is there."""
    with _whole(path) as file:
        torch.save({"format": FORMAT, **state}, file)


def load(path: Path) -> dict[str, Any]:
    """Return what `save` wrote.

    Raises:
        CheckpointInvalid: if there is no such file, or it is no checkpoint that this version can read.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointInvalid(f"there is no checkpoint {str(path)!r}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise CheckpointInvalid(
            f"{str(path)!r} is not a checkpoint of this program: {_first_line(error)}"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointInvalid(f"{str(path)!r} is not a checkpoint of format {FORMAT}")
    return state


def save_thresholds(folder: Path, thresholds: Mapping[str, float]) -> None:
    """Write from which score each net of the cascade in `folder` accepts, in one step as `save` does."""
    with _whole(folder / THRESHOLDS) as file:
        file.write(json.dumps(dict(thresholds), indent=1).encode())


def load_thresholds(folder: Path) -> dict[str, float]:
    """Return what `save_thresholds` wrote, nothing if there is no such file.

    Raises:
        CheckpointInvalid: the file is no such table.
    """
    path = folder / THRESHOLDS
    try:
        found = json.loads(path.read_bytes())
        return {str(name): float(threshold) for name, threshold in found.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointInvalid(f"{str(path)!r} is not a table of thresholds: {error}") from error


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that takes the place of `path` once it is whole and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def architecture(network: Network) -> dict[str, Any]:
    """Return what tells `network` from other nets, its weights aside."""
    return {
        "net": network.name,
        "recipe": network.recipe,
        "batch_norm": network.batch_norm,
        "colour": network.colour,
    }


def network_state(network: Network) -> dict[str, Any]:
    """Return what `network_from` needs to make `network` again."""
    return {**architecture(network), "weights": network.state_dict()}


def network_from(state: dict[str, Any]) -> Network:
    """Return the net of a checkpoint, ready to judge."""
    network = build_network(
        state["net"], state["recipe"], batch_norm=state["batch_norm"], colour=state["colour"]
    )
    network.load_state_dict(state["weights"])
    return network.eval()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
