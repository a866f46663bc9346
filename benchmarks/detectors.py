"""Face detectors side by side: average precision, raw and fitted, and time, in one run and by one evaluator.

    python -m benchmarks.detectors --data DIR [--data DIR…] [--quick] [--peers haar,mtcnn] [--yunet FILE]

Quality: every photograph is scaled to a longest side of 640, up or down; faces count from the smallest face
asked for, in pixels of height there. Time: up to twenty of the photographs, cut to 640×480; rounds alternate
between the detectors, so that a slow minute of the machine hits all alike. The time of a picture is the least
of its rounds, the figure is the median over pictures. Each detector has its own environment and one thread.
Photographs are no part of the project: `--data` names them, or the variable DEEPEVENT_BENCHMARK_DATA (paths
divided by `:`).
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.detector_peers import PEERS, NotMeasured, Racer
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers import read
from deepevent_trainer.evaluate import SIZES, measure
from deepevent_trainer.evaluation.detections_file import read_detections
from deepevent_trainer.evaluation.detectors import scale_of
from deepevent_trainer.evaluation.matching import Detections, SizeRange

TITLE = "Face detectors"
MARKDOWN = True
QUICK = True
LIMIT_S = 3 * 3600
"""See `benchmarks.__main__.run_script`."""

LONGEST_SIDE = 640
TIMED_SIZE = (640, 480)
N_TIMED = 20
SMALLEST_PX = 24
BUDGETS_MS = {80: 2.5, 40: 8.0, 24: 20.0}
"""DESIGN §11: on one thread, by smallest face in pixels."""


@dataclasses.dataclass
class Entry:
    """One detector on its way through the measurements; figures by smallest face."""

    title: str
    racer: Racer | None = None
    reason: str | None = None
    detections: dict[int, dict[str, Detections]] = dataclasses.field(default_factory=dict)
    wall: dict[int, list[list[float]]] = dataclasses.field(default_factory=dict)
    processor: dict[int, list[list[float]]] = dataclasses.field(default_factory=dict)


def least(rounds: list[list[float]]) -> float:
    """Return the median over pictures of the least time of the rounds."""
    return statistics.median(min(times) for times in zip(*rounds, strict=True))


def main() -> int:
    """Measure and print; return 0 also when there was nothing to measure."""
    args = _arguments()
    folders = args.data or [
        Path(one) for one in os.environ.get("DEEPEVENT_BENCHMARK_DATA", "").split(":") if one
    ]
    if not folders:
        print("not measured: no photographs given; name folders with --data or DEEPEVENT_BENCHMARK_DATA")
        return 0
    sets = {folder.name: _photographs(folder, quick=args.quick) for folder in folders}
    entries = [_enter(key, {"yunet": args.yunet, "scrfd": args.scrfd}) for key in args.peers.split(",")]
    smallest = [int(px) for px in args.min_face.split(",")]
    n_rounds, n_timed = (1, N_TIMED // 4) if args.quick else (args.rounds, N_TIMED)
    try:
        for entry in entries:
            for px in smallest:
                _attempt(entry, lambda racer, px=px: racer.make(px, LONGEST_SIDE))
        timed = _evenly([one for photographs in sets.values() for one in photographs], n_timed)
        _time(entries, smallest, timed, n_rounds)
        print(_times_table(entries, smallest, len(timed), n_rounds))
        missed = _over_budget(entries, smallest)
        for name, photographs in sets.items():
            for px in smallest:
                _detect(entries, px, photographs)
                print(f"  {name}, faces from {px} px", file=sys.stderr)
            text, below = _quality_table(name, photographs, entries, smallest)
            print(text)
            missed += below
        reasons = [f"not measured: {entry.title}: {entry.reason}" for entry in entries if entry.reason]
        print("\n" + "\n\n".join([*reasons, *(f"MISSED {sentence}" for sentence in missed)]))
    finally:
        for entry in entries:
            if entry.racer is not None:
                entry.racer.close()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detectors", description=__doc__)
    parser.add_argument("--data", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--min-face", default="80,40,24", metavar="PX,…", help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of the times (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="16 photographs of a set, 5 timed, one round")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"by comma, of {', '.join(PEERS)}")
    parser.add_argument("--yunet", type=Path, metavar="FILE", help="YuNet's ONNX file")
    parser.add_argument("--scrfd", type=Path, metavar="FILE", help="SCRFD's ONNX file")
    args = parser.parse_args()
    unknown = sorted(set(args.peers.split(",")) - set(PEERS))
    if unknown:
        parser.error(f"no detector is called {unknown[0]!r}; there are {', '.join(PEERS)}")
    return args


def _photographs(folder: Path, *, quick: bool) -> list[Photograph]:
    """Return the photographs of a set that its authors do not give for training."""
    found = [one for one in read(folder) if one.path is not None and one.split != "train"]
    return _evenly(found, 16) if quick else found


def _evenly(photographs: Sequence[Photograph], most: int) -> list[Photograph]:
    n = min(most, len(photographs))
    return [photographs[index * len(photographs) // n] for index in range(n)]


def _enter(key: str, models: dict[str, Path | None]) -> Entry:
    peer = PEERS[key]
    try:
        racer = Racer(key, models.get(peer.model or ""))
    except NotMeasured as error:
        return Entry(peer.title, reason=str(error))
    return Entry(f"{peer.title} {racer.version}", racer)


def _attempt(entry: Entry, act: Callable[[Racer], None]) -> None:
    if entry.racer is not None and entry.reason is None:
        try:
            act(entry.racer)
        except NotMeasured as error:
            entry.reason = str(error)


def _time(
    entries: Sequence[Entry], smallest: Sequence[int], timed: Sequence[Photograph], n_rounds: int
) -> None:
    paths = [str(one.path) for one in timed]
    for number in range(n_rounds):
        for px in smallest:
            for entry in entries:

                def once(racer: Racer, entry: Entry = entry, px: int = px) -> None:
                    wall, processor = racer.time(px, paths, TIMED_SIZE)
                    entry.wall.setdefault(px, []).append(wall)
                    entry.processor.setdefault(px, []).append(processor)

                _attempt(entry, once)
        print(f"  times {number + 1}/{n_rounds}", file=sys.stderr)


def _detect(entries: Sequence[Entry], px: int, photographs: Sequence[Photograph]) -> None:
    images = [{"name": one.name, "path": str(one.path)} for one in photographs]
    with tempfile.TemporaryDirectory(prefix="deepevent-bench-") as scratch:
        for entry in entries:
            answer = Path(scratch) / "answer.json"

            def once(racer: Racer, entry: Entry = entry, answer: Path = answer) -> None:
                racer.detect(px, images, LONGEST_SIDE, answer)
                entry.detections[px] = dict(read_detections(answer).detections)

            _attempt(entry, once)


def _times_table(entries: Sequence[Entry], smallest: Sequence[int], n_pictures: int, n_rounds: int) -> str:
    width, height = TIMED_SIZE
    lines = [
        f"**Time** of a {width}×{height} picture on one thread, ms by the clock / of the processor alone: "
        f"{n_pictures} pictures, {n_rounds} alternated rounds\n",
        _cells("detector", [f"faces from {px} px" for px in smallest]),
        "|---|" + "---:|" * len(smallest),
        _cells("*budget*", [f"≤ {BUDGETS_MS[px]:g}" if px in BUDGETS_MS else "" for px in smallest]),
    ]
    for entry in entries:
        figures = [f"not measured: {entry.reason}", *[""] * (len(smallest) - 1)]
        if entry.reason is None:
            figures = [f"{least(entry.wall[px]):.1f} / {least(entry.processor[px]):.1f}" for px in smallest]
        lines.append(_cells(entry.title, figures))
    return "\n".join(lines)


def _quality_table(
    title: str, photographs: list[Photograph], entries: Sequence[Entry], smallest: Sequence[int]
) -> tuple[str, list[str]]:
    """Return a set's figures as text, and where ours is below MTCNN's."""
    scales = {one.name: scale_of(one, LONGEST_SIDE) for one in photographs}
    asked = [(px, size) for px in smallest for size in _sizes(px)]
    counts = [measure(photographs, {}, [size], scales).rows[0].n_faces for _, size in asked]
    heads = [f"{size} ({n}), asked for from {px} px" for (px, size), n in zip(asked, counts, strict=True)]
    lines = [
        f"\n**Average precision** at IoU 0.5 on {title}, raw / after one shift and stretch: "
        f"{len(photographs)} photographs, longest side {LONGEST_SIDE}\n",
        _cells("detector", heads),
        "|---|" + "---:|" * len(heads),
    ]
    fitted = dict[str, list[float]]()
    for entry in entries:
        if entry.reason is not None or entry.racer is None:
            continue  # said at the end
        rows = [measure(photographs, entry.detections[px], [size], scales).rows[0] for px, size in asked]
        fitted[entry.racer.key] = [row.ap_fitted for row in rows]
        lines.append(_cells(entry.title, [f"{row.ap:.3f} / {row.ap_fitted:.3f}" for row in rows]))
    ours, theirs = fitted.get("cascade", []), fitted.get("mtcnn", [])
    below = [
        f"quality on {title}, {size}, asked for from {px} px: {own:.3f} fitted, MTCNN {other:.3f}"
        for (px, size), own, other in zip(asked, ours, theirs, strict=False)
        if own <= other
    ]
    return "\n".join(lines), below


def _sizes(min_face_px: int) -> list[SizeRange]:
    """Return the sizes of faces to count; larger ones too where the most is asked for."""
    chosen = [size for size in SIZES if size.least_px >= min_face_px and size.most_px == float("inf")]
    chosen = chosen or [SizeRange(min_face_px)]
    return chosen if min_face_px <= SMALLEST_PX else chosen[:1]


def _cells(title: str, cells: Sequence[str]) -> str:
    return f"| {title} | " + " | ".join(cells) + " |"


def _over_budget(entries: Sequence[Entry], smallest: Sequence[int]) -> list[str]:
    return [
        f"time, smallest face {px} px: {least(entry.wall[px]):.1f} ms by the clock, "
        f"{least(entry.processor[px]):.1f} of the processor, the budget is {BUDGETS_MS[px]:g}"
        for entry in entries
        if entry.racer is not None and entry.racer.key == "cascade" and entry.reason is None
        for px in smallest
        if px in BUDGETS_MS and least(entry.wall[px]) > BUDGETS_MS[px]
    ]


if __name__ == "__main__":
    sys.exit(main())
