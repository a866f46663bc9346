"""`deepevent evaluate`: how good a detector is on sets of photographs.

Reads, measures and prints; the measures themselves are `evaluate` and `evaluation`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from deepevent.errors import DeepEventError
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers import READERS, read, recognise
from deepevent_trainer.data.readers.fddb import FddbPhotograph
from deepevent_trainer.evaluate import Measurement, measure, measure_fddb
from deepevent_trainer.evaluation.detections_file import DetectionsFile, read_detections, write_detections
from deepevent_trainer.evaluation.detectors import NAMED, load_detector, run_detector, scale_of
from deepevent_trainer.evaluation.wider import read_wider_truth, wider_average_precision
from deepevent_trainer.progress import ProgressBar

HELP = "measure a detector: average precision, FDDB, WIDER"

_WIDER_TRUTH = "wider_face_val.mat"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `deepevent evaluate`."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--detections", type=Path, metavar="FILE", help="JSON file with what a detector found"
    )
    source.add_argument("--detector", metavar="NAME", help=f"{', '.join(NAMED)}, or module:factory")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder of annotated photographs"
    )
    parser.add_argument(
        "--format", choices=sorted(READERS), help="format of the folder (default: look at it)"
    )
    parser.add_argument(
        "--partial", action="store_true", help="leave out listed photographs that are missing"
    )
    parser.add_argument("--split", help="only photographs of this split, as train, val or test")
    parser.add_argument(
        "--longest-side", type=int, metavar="PX", help="scale every photograph to this, up or down, before"
    )
    parser.add_argument(
        "--wider-truth", type=Path, metavar="DIR", help=f"folder of {_WIDER_TRUTH} and the lists"
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="write what the detector found")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def execute(args: argparse.Namespace) -> int:
    """Run the command; return the exit code."""
    try:
        if args.longest_side is not None and args.longest_side < 1:
            print(f"--longest-side must be at least 1, got {args.longest_side}", file=sys.stderr)
            return 2
        figures = _evaluate(args)
    except DeepEventError as error:
        print(f"deepevent evaluate: {error}", file=sys.stderr)
        return 1
    print(json.dumps(figures, indent=2) if args.json else _as_text(figures))
    return 0


def _evaluate(args: argparse.Namespace) -> dict[str, Any]:
    format_name = args.format or recognise(args.data)
    photographs = read(args.data, format_name, args.partial)
    if args.split is not None:
        photographs = [photograph for photograph in photographs if photograph.split == args.split]
    made = _detections(args, photographs)
    scales = {photograph.name: scale_of(photograph, args.longest_side) for photograph in photographs}
    figures: dict[str, Any] = {
        "detector": made.detector,
        "data": str(args.data),
        "median_ms": made.median_ms(),
        "unknown": sorted(set(made.detections) - {photograph.name for photograph in photographs})[:3],
    }
    figures |= _plain(measure(photographs, made.detections, scales=scales))
    of_fddb = [photograph for photograph in photographs if isinstance(photograph, FddbPhotograph)]
    if of_fddb:
        figures["fddb"] = measure_fddb(of_fddb, made.detections)
    if args.wider_truth is not None:
        figures["wider"] = _wider(args.wider_truth, photographs, made)
    return figures


def _detections(args: argparse.Namespace, photographs: list[Photograph]) -> DetectionsFile:
    if args.detections is not None:
        return read_detections(args.detections)
    detector = load_detector(args.detector)
    with ProgressBar("photographs") as bar:
        made = run_detector(detector, photographs, args.longest_side, args.detector, bar.update)
    if args.save is not None:
        write_detections(args.save, made)
    return made


def _wider(folder: Path, photographs: list[Photograph], made: DetectionsFile) -> dict[str, Any]:
    """Return the official figures on those photographs of WIDER's validation set that are here."""
    truths = read_wider_truth(folder)
    here = {photograph.name for photograph in photographs}
    part = {name: truth for name, truth in truths.items() if name in here}
    return {"n_photographs": len(part), "of": len(truths), **wider_average_precision(part, made.detections)}


def _plain(measurement: Measurement) -> dict[str, Any]:
    """Return the figures with None where no face counts: JSON knows no NaN."""
    figures = measurement.as_json()
    for row in figures["rows"]:
        row.update({key: None for key, value in row.items() if value != value})  # noqa: PLR0124 - NaN alone differs
    return figures


def _as_text(figures: dict[str, Any]) -> str:
    style = figures["style"]
    lines = [
        f"{figures['detector'] or 'detections'} on {figures['data']}, {figures['n_photographs']} photographs",
        "",
        f"{'faces':<12}{'n':>7}{'AP':>8}{'fitted':>8}{'AP*':>8}{'fitted*':>9}{'AP50-95':>9}{'fitted':>8}"
        f"{'recall':>8}",
    ]
    lines += [_row(row) for row in figures["rows"]]
    lines += [
        "",
        f"fitted: boxes moved by {style['shift_x']:+.3f} widths and {style['shift_y']:+.3f} heights, "
        f"width x {style['stretch_x']:.3f}, height x {style['stretch_y']:.3f} ({style['n_pairs']} pairs)",
        "* on the half of the set that the fit has not seen",
    ]
    if figures["median_ms"] is not None:
        lines.append(f"median time per photograph: {figures['median_ms']:.1f} ms")
    if figures["unknown"]:
        lines.append(f"detections of photographs that are not in the set, {figures['unknown'][0]!r} first")
    if "fddb" in figures:
        lines += ["", "FDDB, true-positive rate:"]
        for kind in ("discrete", "continuous"):
            rates = figures["fddb"][kind]
            lines.append(f"  {kind:<11}" + "  ".join(f"{_figure(rates[n])} at {n}" for n in rates))
    if "wider" in figures:
        wider = figures["wider"]
        lines += [
            "",
            f"WIDER FACE, {wider['n_photographs']} of {wider['of']} validation photographs: "
            + "  ".join(f"{name} {_figure(wider[name])}" for name in ("easy", "medium", "hard")),
        ]
    return "\n".join(lines)


def _row(row: dict[str, Any]) -> str:
    return (
        f"{row['sizes']:<12}{row['n_faces']:>7}{_figure(row['ap']):>8}{_figure(row['ap_fitted']):>8}"
        f"{_figure(row['ap_unseen']):>8}{_figure(row['ap_fitted_unseen']):>9}{_figure(row['map']):>9}"
        f"{_figure(row['map_fitted']):>8}{_figure(row['recall']):>8}"
    )


def _figure(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"  # noqa: PLR0124
