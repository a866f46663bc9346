"""`deepevent submit`: queue a job, of a recipe or of a free command."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from deepevent.errors import SettingsError
from deepevent.recipes import check_parameters, parse_recipe
from deepevent.serverapi import ServerApi, connect

HELP = "queue a job: deepevent submit RECIPE key=value…, or deepevent submit -- COMMAND…"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="RECIPE key=value",
        help="a recipe that an agent offers, with its parameters; or, behind --, a command as it stands",
    )
    parser.add_argument("--name", help="what people call the job and its run (default: the recipe's name)")
    parser.add_argument("--project", default="default", help="project of its run")
    parser.add_argument("--group", help="group of its run")
    parser.add_argument("--priority", type=int, default=0, help="higher goes first (default: 0)")
    parser.add_argument(
        "--after", type=int, action="append", default=[], metavar="ID", help="only after this job"
    )
    parser.add_argument(
        "--retries", type=int, default=0, help="queue it again after a failure or a lost agent, so many times"
    )
    parser.add_argument(
        "--server", metavar="URL", help="default: DEEPEVENT_URL, else the one of the local home"
    )
    parser.add_argument("--json", action="store_true", help="print the job as JSON")


def direct(words: list[str]) -> int | None:
    """Take what stands behind `--` as it is; without one, leave the words to argparse."""
    if "--" not in words:
        return None
    cut = words.index("--")
    parser = argparse.ArgumentParser(prog="deepevent submit", description=HELP)
    configure(parser)
    arguments = parser.parse_args(words[:cut])
    if arguments.words:
        parser.error(f"a recipe ({arguments.words[0]!r}) and a command cannot be one job")
    if not words[cut + 1 :]:
        parser.error("behind -- there must be a command")
    return _submit(
        connect(arguments.server), arguments, {"command": words[cut + 1 :], "folder": str(Path.cwd())}
    )


def execute(arguments: argparse.Namespace) -> int:
    """Queue a recipe's job and print its number."""
    api = connect(arguments.server)
    return _submit(api, arguments, _read_recipe(api, arguments.words))


def _submit(api: ServerApi, arguments: argparse.Namespace, what: dict[str, Any]) -> int:
    body = {
        **what,
        "name": arguments.name,
        "project": arguments.project,
        "group": arguments.group,
        "priority": arguments.priority,
        "after": arguments.after,
        "max_retries": arguments.retries,
    }
    job = api.call("POST", "/jobs", body)
    print(json.dumps(job) if arguments.json else job["id"])
    if not arguments.json:
        print(f"Queued as job {job['id']}, run {job['run']}. See: deepevent jobs", file=sys.stderr)
    return 0


def _read_recipe(api: ServerApi, words: list[str]) -> dict[str, Any]:
    if not words:
        raise SettingsError(
            "name a recipe, or give a command behind --; `deepevent jobs --recipes` lists recipes"
        )
    name, *pairs = words
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise SettingsError(f"parameters look like key=value, got {wrong[0]!r}")
    values: dict[str, object] = {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
    for offer in api.call("GET", "/recipes")["recipes"]:
        if offer["name"] == name:
            # Checked here as well, patterns included, so that a mistake is told before anything is queued.
            return {
                "recipe": name,
                "parameters": check_parameters(parse_recipe(name, offer["recipe"]), values),
            }
    return {"recipe": name, "parameters": values}
