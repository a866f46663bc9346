"""Recipes: what a training server may run.

A `deepevent.toml` beside training code declares them (docs/recipes.md). The agent that offers a recipe holds
the only definition that counts; the server and the page get its JSON form, with the same keys as the file.

Reads files, uses the standard library alone, and knows neither the store nor HTTP.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deepevent.errors import ParametersInvalid, RecipeInvalid
from deepevent.parameters import (
    NAME,
    Keys,
    Parameter,
    Value,
    convert,
    describe_parameter,
    make_argument,
    parse_parameter,
    resolve_below,
    without_empty,
)

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
MAX_PARAMETERS = 100
MAX_PROCESSES = 1024
# Variables through which a value could make a program load foreign code: no recipe may pass or set them.
FORBIDDEN_VARIABLES = frozenset(
    {"LD_PRELOAD", "LD_AUDIT", "BASH_ENV", "ENV", "PYTHONSTARTUP", "PYTHONINSPECT"}
)


@dataclass(frozen=True)
class Resources:
    """What a job needs; `memory_mb` and `time_limit_s` are enforced by the agent, None means no limit."""

    cpus: int = 1
    gpus: int = 0
    memory_mb: int | None = None
    time_limit_s: float | None = None


@dataclass(frozen=True)
class Recipe:
    """A command with typed parameters.

    `folder` is where its file lies; it is empty in a recipe that came as JSON. `resume` is added to the
    command of every attempt after the first, if the file `checkpoint` is in the job's folder by then;
    `metric` is what a sweep optimises; above 1, `processes` are started by torchrun and train together.
    """

    name: str
    command: tuple[str, ...]
    parameters: tuple[Parameter, ...] = ()
    help: str = ""
    resources: Resources = Resources()
    environment: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    resume: tuple[str, ...] = ()
    checkpoint: str | None = None
    metric: str | None = None
    processes: int = 1
    folder: str = ""


def load_recipes(path: Path) -> dict[str, Recipe]:
    """Read a recipe file.

    Raises:
        RecipeInvalid: the file cannot be read or declares something wrong; it lists every problem.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeInvalid(str(path), [str(error)]) from error
    problems = [f"unknown key {key!r} (allowed: recipes)" for key in document if key != "recipes"]
    tables = document.get("recipes", {})
    recipes: dict[str, Recipe] = {}
    if not isinstance(tables, dict) or not tables:
        problems.append("it declares no [recipes.NAME]")
        tables = {}
    for name, table in _expand(tables, problems).items():
        try:
            recipes[name] = parse_recipe(name, table, folder=str(path.parent.resolve()))
        except RecipeInvalid as error:
            problems += [f"{name}: {problem}" for problem in error.problems]
    if problems:
        raise RecipeInvalid(str(path), problems)
    return recipes


