"""Patterns such as 'epoch {epoch} loss {train/loss}' that pick numbers out of any program's output."""

from __future__ import annotations

import re

from deepevent.cli.log import UsageError
from deepevent.values import check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NUMBER = r"([-+]?(?:\d[\d_]*\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|(?i:nan|inf(?:inity)?)))"
PLACE = re.compile(r"\{([^{}]+)\}")
WHOLE = ("step", "epoch")


def reader_of(patterns: Sequence[str]) -> Callable[[str], dict[str, object] | None]:
    """Make a function that reads all values out of a line, by whichever patterns fit.

    Raises:
        UsageError: a pattern names no value, or one twice.
    """
    compiled = [_compile(pattern) for pattern in patterns]

    def read(line: str) -> dict[str, object] | None:
        values: dict[str, object] = {}
        for expression, names in compiled:
            match = expression.search(line)
            if match:
                for name, text in zip(names, match.groups(), strict=True):
                    number = float(text)
                    values[name] = int(number) if name in WHOLE and number.is_integer() else number
        return values or None

    return read


def _compile(pattern: str) -> tuple[re.Pattern[str], list[str]]:
    names: list[str] = []
    expression = ""
    position = 0
    for place in PLACE.finditer(pattern):
        expression += _literal(pattern[position : place.start()]) + NUMBER
        position = place.end()
        try:
            names.append(check_name(place[1].strip()))
        except ValueError as error:
            raise UsageError(f"pattern {pattern!r}: {error}") from None
    expression += _literal(pattern[position:])
    if not names or len(set(names)) < len(names):
        raise UsageError(f"a pattern names each value once, as in 'loss {{train/loss}}', got {pattern!r}")
    return re.compile(expression), names


def _literal(text: str) -> str:
    """Text as it is; any run of blanks fits any other."""
    return r"\s+".join(re.escape(part) for part in re.split(r"\s+", text))
