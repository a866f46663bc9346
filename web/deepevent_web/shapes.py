"""JSON schemas out of Python types: what a route says that it answers is written once, as a type.

Understood are `TypedDict` (which becomes a named schema), a mapping of field to type (an object without a
name), lists, dictionaries, unions, literals, plain types, and `Annotated` with the schema of an `As` in
place of a type's own. Objects are closed: a field that nobody described is an error of the description.
Knows no routes.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

Schema = dict[str, Any]


class As:
    """Within `Annotated`: the schema that stands for a type instead of its own."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema


REFERENCE = "#/components/schemas/"
_PLAIN: Mapping[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    type(None): {"type": "null"},
    Any: {},
}


def schema(shape: Any, named: dict[str, Schema]) -> Schema:
    """Give the JSON schema of a type; those of named objects are added to `named`.

    Raises:
        TypeError: no schema says what this type is.
    """
    if isinstance(shape, Mapping):
        return _closed(shape, named)
    if is_typeddict(shape):
        return _reference(shape, named)
    arguments = get_args(shape)
    found: Schema
    match get_origin(shape):
        case origin if origin is Annotated:
            found = dict(arguments[1].schema)
        case origin if origin in (Union, types.UnionType):
            found = {"anyOf": [schema(one, named) for one in arguments]}
        case origin if origin is Literal:
            found = {"enum": list(arguments)}
        case origin if origin is list:
            found = {"type": "array", "items": schema(arguments[0], named)}
        case origin if origin is dict:
            found = {"type": "object", "additionalProperties": schema(arguments[1], named)}
        case _ if shape in _PLAIN:
            found = dict(_PLAIN[shape])
        case _:
            raise TypeError(f"no JSON schema says what {shape!r} is")
    return found


def _reference(shape: Any, named: dict[str, Schema]) -> Schema:
    if shape.__name__ not in named:
        named[shape.__name__] = {}  # it may hold itself
        named[shape.__name__] |= _closed(get_type_hints(shape, include_extras=True), named)
    return {"$ref": REFERENCE + shape.__name__}


def _closed(fields: Mapping[str, Any], named: dict[str, Schema]) -> Schema:
    """An object of exactly these fields; those of `NotRequired` may be left out."""
    optional = {name for name, shape in fields.items() if get_origin(shape) is NotRequired}
    bare = {name: get_args(shape)[0] if name in optional else shape for name, shape in fields.items()}
    return {
        "type": "object",
        "required": [name for name in fields if name not in optional],
        "properties": {name: schema(shape, named) for name, shape in bare.items()},
        "additionalProperties": False,
    }
