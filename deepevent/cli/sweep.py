"""`deepevent sweep`: search over a recipe's parameters; list, show, stop and extend sweeps, add a trial."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from deepevent.cli._tables import moment, number, span, table
from deepevent.errors import ParametersInvalid, RecipeInvalid, SettingsError
from deepevent.recipes import Recipe, parse_recipe
from deepevent.search_space import GRAMMAR, parse_text, read_space
from deepevent.serverapi import ServerApi, connect

HELP = "search over a recipe's parameters: sweep RECIPE --param lr=log:1e-4:1e-1 --metric val/accuracy:max"
SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("asha", "median", "hyperband", "none")
DIRECTIONS = ("min", "max")
LOOK_EVERY_S = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="RECIPE key=value",
        help="a recipe that an agent offers, with parameters that all trials share; alone: list sweeps",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--show", type=int, metavar="ID", help="show this sweep with its trials")
    what.add_argument("--stop", type=int, metavar="ID", help="begin no more trials, stop those that run")
    what.add_argument("--extend", type=int, metavar="ID", help="let it have --trials trials in all")
    what.add_argument("--add", type=int, metavar="ID", help="queue one trial with the given key=value")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=RANGE",
        help=f"a parameter to search, once for each: {GRAMMAR}",
    )
    parser.add_argument(
        "--metric", metavar="NAME:min|max", help="what to optimise (default: the recipe's own metric)"
    )
    parser.add_argument("--trials", type=int, help="how many trials in all (default: 20)")
    parser.add_argument("--concurrency", type=int, help="how many trials at once (default: 1)")
    parser.add_argument("--sampler", choices=SAMPLERS, default="tpe", help="who chooses (default: tpe)")
    parser.add_argument(
        "--pruner", choices=PRUNERS, default="none", help="who stops weak ones (default: none)"
    )
    parser.add_argument(
        "--warmup", type=int, default=1, metavar="N", help="values of the metric before a trial may be pruned"
    )
    parser.add_argument("--seed", type=int, help="makes the choices repeatable")
    parser.add_argument("--name", help="what people call the sweep (default: the recipe's name)")
    parser.add_argument("--project", default="default", help="project of its runs")
    parser.add_argument("--priority", type=int, default=0, help="of its jobs; higher goes first")
    parser.add_argument(
        "--retries", type=int, default=1, help="of a trial that failed or was lost (default: 1)"
    )
    parser.add_argument("--wait", action="store_true", help="wait until the sweep has ended")
    parser.add_argument(
        "--server", metavar="URL", help="default: DEEPEVENT_URL, else the one of the local home"
    )
    parser.add_argument("--json", action="store_true", help="print what the server says")


def execute(arguments: argparse.Namespace) -> int:
    """Do it and print the answer."""
    api = connect(arguments.server)
    answer = _ask(api, arguments)
    if arguments.wait and "trials" not in answer and "id" in answer:
        answer = _wait(api, int(answer["id"]))
    print(json.dumps(answer) if arguments.json else _text(answer))
    return 1 if answer.get("state") == "failed" and arguments.wait else 0


def _ask(api: ServerApi, arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.show is not None:
        return _wait(api, arguments.show) if arguments.wait else api.call("GET", f"/sweeps/{arguments.show}")
    if arguments.stop is not None:
        return api.call("POST", f"/sweeps/{arguments.stop}/stop")
    if arguments.extend is not None:
        body = {"n_trials": arguments.trials, "concurrency": arguments.concurrency}
        given = {key: value for key, value in body.items() if value is not None}
        if not given:
            raise SettingsError(
                "--extend needs --trials N, how many there shall be in all, or --concurrency N"
            )
        return api.call("PATCH", f"/sweeps/{arguments.extend}", given)
    if arguments.add is not None:
        return api.call("POST", f"/sweeps/{arguments.add}/trials", {"parameters": _pairs(arguments.words)})
    if not arguments.words:
        if arguments.param:
            raise SettingsError("name the recipe to sweep over; `deepevent jobs --recipes` lists recipes")
        return api.call("GET", "/sweeps")
    answer = api.call("POST", "/sweeps", _body(api, arguments))
    print(f"Sweep {answer['id']} begins. See: deepevent sweep --show {answer['id']}", file=sys.stderr)
    return answer


def _body(api: ServerApi, arguments: argparse.Namespace) -> dict[str, Any]:
    name, *pairs = arguments.words
    space = {key: parse_text(text) for key, text in _split(arguments.param, "--param NAME=RANGE").items()}
    if not space:
        raise SettingsError(f"name at least one parameter to search: --param NAME=RANGE, as {GRAMMAR}")
    recipe = _find_recipe(api, name)
    if recipe is not None:
        try:
            found = read_space(recipe, space | _typed(recipe, space))
        except ParametersInvalid as error:
            raise SettingsError(str(error)) from None
        space = {key: dimension.describe() for key, dimension in found.items()}
    metric, direction = _metric(arguments.metric)
    body = {
        "recipe": name,
        "parameters": _pairs(pairs),
        "space": space,
        "metric": metric,
        "direction": direction,
        "name": arguments.name,
        "project": arguments.project,
        "sampler": arguments.sampler,
        "pruner": arguments.pruner,
        "warmup": arguments.warmup,
        "seed": arguments.seed,
        "n_trials": arguments.trials,
        "concurrency": arguments.concurrency,
        "max_retries": arguments.retries,
        "priority": arguments.priority,
    }
    return {key: value for key, value in body.items() if value is not None}


def _find_recipe(api: ServerApi, name: str) -> Recipe | None:
    for offer in api.call("GET", "/recipes")["recipes"]:
        if offer["name"] == name:
            try:
                return parse_recipe(name, offer["recipe"])
            except RecipeInvalid:
                return None  # the server knows it better
    return None


def _typed(recipe: Recipe, space: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Make whole numbers of the ends of ranges over whole numbers: on a command line 1e2 is 100 too."""
    whole = {parameter.name for parameter in recipe.parameters if parameter.type == "int"}
    return {
        name: {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in table.items()}
        for name, table in space.items()
        if name in whole
    }


