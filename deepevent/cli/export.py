"""`deepevent export RUN…`: the points of runs as CSV, JSON or Parquet.

All points in order of arrival, those that were logged again at their step included; values with as many
digits as it takes to get the same float64 back.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from deepevent.cli._remote import Remote, add_options
from deepevent.errors import DeepEventError

HELP = "write the points of runs as CSV, JSON or Parquet"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Where a spreadsheet sees a formula begin; the page goes by the same (`keep.js`)."""
COLUMNS = ("run", "name", "metric", "rank", "step", "time", "value")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="ids or names")
    parser.add_argument("--format", choices=("csv", "json", "parquet"), default=None, help="default csv")
    parser.add_argument("--metric", action="append", metavar="M", help="only this metric (may be repeated)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")
    add_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Write them."""
    _export(args)
    return 0


def _export(args: argparse.Namespace) -> None:
    kind = args.format or ("json" if args.json else "csv")
    remote = Remote(args.url)
    runs = [remote.find(run) for run in args.runs]
    if kind == "parquet":
        _write_parquet(remote, runs, args)
        return
    with contextlib.ExitStack() as stack:
        out: IO[str] = sys.stdout
        if args.output:
            out = stack.enter_context(args.output.open("w", encoding="utf-8", newline=""))
        if kind == "csv":
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(COLUMNS)
            for run, metric, steps, times, values in _series(remote, runs, args.metric):
                head = (run["id"], _cell(run["name"]), _cell(metric["name"]), metric["rank"])
                writer.writerows(
                    (*head, step, repr(time), repr(value))
                    for step, time, value in zip(steps, times, values, strict=True)
                )
        else:
            _write_json(remote, runs, args.metric, out)


def _cell(text: str) -> str:
    """A name as a spreadsheet may read it: an apostrophe keeps it from being run as a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _write_json(remote: Remote, runs: list[dict[str, Any]], wanted: list[str] | None, out: IO[str]) -> None:
    exported: dict[str, Any] = {run["id"]: {**run, "metrics": []} for run in runs}
    for run, metric, steps, times, values in _series(remote, runs, wanted):
        written = exported[run["id"]]["metrics"]
        if not written or (written[-1]["name"], written[-1]["rank"]) != (metric["name"], metric["rank"]):
            written.append(
                {"name": metric["name"], "rank": metric["rank"], "step": [], "time": [], "value": []}
            )
        written[-1]["step"] += steps
        written[-1]["time"] += times
        written[-1]["value"] += [_json_number(value) for value in values]
    json.dump({"runs": list(exported.values())}, out, ensure_ascii=False, allow_nan=False)
    out.write("\n")


def _write_parquet(remote: Remote, runs: list[dict[str, Any]], args: argparse.Namespace) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DeepEventError(
            "Parquet needs pyarrow: pip install 'deepevent-monitor[parquet]', or take --format csv"
        ) from None
    if not args.output:
        raise DeepEventError("Parquet is binary: name a file with --output")
    kinds = ("string", "string", "string", "int32", "int64", "float64", "float64")
    schema = pyarrow.schema(
        [(name, getattr(pyarrow, kind)()) for name, kind in zip(COLUMNS, kinds, strict=True)]
    )
    with pyarrow.parquet.ParquetWriter(args.output, schema) as writer:
        for run, metric, steps, times, values in _series(remote, runs, args.metric):
            n = len(steps)
            head = [[run["id"]] * n, [run["name"]] * n, [metric["name"]] * n, [metric["rank"]] * n]
            writer.write_table(pyarrow.table([*head, steps, times, values], schema=schema))


def _series(
    remote: Remote, runs: list[dict[str, Any]], wanted: list[str] | None
) -> Iterator[tuple[dict[str, Any], dict[str, Any], list[int], list[float], list[float]]]:
    """Yield run, metric, steps, times and values of each wanted metric of each run, in pieces."""
    for run in runs:
        metrics = remote.get(f"/runs/{quote(run['id'])}/metrics")["metrics"]
        chosen = [metric for metric in metrics if not wanted or metric["name"] in wanted]
        missing = set(wanted or ()) - {metric["name"] for metric in chosen}
        if missing:
            raise DeepEventError(f"run {run['id']} has no metric {', '.join(map(repr, sorted(missing)))}")
        for metric in chosen:
            for steps, times, values in remote.points(run["id"], metric["name"], metric["rank"]):
                yield run, metric, steps.tolist(), times.tolist(), values.tolist()


def _json_number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
