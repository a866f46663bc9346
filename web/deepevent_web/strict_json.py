"""JSON as the standard has it, and not a byte more: what a stranger sends is either plain or refused.

Python's own reader takes NaN, turns 1e400 into infinity, keeps the last of two equal keys, lets lone
surrogates through and dies on deep nesting. Each of those has broken a server of this kind; here each is
a clear refusal.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from deepevent_web.limits import LIMITS

MAX_DEPTH = LIMITS.json_depth
MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -(2**63)
_MAX_INTEGER_DIGITS = 20


class JsonRefused(ValueError):
    """A text that is not JSON, or that holds what no field can take."""


def parse(text: bytes) -> Any:
    """Read UTF-8 JSON text.

    Raises: JsonRefused: it is not JSON, is nested deeper than 32, or holds NaN or Infinity, a number out
        of range, an integer beyond 64 bits, a key twice, a lone surrogate or a NUL character.
    """
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonRefused(f"the body is not UTF-8 (byte {error.start})") from None
    try:
        value = json.loads(
            decoded,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise JsonRefused(f"the body is nested deeper than {MAX_DEPTH}") from None
    except json.JSONDecodeError as error:
        raise JsonRefused(f"the body is not JSON: {error.msg} at character {error.pos}") from None
    _check(value)
    return value


def _constant(name: str) -> NoReturn:
    raise JsonRefused(
        f'{name} is not JSON; send non-finite numbers as the strings "NaN", "Infinity", "-Infinity"'
    )


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise JsonRefused("a number is too large for a 64-bit float")
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_INTEGER_DIGITS or not MIN_INTEGER <= int(text) <= MAX_INTEGER:
        raise JsonRefused("an integer does not fit into 64 bits")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonRefused(f"the key {key[:80]!r} appears twice in one object")
            seen.add(key)
    return members


def _check(root: Any) -> None:
    level = [root]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, dict):
                for key in value:
                    _check_text(key)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
        if not below:
            return
        level = below
    raise JsonRefused(f"the body is nested deeper than {MAX_DEPTH}")


def _check_text(text: str) -> None:
    if text.isascii():
        if "\0" in text:
            raise JsonRefused("a text holds a NUL character")
        return
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise JsonRefused("a text holds a NUL character or half of a surrogate pair")
