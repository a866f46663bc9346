"""Flattens config and summary for filters and sort keys, and merges updates into them. Pure."""

from __future__ import annotations

import json
import math
from typing import Any

from deepevent.store.events import clean
from deepevent.store.schema import NAME_LENGTH

VALUES_LIMIT = 2000  # rows that one config or summary may have in `run_values`; the rest is kept, not indexed
_NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def dumps(value: object) -> str:
    """Return `value` as compact JSON in ASCII, which every database can hold."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def flatten(value: dict[str, Any]) -> dict[str, tuple[float | None, str | None]]:
    """Return dotted path → (number, text) of all plain values of a config or summary.

    Booleans are 1 and 0 and also the texts `true` and `false`; numbers beyond float64 are texts alone.
    Lists are left out, except that their length is `<path>.length`.
    """
    flat: dict[str, tuple[float | None, str | None]] = {}
    stack: list[tuple[str, Any]] = list(_children("", value))[::-1]
    while stack and len(flat) < VALUES_LIMIT:
        path, item = stack.pop()
        if len(path) > NAME_LENGTH:
            continue
        if isinstance(item, dict):
            stack += list(_children(f"{path}.", item))[::-1]
        elif isinstance(item, list):
            flat[clean(f"{path}.length"[:NAME_LENGTH])] = (float(len(item)), None)
        else:
            flat[clean(path)] = _plain(item)
    return flat


def _children(prefix: str, value: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(f"{prefix}{key}", item) for key, item in value.items()]


def _plain(item: bool | int | float | str | None) -> tuple[float | None, str | None]:
    if isinstance(item, bool):
        return float(item), "true" if item else "false"
    if isinstance(item, (int, float)):
        try:
            return float(item), None
        except OverflowError:
            return None, str(item)[:NAME_LENGTH]
    if item is None:
        return None, None
    if item in _NONFINITE:
        number = _NONFINITE[item]
        return (None if math.isnan(number) else number), item
    return None, clean(item[:NAME_LENGTH])