def _expand(tables: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Fill recipes that are `like` another one of the file with its keys and parameters.

    What the recipe says itself counts, key by key; what it sets to `false` it does not have.
    """
    expanded: dict[str, Any] = {}
    for name, table in tables.items():
        if not isinstance(table, dict) or "like" not in table:
            expanded[name] = table
            continue
        base = tables.get(table["like"]) if isinstance(table["like"], str) else None
        if not isinstance(base, dict) or "like" in base:
            problems.append(f"{name}: like must name a recipe of this file that is like no other itself")
            continue
        expanded[name] = _overlaid(base, {key: value for key, value in table.items() if key != "like"})
        own, inherited = table.get("parameters", {}), base.get("parameters", {})
        if isinstance(own, dict) and isinstance(inherited, dict):
            merged = {key: _merged(inherited.get(key), value) for key, value in own.items()}
            expanded[name]["parameters"] = _overlaid(inherited, merged)
    return expanded


def _overlaid(inherited: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**inherited, **own}.items() if value is not False}


def _merged(inherited: object, own: object) -> object:
    return {**inherited, **own} if isinstance(inherited, dict) and isinstance(own, dict) else own


def parse_recipe(name: str, table: object, folder: str = "") -> Recipe:
    """Make a recipe of its table, be it from TOML or from JSON.

    Raises:
        RecipeInvalid: with every problem of this recipe.
    """
    problems: list[str] = []
    if not NAME.fullmatch(name):
        problems.append(f"name {name!r} must match {NAME.pattern}")
    if not isinstance(table, Mapping):
        raise RecipeInvalid(f"recipe {name!r}", [*problems, "must be a table"])
    keys = Keys(table, problems)
    command = keys.strings("command")
    if not command:
        problems.append("command must be a list of at least one string, such as ['python', 'train.py']")
    variables = keys.take("variables", dict, {})
    environment = keys.strings("environment")
    problems += [
        f"environment variable {variable!r} is not allowed"
        for variable in [*environment, *variables]
        if not VARIABLE.fullmatch(variable) or variable in FORBIDDEN_VARIABLES
    ]
    if not all(isinstance(value, str) for value in variables.values()):
        problems.append("variables must have strings as values")
    resources = _parse_resources(keys.take("resources", dict, {}), problems)
    declared = keys.take("parameters", dict, {})
    if len(declared) > MAX_PARAMETERS:
        problems.append(f"at most {MAX_PARAMETERS} parameters, got {len(declared)}")
    parameters = [parse_parameter(key, value, problems) for key, value in declared.items()]
    recipe = Recipe(
        name=name,
        command=command,
        parameters=tuple(parameter for parameter in parameters if parameter is not None),
        help=keys.take("help", str, ""),
        resources=resources,
        environment=environment,
        variables=tuple(variables.items()),
        resume=keys.strings("resume"),
        checkpoint=keys.take("checkpoint", str, None),
        metric=keys.take("metric", str, None),
        processes=keys.take("processes", int, 1),
        folder=folder,
    )
    keys.refuse_rest("")
    if not 1 <= recipe.processes <= MAX_PROCESSES:
        problems.append(f"processes must lie between 1 and {MAX_PROCESSES}, got {recipe.processes!r}")
    if problems:
        raise RecipeInvalid(f"recipe {name!r}", problems)
    return recipe


def describe(recipe: Recipe) -> dict[str, Any]:
    """Give a recipe's JSON form: the keys of the file, without the folder. `parse_recipe` reads it back."""
    table: dict[str, Any] = {"command": list(recipe.command)}
    table["parameters"] = {parameter.name: describe_parameter(parameter) for parameter in recipe.parameters}
    resources = recipe.resources
    table["resources"] = without_empty(
        {
            "cpus": resources.cpus,
            "gpus": resources.gpus,
            "memory_mb": resources.memory_mb,
            "time_limit_s": resources.time_limit_s,
        }
    )
    table["environment"] = list(recipe.environment)
    table["variables"] = dict(recipe.variables)
    table["resume"] = list(recipe.resume)
    table["processes"] = recipe.processes if recipe.processes > 1 else None
    return without_empty(
        {**table, "help": recipe.help, "metric": recipe.metric, "checkpoint": recipe.checkpoint}
    )


def check_parameters(
    recipe: Recipe, values: Mapping[str, object], *, patterns: bool = True
) -> dict[str, Value]:
    """Check values against a recipe, turn texts into the declared types and fill in the defaults.

    Texts are taken for every type, since a command line has nothing else.

    Args:
        recipe: what they are for.
        values: by name.
        patterns: False where the recipe came from somebody else: a regular expression may take for ever.

    Returns:
        A value for each parameter that has one, in the order of the recipe.

    Raises:
        ParametersInvalid: with every problem.
    """
    names = [parameter.name for parameter in recipe.parameters]
    allowed = ", ".join(names) or "none"
    problems = {key: f"is not a parameter (allowed: {allowed})" for key in values if key not in names}
    checked: dict[str, Value] = {}
    for parameter in recipe.parameters:
        given = values.get(parameter.name)
        if given is None:
            if parameter.default is not None:
                checked[parameter.name] = parameter.default
            elif not parameter.optional:
                problems[parameter.name] = "is required"
            continue
        try:
            checked[parameter.name] = convert(parameter, given, patterns)
        except ValueError as error:
            problems[parameter.name] = str(error)
    if problems:
        raise ParametersInvalid(recipe.name, problems)
    return checked


def build_arguments(
    recipe: Recipe,
    values: Mapping[str, object],
    *,
    resumed: bool = False,
    places: Mapping[str, str] | None = None,
) -> list[str]:
    """Turn checked values into the argument list, on the machine where it will run.

    Args:
        recipe: with the folder of its file, against which roots are read.
        values: by name; checked again here, since the server's word is not taken for it.
        resumed: adds the recipe's `resume` arguments.
        places: what `{name}` stands for in the recipe's own `command` and `resume`; never in a value.

    Raises:
        ParametersInvalid: a value does not fit, or a path leaves its root.
    """
    checked = check_parameters(recipe, values)
    arguments = fill_places(recipe.command, places or {})
    problems: dict[str, str] = {}
    for parameter in recipe.parameters:
        if parameter.name not in checked:
            continue
        value = checked[parameter.name]
        if parameter.type == "path":
            try:
                value = str(resolve_below(parameter, str(value), Path(recipe.folder or ".")))
            except (ValueError, OSError) as error:
                problems[parameter.name] = str(error)
                continue
        arguments += make_argument(parameter, value)
    if problems:
        raise ParametersInvalid(recipe.name, problems)
    return arguments + (fill_places(recipe.resume, places or {}) if resumed else [])


def place_roots(recipe: Recipe, places: Mapping[str, str]) -> Recipe:
    """Return the recipe with `{name}` in the roots of its paths replaced by this machine's places."""
    return replace(
        recipe,
        parameters=tuple(
            parameter
            if parameter.root is None
            else replace(parameter, root=fill_places([parameter.root], places)[0])
            for parameter in recipe.parameters
        ),
    )


def fill_places(words: Sequence[str], places: Mapping[str, str]) -> list[str]:
    """Replace `{name}` by its place in each word; other braces stay as they are."""
    return [re.sub(r"\{(\w+)\}", lambda found: places.get(found[1], found[0]), word) for word in words]


def _parse_resources(table: dict[str, Any], problems: list[str]) -> Resources:
    keys = Keys(table, problems, "resources.")
    resources = Resources(
        cpus=keys.take("cpus", int, 1),
        gpus=keys.take("gpus", int, 0),
        memory_mb=keys.take("memory_mb", int, None),
        time_limit_s=keys.take("time_limit_s", (int, float), None),
    )
    keys.refuse_rest("resources.")
    if not 0 <= resources.cpus <= 4096 or not 0 <= resources.gpus <= 1024:
        problems.append("resources.cpus and resources.gpus must be small numbers >= 0")
    if resources.memory_mb is not None and resources.memory_mb < 1:
        problems.append(f"resources.memory_mb must be >= 1, got {resources.memory_mb!r}")
    if resources.time_limit_s is not None and not 0 < resources.time_limit_s < math.inf:
        problems.append(f"resources.time_limit_s must be > 0, got {resources.time_limit_s!r}")
    return resources
