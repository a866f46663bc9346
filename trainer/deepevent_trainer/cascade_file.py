"""The `.cascade` file: nets as ONNX, thresholds and model card in one zip, and nothing that could run.

`model.json` has the format, the stages in order and the card; each stage names its `.onnx` member. A file
from elsewhere is read with bounds and never unpacked to disk. Knows zip and JSON; neither torch nor ONNX
Runtime.
"""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deepevent.errors import DeepEventError

FORMAT = 1
MODEL = "model.json"
# Far more than any cascade needs.
MAX_BYTES = 64 * 2**20
MAX_STAGES = 8


class CascadeFileInvalid(DeepEventError):
    """A `.cascade` file is missing, broken, too large or not of a format that this version reads."""


@dataclass(frozen=True)
class StageModel:
    """One net of a cascade.

    Attributes:
        name: of the net.
        size_px, context, threshold, stride_px: as in `box_cascade.Judge`.
        slides: whether it scans a level.
        onnx: the net, `pixels` `(N, 1, H, W)` float32 of 0..255 -> `answers` `(N, 6, h, w)`.
    """

    name: str
    size_px: int
    context: float
    threshold: float
    stride_px: int
    slides: bool
    onnx: bytes


@dataclass(frozen=True)
class CascadeModel:
    """A whole cascade and its model card."""

    stages: tuple[StageModel, ...]
    card: dict[str, Any]


def write_cascade(path: Path, model: CascadeModel) -> None:
    """Write `model` to `path`."""
    stages = [{key: value for key, value in asdict(stage).items() if key != "onnx"} for stage in model.stages]
    head = {"format": FORMAT, "stages": stages, "card": model.card}
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MODEL, json.dumps(head, indent=1))
        for stage in model.stages:
            archive.writestr(f"{stage.name}.onnx", stage.onnx)


def read_cascade(path: Path) -> CascadeModel:
    """Return what `write_cascade` wrote.

    Raises:
        CascadeFileInvalid: if the file cannot be used.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(member.file_size for member in archive.infolist())
            if total > MAX_BYTES:
                raise CascadeFileInvalid(
                    f"{str(path)!r} unpacks to {total:,} bytes; {MAX_BYTES:,} is the most"
                )
            head = json.loads(archive.read(MODEL))
            if not isinstance(head, dict) or head.get("format") != FORMAT:
                raise CascadeFileInvalid(f"{str(path)!r} is not a cascade file of format {FORMAT}")
            rows = head["stages"]
            if not 1 <= len(rows) <= MAX_STAGES:
                raise CascadeFileInvalid(
                    f"{str(path)!r} has {len(rows)} stages; 1 to {MAX_STAGES} are allowed"
                )
            stages = tuple(_stage(row, archive) for row in rows)
            if not stages[0].slides:
                raise CascadeFileInvalid(f"{str(path)!r} begins with a net that cannot scan a picture")
            return CascadeModel(stages, dict(head["card"]))
    except FileNotFoundError:
        raise CascadeFileInvalid(f"there is no cascade file {str(path)!r}") from None
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError, RuntimeError) as error:
        raise CascadeFileInvalid(f"{str(path)!r} is not a cascade file: {error}") from error


def _stage(row: dict[str, Any], archive: zipfile.ZipFile) -> StageModel:
    name, size_px, context = str(row["name"]), int(row["size_px"]), float(row["context"])
    threshold, stride_px = float(row["threshold"]), int(row["stride_px"])
    problems = [
        text
        for text, bad in (
            (f"size_px {size_px}", not 4 <= size_px <= 256),
            (f"context {context}", not 1 <= context <= 4),
            (f"threshold {threshold}", not (math.isfinite(threshold) and 0 <= threshold <= 1)),
            (f"stride_px {stride_px}", not 1 <= stride_px <= 256),
        )
        if bad
    ]
    if problems:
        raise ValueError(f"stage {name!r} has {', '.join(problems)}")
    onnx = archive.read(f"{name}.onnx")
    return StageModel(name, size_px, context, threshold, stride_px, bool(row["slides"]), onnx)
