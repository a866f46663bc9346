"""`deepevent detect`: find faces in a picture, a folder, a video or before a camera, without torch."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer.drawing import Album, drawn
from deepevent_trainer.frames import Frame, open_frames
from deepevent_trainer.progress import ProgressBar
from deepevent_trainer.runtime import Detector, Found

HELP = "find faces in pictures, folders, videos or before a camera"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `deepevent detect`."""
    parser.add_argument(
        "what", metavar="PATH|DIR|VIDEO|CAMERA", help="a picture, a folder, a video, camera or camera:N"
    )
    add_detector_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line and picture")
    parser.add_argument(
        "--draw", type=Path, metavar="OUT", help="write pictures with boxes: a file, folder or .mp4 file"
    )
    parser.add_argument("--explain", action="store_true", help="tell how many windows each stage left")


def add_detector_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what decides which detector runs, and how."""
    parser.add_argument("--model", type=Path, metavar="FILE", help="a .cascade file (the one that ships)")
    parser.add_argument(
        "--min-face", type=float, default=40, metavar="PX", help="smallest face to find (%(default)s)"
    )
    parser.add_argument("--threshold", type=float, help="score from which a face counts (the file's)")
    parser.add_argument("--threads", type=int, default=1, help="(%(default)s)")


def detector_of(args: argparse.Namespace) -> Detector:
    """Return the detector that the arguments describe."""
    return Detector(args.model, min_face=args.min_face, threshold=args.threshold, threads=args.threads)


def execute(args: argparse.Namespace) -> int:
    """Find faces and print them; return 0, also when there are none."""
    detector = detector_of(args)
    frames = open_frames(args.what)
    n_pictures = n_faces = 0
    started = time.perf_counter()
    with ExitStack() as stack:
        album = None
        if args.draw is not None:
            folder = Path(args.what) if frames.kind == "folder" else None
            album = stack.enter_context(Album(args.draw, frames, folder))
        bar = None
        if frames.count != 1:
            bar = stack.enter_context(ProgressBar(frames.kind))
        try:
            for frame, found in _searched(detector, frames.read()):
                n_pictures, n_faces = n_pictures + 1, n_faces + len(found.boxes)
                sys.stdout.write(_told(frame.name, found, args.json, args.explain) + "\n")
                if album is not None:
                    album.add(frame.name, drawn(frame.pixels, found.boxes, found.scores))
                if bar is not None:
                    bar.update(n_pictures, frames.count)
        except KeyboardInterrupt:
            # The way to end a camera.
            sys.stderr.write("\n")
    if frames.count != 1:
        rate = n_pictures / max(time.perf_counter() - started, 1e-9)
        sys.stderr.write(f"{n_faces:,} faces in {n_pictures:,} pictures, {rate:.1f} pictures/s\n")
    return 0


def _searched(detector: Detector, frames: Iterator[Frame]) -> Iterator[tuple[Frame, Found]]:
    """Yield each frame with what is found in it; windows of several pictures share a batch."""
    waiting: list[Frame] = []

    def pixels() -> Iterator[NDArray[np.uint8]]:
        for frame in frames:
            waiting.append(frame)
            yield frame.pixels

    for found in detector.stream(pixels()):
        yield waiting.pop(0), found


def _told(name: str, found: Found, as_json: bool, explained: bool) -> str:
    """Return what is said of a picture."""
    stages = [
        {"stage": stage.name, "kind": stage.kind, "seen": stage.n_seen, "kept": len(stage.boxes)}
        for stage in found.stages
    ]
    if as_json:
        told: dict[str, Any] = {
            "image": name,
            "boxes": np.round(found.boxes.astype(np.float64), 2).tolist(),
            "scores": np.round(found.scores.astype(np.float64), 4).tolist(),
        }
        return json.dumps(told | ({"stages": stages} if explained else {}))
    n = len(found.boxes)
    lines = [f"{name}: {n} face{'' if n == 1 else 's'}"]
    for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True):
        lines.append("  " + "  ".join(f"{value:7.1f}" for value in box) + f"   score {score:.3f}")
    if explained:
        lines += [f"  {row['stage']:<11} saw {row['seen']:>6}, kept {row['kept']:>5}" for row in stages]
    return "\n".join(lines)