def _metric(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    name, colon, direction = text.rpartition(":")
    if not colon or direction not in DIRECTIONS or not name:
        raise SettingsError(f"--metric looks like val/accuracy:max or loss:min, got {text!r}")
    return name, direction


def _pairs(words: list[str]) -> dict[str, str]:
    return _split(words, "key=value")


def _split(words: list[str], form: str) -> dict[str, str]:
    wrong = [word for word in words if "=" not in word]
    if wrong:
        raise SettingsError(f"parameters look like {form}, got {wrong[0]!r}")
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def _wait(api: ServerApi, sweep_id: int) -> dict[str, Any]:
    while True:
        sweep = api.call("GET", f"/sweeps/{sweep_id}")
        at_work = any(trial["state"] in {"waiting", "running"} for trial in sweep["trials"])
        if sweep["state"] != "running" and not at_work:
            return sweep
        time.sleep(LOOK_EVERY_S)


def _text(answer: dict[str, Any]) -> str:
    if "sweeps" in answer:
        return _list(answer["sweeps"])
    if "number" in answer:
        return f"Trial {answer['number']} is queued as job {answer['job']}."
    lines = [_list([answer])]
    if answer["reason"]:
        lines.append(answer["reason"])
    if "trials" in answer:
        lines.append(_trials(answer))
    return "\n".join(lines)


def _list(sweeps: list[dict[str, Any]]) -> str:
    rows = []
    for sweep in sweeps:
        counts, best = sweep["counts"], sweep["best"]
        ended = sum(n for state, n in counts.items() if state not in {"waiting", "running"})
        rows.append(
            [
                *(str(sweep["id"]), sweep["state"], f"{ended}/{sweep['n_trials']}", str(counts["pruned"])),
                number(best["value"]) if best else "",
                f"{sweep['metric']}:{sweep['direction']}",
                *(sweep["name"], moment(sweep["created"])),
            ]
        )
    return table(["sweep", "state", "ended", "pruned", "best", "metric", "name", "created"], rows)


def _trials(sweep: dict[str, Any]) -> str:
    names = list(sweep["space"])
    best = sweep["best"]["number"] if sweep["best"] else None
    rows = []
    for trial in sweep["trials"]:
        ended = trial["finished"] or time.time()
        rows.append(
            [
                f"{trial['number']}{' *' if trial['number'] == best else ''}",
                "stopping" if trial["stopping"] else trial["state"],
                number(trial["value"]),
                *(number(trial["parameters"].get(name)) for name in names),
                span(ended - trial["started"]) if trial["started"] else "",
                str(trial["job"]),
                trial["run"] or "",
                trial["reason"],
            ]
        )
    return table(["trial", "state", "value", *names, "took", "job", "run", ""], rows)
