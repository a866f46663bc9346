"""`deepevent runs`: list runs, filtered and sorted by the server."""

from __future__ import annotations

import argparse
import json

from deepevent.cli._remote import Remote, add_options
from deepevent.cli._tables import moment, number, span, table

HELP = "list runs"
DASHED = ("--sort",)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--filter", metavar="Q", help='e.g. \'status = "running" and metrics["val/accuracy"].max > 0.9\''
    )
    parser.add_argument(
        "--sort", metavar="KEY", default="-created", help="e.g. name, -created, 'metrics[\"loss\"].min'"
    )
    parser.add_argument("--limit", type=int, default=50, help="how many (default 50; 0: all)")
    parser.add_argument(
        "--metric", action="append", default=[], metavar="M", help="show this metric's last value"
    )
    add_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Print them."""
    _list(args)
    return 0


def _list(args: argparse.Namespace) -> None:
    remote = Remote(args.url)
    query = {"filter": args.filter, "sort": args.sort, "metrics": ",".join(args.metric) or None}
    found = list(remote.runs(args.limit or None, **query))
    if args.json:
        print(json.dumps({"runs": found}, indent=2, ensure_ascii=False))
        return
    rows = [
        [
            run["id"],
            run["name"] or "",
            run["project"],
            run["status"],
            moment(run["created"]),
            span(run.get("duration_s")),
            *(number((run["metrics"].get(name) or {}).get("last")) for name in args.metric),
        ]
        for run in found
    ]
    print(table(["run", "name", "project", "status", "created", "duration", *args.metric], rows))
