"""Photographs a second through the pipeline of batches, against window by window and against the batch size.

    python -m benchmarks.pipeline [--quick]

Two cascades run over the same four pictures (those that come with scikit-image, cut to 640×480), faces from
40 px, on one thread: the one that ships, on ONNX Runtime, and the article's six nets, on PyTorch. The six
are not trained here: their thresholds are set so that a trained cascade's shares of the windows pass, and
how long a window takes does not depend on its weights. "Window by window" cuts out every window and judges
it by itself, the first net's too; a batch of 1 still has the first net scan a level in one pass. Rounds
alternate; the time is the processor's, the least of the rounds.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data

from deepevent_trainer import Detector, box_cascade, cascade
from deepevent_trainer.calibrated_cascade import CascadeLevel, pipeline
from deepevent_trainer.cascade import Candidates
from deepevent_trainer.experiments.cascades import BATCH_SIZES
from deepevent_trainer.networks import build_network

TITLE = "The pipeline of batches"
QUICK = True
SIZE = (640, 480)
MIN_FACE_PX = 40
BUDGET = 3.0
"""DESIGN §11: times the throughput of window by window."""

PASSES = {12: 0.08, 24: 0.15, 48: 0.5}
"""Shares of the windows that reach a net and pass it (Li et al., CVPR 2015, on FDDB: 8, 16 and 62 %)."""

Pictures = list[NDArray[np.uint8]]
Runner = Callable[[Pictures, int, bool], Iterator[Candidates]]
"""Pictures, batch size, and whether the first net scans: what is found."""


def main() -> int:
    """Measure, print a table for each cascade, and name what misses the budget."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two pictures, one round")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    sources = (data.astronaut(), data.coffee(), data.chelsea(), data.rocket())
    pictures = [_cut(np.asarray(one, dtype=np.uint8)) for one in sources][: 2 if args.quick else 4]
    for title, run in (
        ("The cascade that ships", shipped()),
        ("The article's six nets", article(pictures)),
    ):
        print(f"\n{title}")
        best = measure(run, pictures, 1 if args.quick else args.rounds)
        if best < BUDGET:
            print(f"MISSED {title}: {best:.1f} times window by window, the goal is {BUDGET:g}")
    return 0


def shipped() -> Runner:
    """Return the cascade that the package carries."""
    judges = Detector(min_face=MIN_FACE_PX).judges

    def run(pictures: Pictures, batch_size: int, scans: bool) -> Iterator[Candidates]:
        first = judges[0]
        if not scans:
            by_window = cascade.windowed(first.judge, first.size_px, first.stride_px, batch_size)
            first = dataclasses.replace(first, mapper=by_window)
        return box_cascade.pipeline(pictures, [first, *judges[1:]], MIN_FACE_PX, batch_size=batch_size)

    return run


def article(pictures: Pictures) -> Runner:
    """Return the article's cascade, untrained, letting pass as many windows as a trained one."""
    torch.manual_seed(0)
    levels: list[CascadeLevel] = []
    for size_px, share in PASSES.items():
        judge, mover = (build_network(f"{kind}{size_px}").eval() for kind in ("det", "cal"))
        seen = pipeline(pictures, [*levels, CascadeLevel(judge, 0.0)], MIN_FACE_PX, final=False)
        scores = np.concatenate([one.stages[-2 if size_px > 12 else 0].scores for one in seen])
        levels.append(CascadeLevel(judge, float(np.quantile(scores, 1 - share)), mover))

    def run(pictures: Pictures, batch_size: int, scans: bool) -> Iterator[Candidates]:
        return pipeline(pictures, levels, MIN_FACE_PX, batch_size=batch_size, scans=scans)

    return run


def measure(run: Runner, pictures: Pictures, n_rounds: int) -> float:
    """Print the throughput of every way and return the best against window by window."""
    ways = {"window by window": (1, False), **{f"batches of {n}": (n, True) for n in BATCH_SIZES}}
    seconds = {label: float("inf") for label in ways}
    found = dict[str, list[Candidates]]()
    for _ in range(n_rounds):
        for label, (batch_size, scans) in ways.items():
            started = time.process_time()
            found[label] = list(run(pictures, batch_size, scans))
            seconds[label] = min(seconds[label], (time.process_time() - started) / len(pictures))
    seen = np.mean([one.stages[0].n_seen for one in found["window by window"]])
    print(f"{seen:,.0f} windows a picture, of which pass: {_passing(found['window by window'])}")
    alone = seconds["window by window"]
    for label, each in seconds.items():
        print(f"{label:<18} {1 / each:8.1f} pictures/s  {alone / each:6.1f} ×")
    return alone / min(seconds.values())


def _passing(found: list[Candidates]) -> str:
    names = [stage.name for stage in found[0].stages if stage.kind != "calibrate"]
    kept = {
        name: np.mean([len(s.boxes) for one in found for s in one.stages if s.name == name]) for name in names
    }
    return ", ".join(f"{name} {n:.0f}" for name, n in kept.items())


def _cut(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the middle of a picture, scaled so that it fills the size."""
    width, height = SIZE
    scale = max(width / picture.shape[1], height / picture.shape[0])
    scaled = (max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale)))
    image = cv2.resize(picture, scaled, interpolation=cv2.INTER_AREA)
    left, top = (scaled[0] - width) // 2, (scaled[1] - height) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width], dtype=np.uint8)


if __name__ == "__main__":
    sys.exit(main())
