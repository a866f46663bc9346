"""`deepevent show RUN`: one run, its configuration, summary and metrics."""

from __future__ import annotations

import argparse
import json
from urllib.parse import quote

from deepevent.cli._remote import Remote, add_options
from deepevent.cli._tables import clean, moment, number, span, table

HELP = "show one run"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run", help="its id, or its name (the newest of that name)")
    add_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Print it."""
    _show(args)
    return 0


def _show(args: argparse.Namespace) -> None:
    remote = Remote(args.url)
    run = remote.find(args.run)
    metrics = remote.get(f"/runs/{quote(run['id'])}/metrics")["metrics"]
    if args.json:
        print(json.dumps(run | {"metrics": metrics}, indent=2, ensure_ascii=False))
        return
    facts = [
        ("run", run["id"]),
        ("name", run["name"] or ""),
        ("project", run["project"]),
        ("status", run["status"]),
        ("created", moment(run["created"])),
        ("duration", span(run.get("duration_s"))),
        ("host", run.get("host") or ""),
        ("group", run.get("group") or ""),
        ("tags", ", ".join(run.get("tags") or [])),
        ("notes", run.get("notes") or ""),
    ]
    facts += [(f"config.{key}", json.dumps(value)) for key, value in (run.get("config") or {}).items()]
    facts += [(f"summary.{key}", json.dumps(value)) for key, value in (run.get("summary") or {}).items()]
    width = max(len(name) for name, _ in facts)
    print("\n".join(f"{clean(name).ljust(width)}  {clean(value)}" for name, value in facts if value))
    if metrics:
        several = any(metric["rank"] for metric in metrics)
        titles = [
            "metric",
            *(["rank"] if several else []),
            "points",
            "last step",
            "last",
            "min",
            "at",
            "max",
            "at",
        ]
        print()
        print(table(titles, [_row(metric, several) for metric in metrics]))


def _row(metric: dict[str, object], several: bool) -> list[str]:
    keys = ["n", "last_step", "last", "min", "min_step", "max", "max_step"]
    rank = [str(metric["rank"])] if several else []
    return [str(metric["name"]), *rank, *(number(metric[key]) for key in keys)]
