"""Typed parameters of a recipe: declared in a table, checked, and made into arguments.

A value never meets a shell. Each parameter becomes one argument `option=value`, so a value such as
`; rm -rf ~` arrives as that very string and one that begins with `-` cannot turn into an option of its own.
Paths are resolved, links included, and must stay below their root.

Knows nothing of recipes, files of recipes, the store or HTTP; it needs the standard library alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
TYPES = ("int", "float", "bool", "choice", "string", "path")
MAX_VALUE_LENGTH = 4_000
MAX_PATTERN_LENGTH = 200

Value = bool | int | float | str


@dataclass(frozen=True)
class Parameter:
    """One typed parameter of a recipe.

    `option` is what stands before the `=` of the argument: `--epochs` makes `--epochs=3`, `lr` makes
    `lr=0.1`. A bool with an option in dashes becomes the bare option when true, and `off_option` (or nothing)
    when false. A choice with the option "" stands as it is: only what was declared can stand there.
    """

    name: str
    type: str
    option: str
    off_option: str | None = None
    help: str = ""
    default: Value | None = None
    optional: bool = False
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Value, ...] = ()
    pattern: str | None = None
    root: str | None = None
    exists: bool = False


class Keys:
    """Takes keys out of a table and notes what has the wrong type or is left over."""

    def __init__(self, table: Mapping[str, Any], problems: list[str], where: str = "") -> None:
        self._rest = dict(table)
        self._problems = problems
        self._where = where
        self._known: list[str] = []

    def take(self, key: str, kind: type | tuple[type, ...], default: Any) -> Any:
        """Take a value of one of these types; anything else counts as a problem and gives the default."""
        self._known.append(key)
        value = self._rest.pop(key, default)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wrong_bool = isinstance(value, bool) and bool not in kinds
        if value is not default and (wrong_bool or not isinstance(value, kinds)):
            expected = " or ".join(k.__name__ for k in kinds)
            self._problems.append(f"{self._where}{key} must be {expected}, got {value!r}")
            return default
        return value

    def strings(self, key: str) -> tuple[str, ...]:
        """Take a list of strings without NUL."""
        values = self.take(key, list, [])
        if all(isinstance(value, str) and "\0" not in value for value in values):
            return tuple(values)
        self._problems.append(f"{self._where}{key} must be a list of strings")
        return ()

    def refuse_rest(self, where: str) -> None:
        """Note every key that nobody took."""
        for key in self._rest:
            self._problems.append(f"{where}unknown key {key!r} (allowed: {', '.join(self._known)})")


def parse_parameter(name: str, table: object, problems: list[str]) -> Parameter | None:
    """Read one parameter's table, noting what is wrong with it in `problems`."""
    where = f"parameters.{name}."
    if not NAME.fullmatch(name) or not isinstance(table, Mapping):
        problems.append(f"parameter {name!r} must be a table with a name that matches {NAME.pattern}")
        return None
    found = len(problems)
    keys = Keys(table, problems, where)
    kind = keys.take("type", str, "string")
    if kind not in TYPES:
        problems.append(f"{where}type must be one of {', '.join(TYPES)}, got {kind!r}")
    parameter = Parameter(
        name=name,
        type=kind,
        option=keys.take("option", str, "--" + name.replace("_", "-")),
        off_option=keys.take("off_option", str, None),
        help=keys.take("help", str, ""),
        optional=keys.take("optional", bool, False),
        minimum=keys.take("min", (int, float), None),
        maximum=keys.take("max", (int, float), None),
        choices=tuple(keys.take("choices", list, [])),
        pattern=keys.take("pattern", str, None),
        root=keys.take("root", str, None),
        exists=keys.take("exists", bool, False),
    )
    default = keys.take("default", (bool, int, float, str), None)
    keys.refuse_rest(where)
    bare = kind == "choice" and parameter.option == ""
    if not bare and not re.fullmatch(r"[A-Za-z0-9_.:/+-]{1,100}", parameter.option):
        problems.append(f"{where}option must be a plain word such as --{name}, got {parameter.option!r}")
    if kind == "choice" and not (
        parameter.choices and all(isinstance(c, str | int | float) for c in parameter.choices)
    ):
        problems.append(f"{where}choices must be a list of texts or numbers")
    if kind == "path" and parameter.root is None:
        problems.append(f"{where}root must say below which folder the path has to stay")
    if not all(bound is None or math.isfinite(bound) for bound in (parameter.minimum, parameter.maximum)):
        problems.append(f"{where}min and max must be finite numbers")
    if parameter.pattern is not None:
        problems += [f"{where}{problem}" for problem in _pattern_problems(parameter.pattern)]
    if len(problems) > found or default is None:
        return parameter
    try:
        default = convert(parameter, default, patterns=False)
    except ValueError as error:
        problems.append(f"{where}default {error}")
    return Parameter(**{**parameter.__dict__, "default": default})


