"""`deepevent stop`: stop jobs, and ask runs outside of the queue to stop."""

from __future__ import annotations

import argparse
import json
import sys

from deepevent.errors import DeepEventError
from deepevent.serverapi import connect

HELP = "stop a job, or ask a run's script to stop"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("id", nargs="+", help="a job's number, or a run's id of 26 characters")
    parser.add_argument(
        "--server", metavar="URL", help="default: DEEPEVENT_URL, else the one of the local home"
    )
    parser.add_argument("--json", action="store_true", help="print what the server says")


def execute(arguments: argparse.Namespace) -> int:
    """Stop each; 1 if one could not be."""
    failed = 0
    for name in arguments.id:
        noun = "jobs" if name.isdecimal() else "runs"
        try:
            if not name.isalnum() or not name.isascii():
                raise DeepEventError(f"{name!r} is neither a job's number nor a run's id")
            answer = connect(arguments.server).call("POST", f"/{noun}/{name}/stop")
        except DeepEventError as error:
            print(f"deepevent stop: {name}: {error}", file=sys.stderr)
            failed = 1
            continue
        print(json.dumps(answer) if arguments.json else f"{name} {answer.get('state', 'asked to stop')}")
    return failed
