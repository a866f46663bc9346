"""`deepevent explain`: why faces of a picture were found or missed, stage by stage."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from deepevent.errors import SettingsError
from deepevent_trainer.boxes import as_boxes
from deepevent_trainer.detect_command import add_detector_arguments, detector_of
from deepevent_trainer.explain import Explanation, explain
from deepevent_trainer.frames import read_picture

HELP = "tell why faces of a picture were found or missed"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `deepevent explain`."""
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument(
        "--box",
        action="append",
        default=[],
        metavar="x1,y1,x2,y2",
        help="a face to ask for, in pixels; may be given again (all faces found)",
    )
    add_detector_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, as run.log_detections takes it too")


def execute(args: argparse.Namespace) -> int:
    """Explain, and return 0."""
    asked = [_box(text) for text in args.box]
    image = read_picture(args.image)
    explanation = explain(detector_of(args), image, as_boxes(asked) if asked else None)
    told = _as_json(args.image, explanation) if args.json else _as_text(args.image, explanation)
    sys.stdout.write(told + "\n")
    return 0


def _box(text: str) -> list[float]:
    try:
        box = [float(part) for part in text.split(",")]
    except ValueError:
        box = []
    if len(box) != 4 or not all(map(math.isfinite, box)) or box[2] <= box[0] or box[3] <= box[1]:
        raise SettingsError(f"--box must be x1,y1,x2,y2 with x1 < x2 and y1 < y2, got {text!r}")
    return box


def _as_json(image: Path, explanation: Explanation) -> str:
    return json.dumps(
        {
            "image": str(image),
            "faces": [fate.as_json() for fate in explanation.fates],
            "detections": explanation.detections,
        }
    )


def _as_text(image: Path, explanation: Explanation) -> str:
    stages = explanation.found.stages
    lines = [f"{image}: {len(explanation.found.boxes)} faces found"]
    lines += [f"  {stage.name:<11} saw {stage.n_seen:>6}, kept {len(stage.boxes):>5}" for stage in stages]
    for fate in explanation.fates:
        lines += ["", "face " + ", ".join(f"{edge:g}" for edge in fate.box)]
        for look in fate.looks:
            score = "      " if look.score is None else f"{look.score:.3f}"
            lines.append(f"  {look.stage:<11} best overlap {look.iou:.2f}   score {score}")
        lines.append(f"  {fate.rule}" if fate.found else f"  ended by {fate.ended_by}: {fate.rule}")
    return "\n".join(lines)
