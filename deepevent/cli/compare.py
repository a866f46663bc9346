"""`deepevent compare RUN RUN…`: what differs in config, packages, git and command, and the metrics."""

from __future__ import annotations

import argparse
import json
from typing import Any

from deepevent.cli._remote import Remote, add_options
from deepevent.cli._tables import number, table

HELP = "compare runs"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="ids or names")
    parser.add_argument("--metric", action="append", metavar="M", help="only this metric (may be repeated)")
    add_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Print the comparison."""
    _compare(args)
    return 0


def _compare(args: argparse.Namespace) -> None:
    remote = Remote(args.url)
    runs = [remote.find(run) for run in args.runs]
    answer = remote.get("/compare", runs=",".join(run["id"] for run in runs))
    metrics = {run["id"]: _metrics(remote, run["id"], args.metric) for run in runs}
    if args.json:
        print(json.dumps(answer | {"metrics": metrics}, indent=2, ensure_ascii=False))
        return
    labels = [run["name"] or run["id"] for run in runs]
    rows = [["status", *(run["status"] for run in runs)]]
    rows += [
        [f"{part}.{key}", *(_shown(by_run.get(run["id"])) for run in runs)]
        for part, differences in answer["differences"].items()
        for key, by_run in differences.items()
    ]
    names = list(dict.fromkeys(name for by_name in metrics.values() for name in by_name))
    for name in names:
        for what in ("last", "min", "max"):
            rows.append(
                [f"{name} {what}", *(number(metrics[run["id"]].get(name, {}).get(what)) for run in runs)]
            )
    print(table(["", *labels], rows))


def _metrics(remote: Remote, run_id: str, wanted: list[str] | None) -> dict[str, dict[str, Any]]:
    found = remote.get(f"/runs/{run_id}/metrics")["metrics"]
    kept = [metric for metric in found if not wanted or metric["name"] in wanted]
    return {
        metric["name"] + (f" [rank {metric['rank']}]" if metric["rank"] else ""): metric for metric in kept
    }


def _shown(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
