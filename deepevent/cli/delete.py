"""`deepevent delete RUN…`: delete runs and everything that belongs to them."""

from __future__ import annotations

import argparse
import json
import sys
from urllib.parse import quote

from deepevent.cli._remote import Remote, add_options
from deepevent.cli._tables import clean
from deepevent.errors import DeepEventError

HELP = "delete runs and all their data"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="ids or names")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Delete them, after a question unless `--yes` or `--json` is given."""
    _delete(args)
    return 0


def _delete(args: argparse.Namespace) -> None:
    remote = Remote(args.url)
    runs = {run["id"]: run for run in map(remote.find, args.runs)}  # all are there before the first one goes
    if not (args.yes or args.json):
        listed = ", ".join(f"{clean(run['name'] or '')} ({run['id']})" for run in runs.values())
        print(f"Delete {listed}? This cannot be undone. [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise DeepEventError("nothing was deleted")
    for run_id in runs:
        remote.delete(f"/runs/{quote(run_id)}")
    print(json.dumps({"deleted": list(runs)}) if args.json else f"Deleted {len(runs)}.")
