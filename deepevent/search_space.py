"""The space that a sweep searches: some of a recipe's parameters, each with a range or a list of values.

As text, one parameter at a time (`lr=log:1e-4:1e-1`), and as JSON, an object by parameter:

    log:LOW:HIGH          {"low": 1e-4, "high": 0.1, "log": true}     evenly over the logarithm
    float:LOW:HIGH[:STEP] {"low": 0, "high": 1, "step": 0.25}         evenly, or in steps
    int:LOW:HIGH[:STEP]   {"low": 1, "high": 4, "step": 1}            whole numbers
    choice:A,B,…          {"choices": [32, 64]}                       one of these

Everything is checked against the recipe: a range needs a number, and both its ends, like each choice, must be
values that the recipe's parameter takes. The server's own JSON form also says each parameter's `type`
(`int`, `float` or `choice`), which is taken back as it is. Pure; knows neither Optuna nor the store, and
needs the standard library alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deepevent.errors import ParametersInvalid, SettingsError
from deepevent.parameters import Parameter, Value, convert
from deepevent.recipes import Recipe

MAX_DIMENSIONS = 30
MAX_CHOICES = 200
MAX_GRID = 100_000
GRAMMAR = "log:LOW:HIGH, float:LOW:HIGH[:STEP], int:LOW:HIGH[:STEP] or choice:A,B,…"
KEYS = ("low", "high", "log", "step", "choices", "type")


@dataclass(frozen=True)
class Dimension:
    """One parameter of the space: a list of `choices`, or else a range from `low` to `high`, both included.

    A range of whole numbers has a `step` of at least 1; a `step` of None is a continuous range.
    """

    name: str
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    whole: bool = False

    def values(self) -> list[Value] | None:
        """Give all values in order; None for a continuous range."""
        if self.choices:
            return list(self.choices)
        if self.whole and self.log:
            return [*range(int(self.low), int(self.high) + 1)]
        if self.step is None:
            return None
        n = self.n_steps()
        found = (self.low + i * self.step for i in range(n))
        return [int(value) if self.whole else float(value) for value in found]

    def n_steps(self) -> int:
        """Count the values of a range in steps."""
        return math.floor((self.high - self.low) / (self.step or 1.0) + 1e-9) + 1

    def holds(self, value: Value) -> bool:
        """Tell whether a value, of the parameter's type, lies in this dimension."""
        if self.choices:
            return value in self.choices
        if not self.low <= float(value) <= self.high:
            return False
        if self.step is None or self.log:
            return True
        steps = (float(value) - self.low) / self.step
        return abs(steps - round(steps)) < 1e-6

    def words(self) -> str:
        """Say what is allowed."""
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        steps = "" if self.step is None or (self.whole and self.step == 1) else f" in steps of {self.step:g}"
        return f"{self.low:g} to {self.high:g}{steps}"

    def describe(self) -> dict[str, Any]:
        """Give the JSON form."""
        if self.choices:
            return {"type": "choice", "choices": list(self.choices)}
        kind, number = ("int", int) if self.whole else ("float", float)
        table: dict[str, Any] = {
            "type": kind,
            "low": number(self.low),
            "high": number(self.high),
            "log": self.log,
        }
        if self.step is not None:
            table["step"] = number(self.step)
        return table


Space = dict[str, Dimension]


def parse_text(text: str) -> dict[str, Any]:
    """Turn the text form of one dimension into its JSON form; what it means is checked by `read_space`.

    Raises:
        SettingsError: it has no such form.
    """
    kind, colon, rest = text.partition(":")
    if kind == "choice" and rest:
        return {"choices": rest.split(",")}
    numbers = rest.split(":")
    if kind not in {"log", "float", "int"} or not colon or not 2 <= len(numbers) <= 3:
        raise SettingsError(f"a range looks like {GRAMMAR}, got {text!r}")
    try:
        low, high, *step = (int(n) if kind == "int" else float(n) for n in numbers)
    except ValueError:
        raise SettingsError(f"{text!r} does not hold numbers: a range looks like {GRAMMAR}") from None
    table: dict[str, Any] = {"low": low, "high": high, "log": kind == "log"}
    if step or kind == "int":
        table["step"] = step[0] if step else 1
    return table


def read_space(recipe: Recipe, tables: Mapping[str, Any]) -> Space:
    """Read a space in its JSON form and check it against the recipe.

    Returns:
        A dimension for each name, in the order of the recipe.

    Raises:
        ParametersInvalid: with every problem, by parameter.
    """
    known = {parameter.name: parameter for parameter in recipe.parameters}
    problems: dict[str, str] = {}
    space: Space = {}
    for name, table in tables.items():
        if name not in known:
            problems[name] = f"is not a parameter (allowed: {', '.join(known) or 'none'})"
            continue
        try:
            space[name] = _read_dimension(known[name], table)
        except ValueError as error:
            problems[name] = str(error)
    if not tables or len(tables) > MAX_DIMENSIONS:
        problems["space"] = f"must name 1 to {MAX_DIMENSIONS} parameters, got {len(tables)}"
    if problems:
        raise ParametersInvalid(recipe.name, problems)
    return {name: space[name] for name in known if name in space}


