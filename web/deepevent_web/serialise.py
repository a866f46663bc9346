"""Python values as the API's JSON: non-finite numbers and integers beyond 2**53 as strings.

A browser reads neither NaN nor a 64-bit integer from plain JSON, and a curve is never a lie. Knows no routes.
"""

from __future__ import annotations

import json
import math
from typing import Any

from flask import Response

MAX_SAFE_INTEGER = 2**53


def plain(value: Any) -> Any:
    """Replace what JSON cannot carry, all the way down."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, float):
        return _float(float(value))
    if isinstance(value, int):
        return value if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER else str(value)
    if isinstance(value, dict):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(member) for member in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} has no place in the API's JSON")


def _float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def dumps(value: Any) -> str:
    """The API's JSON text of `value`."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def answer(value: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(dumps(value), status, {"Content-Type": "application/json"})


def empty(status: int = 204) -> Response:
    """A response without a body."""
    return Response(status=status, headers={"Content-Type": "application/json"})
