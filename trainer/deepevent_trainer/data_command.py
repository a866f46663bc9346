"""`deepevent data`: fetch public sets, and look sets over before they cost a training.

Reads arguments and prints; what happens is `data.download`, `data.archives` and `data.check`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import deepevent
from deepevent.errors import DeepEventError
from deepevent_trainer.data.archives import unpack
from deepevent_trainer.data.check import KINDS, Finding, Report, check
from deepevent_trainer.data.download import fetch
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers import READERS, read
from deepevent_trainer.data.sources import DATA_SETS, DataSet
from deepevent_trainer.progress import ProgressBar

HELP = "fetch public data sets, and check sets of photographs"

# So many pictures of each kind go to the dashboard; the table there has all findings.
_PICTURES_SHOWN = 20
_LINES_SHOWN = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `deepevent data`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="get|check")
    get = actions.add_parser("get", help="fetch a public set; goes on where it was cut off")
    get.add_argument("name", choices=sorted(DATA_SETS), help="which set")
    get.add_argument("--to", type=Path, default=Path("data"), metavar="DIR", help="where to (default: data)")
    get.add_argument(
        "--keep-archives", action="store_true", help="do not delete archives once they are unpacked"
    )
    look = actions.add_parser("check", help="broken images, impossible boxes, doubles in training and test")
    look.add_argument("folders", type=Path, nargs="*", metavar="DIR", help="folders of annotated photographs")
    look.add_argument(
        "--format", choices=sorted(READERS), help="format of the folders (default: look at them)"
    )
    look.add_argument(
        "--train", type=Path, action="append", default=[], metavar="DIR", help="a folder for training"
    )
    look.add_argument(
        "--test", type=Path, action="append", default=[], metavar="DIR", help="a folder for testing"
    )
    look.add_argument("--log", action="store_true", help="show the findings as a run in the dashboard")
    look.add_argument("--json", action="store_true", help="print the findings as JSON")


def execute(args: argparse.Namespace) -> int:
    """Run the command; return the exit code: 1 also if `check` finds a leak or a broken image."""
    try:
        return _get(args) if args.action == "get" else _check(args)
    except DeepEventError as error:
        print(f"deepevent data {args.action}: {error}", file=sys.stderr)
        return 1


def _get(args: argparse.Namespace) -> int:
    chosen = DATA_SETS[args.name]
    print(f"{chosen.title}\nterms: {chosen.terms}", file=sys.stderr)
    folder = get_data_set(chosen, args.to, keep_archives=args.keep_archives)
    print(folder)
    return 0


def get_data_set(chosen: DataSet, to: Path, keep_archives: bool = False) -> Path:
    """Fetch and unpack a set; return its folder. Files that were unpacked before are not fetched again.

    Raises:
        DownloadFailed: if a file cannot be fetched.
        ArchiveUnsafe: if an archive is refused.
    """
    folder = to / chosen.name
    done = folder / ".unpacked"
    unpacked = set(done.read_text().split()) if done.is_file() else set()
    for remote in chosen.files:
        if remote.name in unpacked:
            continue
        with ProgressBar(remote.name, in_bytes=True) as bar:
            path = fetch(remote, folder, bar.update)
        if remote.archive:
            unpack(path, folder, chosen.unpacked_bytes)
            unpacked.add(remote.name)
            done.write_text("\n".join(sorted(unpacked)) + "\n")
            if not keep_archives:
                path.unlink()
    return folder


def _check(args: argparse.Namespace) -> int:
    if not (args.folders or args.train or args.test):
        print("deepevent data check: name at least one folder", file=sys.stderr)
        return 2
    photographs = read_for_check(args.folders, args.train, args.test, args.format)
    with ProgressBar("photographs") as bar:
        report = check(photographs, bar.update)
    print(json.dumps(report.as_json(), indent=2) if args.json else as_text(report))
    if args.log:
        print(f"shown in the dashboard: {log_report(report, photographs)}", file=sys.stderr)
    counts = report.counts()
    return 1 if counts["leak"] or counts["broken"] else 0


def read_for_check(
    folders: Sequence[Path],
    training: Sequence[Path] = (),
    testing: Sequence[Path] = (),
    format_name: str | None = None,
) -> list[Photograph]:
    """Return the photographs of all folders, names made unique by their folder's.

    Args:
        folders: read as they are, with the splits that they have themselves.
        training: folders of which all is for training, also if they are not among `folders`.
        testing: the same for testing.
        format_name: a key of `READERS`; None looks at each folder.
    """
    splits: dict[Path, str | None] = {
        **dict.fromkeys(folders),
        **dict.fromkeys(training, "train"),
        **dict.fromkeys(testing, "test"),
    }
    photographs: list[Photograph] = []
    for folder, split in splits.items():
        prefix = f"{folder}/" if len(splits) > 1 else ""
        photographs += [
            replace(photograph, name=prefix + photograph.name, split=split or photograph.split)
            for photograph in read(folder, format_name)
        ]
    return photographs


def as_text(report: Report) -> str:
    """Return the report for people: counts of all kinds, and the first findings of each."""
    lines = [f"{report.n_photographs:,} photographs, {report.n_faces:,} faces"]
    counts = report.counts()
    for kind, meaning in KINDS.items():
        lines.append(f"{counts[kind]:>6} {kind:<10} {meaning}")
        of_kind = [finding for finding in report.findings if finding.kind == kind]
        lines += [f"{'':>7}{finding.photograph}: {finding.detail}" for finding in of_kind[:_LINES_SHOWN]]
        if len(of_kind) > _LINES_SHOWN:
            lines.append(f"{'':>7}and {len(of_kind) - _LINES_SHOWN:,} more; --json has all")
    return "\n".join(lines)


def log_report(report: Report, photographs: Sequence[Photograph]) -> str:
    """Log the findings as a run: a table of all, and pictures of the first of each kind.

    Returns:
        The run's address, or its id.
    """
    by_name = {photograph.name: photograph for photograph in photographs}
    with deepevent.start(name="data check", project="data", tags=("data",)) as run:
        run.log({f"findings/{kind}": count for kind, count in report.counts().items()}, step=0)
        run.log_table("findings", [_table_row(finding) for finding in report.findings], step=0)
        for kind in KINDS:
            of_kind = [finding for finding in report.findings if finding.kind == kind and kind != "broken"]
            for step, finding in enumerate(of_kind[:_PICTURES_SHOWN]):
                boxes = [finding.box] if finding.box is not None else None
                caption = f"{finding.photograph}: {finding.detail}"
                pixels = by_name[finding.photograph].read()
                run.log_image(f"{kind}", pixels, step=step, boxes=boxes, caption=caption)
                if finding.other:
                    other = by_name[finding.other].read()
                    run.log_image(f"{kind}/other", other, step=step, caption=finding.other)
        return str(run.url or run.id)


def _table_row(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "photograph": finding.photograph,
        "detail": finding.detail,
        "other": finding.other,
    }