def restore(tables: Mapping[str, Mapping[str, Any]]) -> Space:
    """Give a space back that `Dimension.describe` has described."""
    return {
        name: Dimension(
            name,
            tuple(table.get("choices", ())),
            float(table.get("low", 0)),
            float(table.get("high", 0)),
            bool(table.get("log")),
            None if table.get("step") is None else float(table["step"]),
            table["type"] == "int",
        )
        for name, table in tables.items()
    }


def grid_size(space: Space) -> int | None:
    """Count the combinations; None if a range is continuous."""
    size = 1
    for dimension in space.values():
        if dimension.choices:
            size *= len(dimension.choices)
        elif dimension.whole and dimension.log:
            size *= int(dimension.high) - int(dimension.low) + 1
        elif dimension.step is None:
            return None
        else:
            size *= dimension.n_steps()
    return size


def check_values(recipe: Recipe, space: Space, values: Mapping[str, Any]) -> dict[str, Value]:
    """Check a point of the space that a person gives: every parameter of it, each within its range.

    Raises:
        ParametersInvalid: with every problem, by parameter.
    """
    known = {parameter.name: parameter for parameter in recipe.parameters}
    problems = {name: "is not searched by this sweep" for name in values if name not in space}
    checked: dict[str, Value] = {}
    for name, dimension in space.items():
        if values.get(name) is None:
            problems[name] = "is required"
            continue
        try:
            checked[name] = convert(known[name], values[name], patterns=False)
        except ValueError as error:
            problems[name] = str(error)
            continue
        if not dimension.holds(checked[name]):
            problems[name] = f"must be {dimension.words()}, got {values[name]!r}"
    if problems:
        raise ParametersInvalid(recipe.name, problems)
    return checked


def _read_dimension(parameter: Parameter, table: object) -> Dimension:
    if not isinstance(table, Mapping):
        raise ValueError("must be an object with low and high, or with choices")
    if unknown := [key for key in table if key not in KEYS]:
        raise ValueError(f"has an unknown key {str(unknown[0])[:80]!r} (allowed: {', '.join(KEYS)})")
    if "choices" in table:
        if set(table) - {"choices", "type"}:
            raise ValueError("cannot have choices and a range")
        return Dimension(parameter.name, choices=_read_choices(parameter, table["choices"]))
    if parameter.type not in {"int", "float"}:
        raise ValueError(f"is a {parameter.type}: give choices, since only numbers have ranges")
    low, high = (_read_end(parameter, table, key) for key in ("low", "high"))
    log = table.get("log", False)
    if not isinstance(log, bool):
        raise ValueError("log must be true or false")
    if not low < high:
        raise ValueError(f"low must be below high, got {low:g} and {high:g}")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range must begin above 0, got {low:g}")
    whole = parameter.type == "int"
    step = _read_step(table.get("step", 1 if whole else None), high - low, whole, log)
    dimension = Dimension(parameter.name, (), low, high, log, step, whole)
    if step is None or log:
        return dimension
    # The last value that the steps reach is the end of the range.
    return replace(dimension, high=min(high, low + (dimension.n_steps() - 1) * step))


def _read_step(step: object, length: float, whole: bool, log: bool) -> float | None:
    if step is None:
        return None
    if isinstance(step, bool) or not isinstance(step, int | float) or not 0 < step <= length:
        raise ValueError(f"step must lie above 0 and within the range, got {step!r}")
    if whole and step != int(step):
        raise ValueError(f"step must be a whole number, got {step!r}")
    if log and not (whole and step == 1):
        raise ValueError("a logarithmic range cannot have a step")
    return float(step)


def _read_end(parameter: Parameter, table: Mapping[str, Any], key: str) -> float:
    given = table.get(key)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError(f"needs a number {key}")
    try:
        if parameter.type == "int" and given == int(given):
            given = int(given)
    except (ValueError, OverflowError):
        raise ValueError(f"{key} must be finite") from None
    return float(convert(parameter, given, patterns=False))


def _read_choices(parameter: Parameter, given: object) -> tuple[Value, ...]:
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_CHOICES:
        raise ValueError(f"choices must be a list of 1 to {MAX_CHOICES} values")
    choices = [convert(parameter, value, patterns=False) for value in given]
    if len(set(map(repr, choices))) < len(choices):
        raise ValueError(f"choices must differ, got {given!r}")
    return tuple(choices)