def _pattern_problems(pattern: str) -> list[str]:
    if len(pattern) > MAX_PATTERN_LENGTH:
        return [f"pattern must have at most {MAX_PATTERN_LENGTH} characters"]
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return [f"pattern {pattern!r} is no regular expression: {error}"]
    return []


def describe_parameter(parameter: Parameter) -> dict[str, Any]:
    """Give the table that `parse_parameter` reads back, without what is at its default."""
    keys = {"minimum": "min", "maximum": "max"}
    bare = Parameter(name=parameter.name, type="", option="\0")
    return {
        keys.get(key, key): list(value) if isinstance(value, tuple) else value
        for key, value in parameter.__dict__.items()
        if key == "type" or value != getattr(bare, key) or (key == "default" and value is not None)
        if key != "name"
    }


def convert(parameter: Parameter, given: object, patterns: bool) -> Value:
    """Turn a given value into the parameter's type, or raise ValueError with the rest of a sentence."""
    if not isinstance(given, str | int | float):
        raise ValueError(f"must be a {parameter.type}, got {type(given).__name__}")
    converted = _CONVERTERS[parameter.type](given)
    if isinstance(converted, str):
        if len(converted) > MAX_VALUE_LENGTH:
            raise ValueError(f"must have at most {MAX_VALUE_LENGTH} characters, got {len(converted)}")
        if "\0" in converted or any("\ud800" <= c <= "\udfff" for c in converted):
            raise ValueError("must not contain NUL or lone surrogates")
        if patterns and parameter.pattern is not None and not re.fullmatch(parameter.pattern, converted):
            raise ValueError(f"must match {parameter.pattern!r}, got {converted!r}")
    if parameter.type == "choice":
        for choice in parameter.choices:
            if str(choice) == str(converted):
                return choice
        raise ValueError(f"must be one of {', '.join(map(str, parameter.choices))}, got {given!r}")
    if parameter.type in {"int", "float"}:
        number = float(converted)
        if parameter.minimum is not None and number < parameter.minimum:
            raise ValueError(f"must be >= {parameter.minimum:g}, got {given!r}")
        if parameter.maximum is not None and number > parameter.maximum:
            raise ValueError(f"must be <= {parameter.maximum:g}, got {given!r}")
    return converted


def _to_int(given: str | int | float) -> Value:
    if isinstance(given, int) and not isinstance(given, bool) and abs(given) < 2**63:
        return given
    if isinstance(given, str) and re.fullmatch(r"[+-]?[0-9]{1,19}", given) and abs(int(given)) < 2**63:
        return int(given)
    raise ValueError(f"must be a whole number, got {given!r}")


def _to_float(given: str | int | float) -> Value:
    try:
        number = float("nan") if isinstance(given, bool) else float(given)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"must be a finite number, got {given!r}")
    return number


def _to_bool(given: str | int | float) -> Value:
    if isinstance(given, bool):
        return given
    word = str(given).lower()
    if word in {"true", "yes", "1", "on"}:
        return True
    if word in {"false", "no", "0", "off"}:
        return False
    raise ValueError(f"must be true or false, got {given!r}")


def _to_text(given: str | int | float) -> Value:
    return given if isinstance(given, str) else str(given)


_CONVERTERS: dict[str, Callable[[str | int | float], Value]] = {
    "int": _to_int,
    "float": _to_float,
    "bool": _to_bool,
    "choice": _to_text,
    "string": _to_text,
    "path": _to_text,
}


def make_argument(parameter: Parameter, value: Value) -> list[str]:
    """Turn one checked value into its argument (none for a bool that is off)."""
    if isinstance(value, bool):
        if not parameter.option.startswith("-"):
            return [f"{parameter.option}={str(value).lower()}"]
        chosen = parameter.option if value else parameter.off_option
        return [chosen] if chosen else []
    if not parameter.option:
        return [str(value)]
    return [f"{parameter.option}={value!r}" if isinstance(value, float) else f"{parameter.option}={value}"]


def resolve_below(parameter: Parameter, value: str, folder: Path) -> Path:
    """Resolve a path value, links included; ValueError if it leaves its root."""
    root = (folder / Path(parameter.root or ".").expanduser()).resolve()
    path = (root / value).resolve()
    if not path.is_relative_to(root):
        raise ValueError(f"{value!r} leaves {root}, below which it must stay")
    if parameter.exists and not path.exists():
        raise ValueError(f"{value!r} does not exist below {root}")
    return path


def without_empty(table: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is None or empty."""
    return {key: value for key, value in table.items() if value is not None and value not in ("", [], {})}
