"""JSON as DeepEvent writes it: compact, non-finite numbers as the strings that docs/formats.md names.

A hand-made encoder, because `import json` compiles a dozen regular expressions: more time than all the rest
of `deepevent log`. It knows nothing of records or events.
"""

from __future__ import annotations

import math
from _json import encode_basestring  # the C function behind json.dumps(ensure_ascii=False)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAN, POSITIVE_INFINITY, NEGATIVE_INFINITY = "NaN", "Infinity", "-Infinity"
EXACT_INTEGER_LIMIT = 1 << 53  # beyond it, JavaScript rounds; such integers travel as strings
DEPTH_LIMIT = 64


def plain(value: object, depth: int = 0) -> object:
    """Turn what people put into configs into what JSON has: the closest plain value, or its text.

    NumPy scalars and arrays, tensors, paths, sets, dataclasses and enums come out as numbers, lists or text.
    """
    if value is None or type(value) in (bool, str, int, float):
        return value
    if depth > DEPTH_LIMIT:
        return "…"
    if isinstance(value, dict):
        return {plain_key(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [plain(item, depth + 1) for item in value]
        return sorted(items, key=str) if isinstance(value, (set, frozenset)) else items
    for base in (str, int, float):  # subclasses: enums, numpy.float64
        if isinstance(value, base):
            return base(value.value if hasattr(value, "value") else value)
    return _plain_object(value, depth)


def _plain_object(value: object, depth: int) -> object:
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is not None:
        return {name: plain(getattr(value, name, None), depth + 1) for name in fields}
    for method in ("tolist", "item", "to_dict"):
        convert = getattr(value, method, None)
        if callable(convert) and not isinstance(value, type):
            try:
                return plain(convert(), depth + 1)
            except (TypeError, ValueError, RuntimeError):
                continue
    return str(value)


def plain_key(key: object) -> str:
    """A dictionary key as text; enums by their value."""
    return key if isinstance(key, str) else str(plain(getattr(key, "value", key)))


def dumps(value: object) -> str:
    """Encode plain values as compact JSON.

    Raises:
        TypeError: something that is not JSON; give it to `plain` first.
    """
    return "".join(_pieces(value))


def _pieces(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield encode_text(value)
    elif value is None:
        yield "null"
    elif value is True:
        yield "true"
    elif value is False:
        yield "false"
    elif isinstance(value, int):
        yield int.__repr__(value) if -EXACT_INTEGER_LIMIT <= value <= EXACT_INTEGER_LIMIT else f'"{value:d}"'
    elif isinstance(value, float):
        yield encode_float(value)
    elif isinstance(value, dict):
        separator = "{"
        for key, item in value.items():
            yield f"{separator}{encode_text(key)}:"
            yield from _pieces(item)
            separator = ","
        yield "}" if separator == "," else "{}"
    elif isinstance(value, (list, tuple)):
        separator = "["
        for item in value:
            yield separator
            yield from _pieces(item)
            separator = ","
        yield "]" if separator == "," else "[]"
    else:
        raise TypeError(f"{type(value).__name__} is not JSON")


def encode_text(text: str) -> str:
    """A JSON string; lone surrogates, which UTF-8 cannot hold, become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return str(encode_basestring(text))


def encode_float(value: float) -> str:
    """A JSON number, or one of the three strings for what JSON cannot say."""
    if math.isfinite(value):
        return float.__repr__(value)
    if math.isnan(value):
        return f'"{NAN}"'
    return f'"{POSITIVE_INFINITY if value > 0 else NEGATIVE_INFINITY}"'
