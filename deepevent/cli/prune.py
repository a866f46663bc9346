"""`deepevent prune --older-than 90d`: delete old runs, or thin their curves, when asked and never by itself.

Works on the store, beside running servers. What it would do it says with `--dry-run`; before it deletes it
asks, unless `--yes` or `--json` is given.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time

from deepevent.cli._stores import open_store, plain_errors, store_address
from deepevent.cli._tables import clean, moment, table
from deepevent.errors import DeepEventError, RunNotFound, SettingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from deepevent.store.connection import Database
    from deepevent.store.retention import OldRun

HELP = "delete runs that ended long ago, or thin their curves"
UNITS = {"h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}
SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words."""
    parser.add_argument(
        "--older-than", required=True, metavar="AGE", help="since the run ended: hours, days, weeks: 90d"
    )
    parser.add_argument("--project", help="only the runs of this project")
    parser.add_argument("--filter", metavar="EXPRESSION", help="only these, as in `deepevent runs --filter`")
    parser.add_argument("--keep-tagged", action="store_true", help="leave runs alone that have a tag")
    parser.add_argument("--thin", action="store_true", help="keep the runs, with a sixtieth of their points")
    parser.add_argument("--dry-run", action="store_true", help="only say which runs it would be")
    parser.add_argument("--store", help="its address, or a home folder (default: the home's store)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and do not ask")


def execute(arguments: argparse.Namespace) -> int:
    """Find the runs, ask, and do it."""
    before = time.time() - _age_s(arguments.older_than)
    db = open_store(store_address(arguments.store))
    try:
        from deepevent.store import migrate, retention

        migrate.upgrade(db)
        found = plain_errors(
            retention.find,
            db,
            before,
            project=arguments.project,
            filter=arguments.filter,
            keep_tagged=arguments.keep_tagged,
            keep_thinned=arguments.thin,
        )
        if not arguments.json:
            _show(found, "thin" if arguments.thin else "delete")
        if arguments.dry_run or not found:
            gone = 0
        else:
            _ask(arguments)
            gone = plain_errors(_prune, db, found, arguments.thin)
    finally:
        db.close()
    if arguments.json:
        runs = [dataclasses.asdict(run) for run in found]
        print(json.dumps({"runs": runs, "points": gone, "done": not arguments.dry_run}))
    elif gone:
        print(f"{'Thinned' if arguments.thin else 'Deleted'} {len(found)} runs; {gone:,} points are gone.")
    return 0


def _age_s(text: str) -> float:
    digits, unit = text[:-1], text[-1:]
    if unit not in UNITS or not digits.isascii() or not digits.isdigit() or not 0 < int(digits) < 100_000:
        raise SettingsError(f"--older-than must be hours, days or weeks such as 12h, 90d or 4w, got {text!r}")
    return int(digits) * UNITS[unit]


def _show(found: list[OldRun], doing: str) -> None:
    if not found:
        print("There is no such run.")
        return
    rows = [
        [clean(run.name), clean(run.project), run.status, moment(run.ended), f"{run.n_points:,}", run.id]
        for run in found[:SHOWN]
    ]
    print(table(["name", "project", "status", "ended", "points", "id"], rows))
    if len(found) > SHOWN:
        print(f"… and {len(found) - SHOWN} more")
    print(f"{len(found)} runs to {doing}, with {sum(run.n_points for run in found):,} points")


def _ask(arguments: argparse.Namespace) -> None:
    if arguments.yes or arguments.json:
        return
    print("This cannot be undone. Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise DeepEventError("nothing was changed")


def _prune(db: Database, found: list[OldRun], thin: bool) -> int:
    from deepevent.store import retention

    gone = 0
    for run in found:
        if thin:
            gone += retention.thin(db, run)
            continue
        try:
            retention.remove(db, run)
        except RunNotFound:  # somebody else was faster
            continue
        gone += run.n_points
    return gone
