"""The filter language of the run list: text → SQL expression, never evaluated as code.

    status = "running" and config.lr < 0.01 and metrics["val/accuracy"].max > 0.9 and "lfw" in tags

A comparison on something that a run has not (a config key, a metric) is false; `not` turns that
round. Every mistake is a FilterError with its position and what is allowed there. Knows the tables
`runs`, `run_tags`, `run_values`, `metrics` and nothing of paging.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

import sqlalchemy as sa
from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from deepevent.errors import FilterError
from deepevent.store import schema

LENGTH_LIMIT = 4000
DEPTH_LIMIT = 40
COMPARISONS_LIMIT = 200
METRIC_FIELDS = ("last", "min", "max", "n")

GRAMMAR = r"""
filter: disjunction
sort: MINUS? field
name: field
?disjunction: conjunction ("or" conjunction)*
?conjunction: negation ("and" negation)*
?negation: "not" negation -> not_
    | "(" disjunction ")" -> group
    | comparison
comparison: field COMPARE value -> compare
    | field "contains" value -> contains
    | field "exists" -> exists
    | value "in" field -> member
    | field "in" "[" value ("," value)* "]" -> one_of
    | field -> truth
field: PATH
    | PATH "[" STRING "]" -> item
    | PATH "[" STRING "]" "." PATH -> item
value: STRING | NUMBER | TRUE | FALSE
TRUE: "true"
FALSE: "false"
MINUS: "-"
COMPARE: "<=" | ">=" | "!=" | "=" | "<" | ">"
PATH: /[A-Za-z_]\w*(\.\w+)*/
STRING: /"(\\.|[^"\\])*"/
NUMBER: /[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?/
%ignore /[ \t\r\n]+/
"""

Condition = sa.ColumnElement[bool]
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORDS = {
    "COMPARE": "= != < <= > >=",
    "PATH": "a name",
    "STRING": 'text in "quotes"',
    "NUMBER": "a number",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "MINUS": "-",
    "DOT": ".last",
    "COMMA": ",",
    "$END": "the end",
}
NAMES = (
    'status name project group notes created duration archived tags config.<key> config["key"] '
    'summary["key"] metrics["name"].last|min|max|n'
)

runs = schema.runs
DURATION = sa.func.coalesce(runs.c.finished, runs.c.heartbeat, runs.c.created) - sa.func.coalesce(
    runs.c.started, runs.c.created
)
_TEXTS: dict[str, sa.ColumnElement[str]] = {
    name: sa.func.coalesce(runs.c[name], "") for name in ("status", "name", "project", "group", "notes")
} | {"status": cast(Any, runs.c.status), "project": cast(Any, runs.c.project)}
_NUMBERS: dict[str, sa.ColumnElement[float]] = {"created": cast(Any, runs.c.created), "duration": DURATION}


@dataclass(frozen=True, slots=True)
class Field:
    """Something of a run that can be compared or sorted by.

    Attributes:
        kind: text, number, archived, tags, value, metric.
        name: the column; `config` or `summary`; last, min, max or n.
        key: of the config, summary or metric.
        position: in the filter.
    """

    kind: str
    name: str
    key: str
    position: int


def parse_filter(text: str) -> Condition:
    """Turn a filter into a condition on `runs`.

    Raises:
        FilterError: it has a mistake, is longer than LENGTH_LIMIT or nested deeper than DEPTH_LIMIT.
    """
    return _condition(cast(Tree[Token], _parse(text, "filter").children[0]))


def parse_field(text: str) -> Field:
    """Turn one name of the language into its field.

    Raises:
        FilterError: it is none.
    """
    return _field(cast(Tree[Token], _parse(text, "name").children[0]))


def parse_sort(text: str) -> tuple[Field, bool]:
    """Turn a sort key into its field and whether it falls.

    Raises:
        FilterError: it is no sort key.
    """
    tree = _parse(text, "sort")
    field = _field(cast(Tree[Token], tree.children[-1]))
    if field.kind in {"tags", "archived"} or field.name in {"notes", "group"}:
        raise FilterError(f"runs cannot be sorted by {field.name}", field.position)
    return field, len(tree.children) == 2


@lru_cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", start=["filter", "sort", "name"], propagate_positions=True)


def _parse(text: str, start: str) -> Tree[Token]:
    if len(text) > LENGTH_LIMIT:
        raise FilterError(f"a {start} may have {LENGTH_LIMIT} characters, got {len(text)}", LENGTH_LIMIT)
    try:
        tree = _parser().parse(text, start=start)
    except UnexpectedEOF as error:
        raise FilterError(f"the {start} ends too early; {_allowed(error.expected)}", len(text)) from None
    except UnexpectedCharacters as error:
        position = error.pos_in_stream or 0
        raise FilterError(
            f"{text[position]!r} at {position} is not understood; {_allowed(error.allowed or ())}", position
        ) from None
    except UnexpectedToken as error:
        if error.token.type == "$END":
            raise FilterError(
                f"the {start} ends too early; {_allowed(error.accepts or error.expected)}", len(text)
            ) from None
        position = error.pos_in_stream or 0
        allowed = _allowed(error.accepts or error.expected)
        raise FilterError(
            f"{str(error.token)[:80]!r} at {position} is not understood; {allowed}", position
        ) from None
    _check_size(tree)
    return tree


def _allowed(expected: Any) -> str:
    words = sorted({_WORDS.get(word, word.lower()) for word in expected})
    return f"allowed here: {', '.join(words)}"


def _check_size(tree: Tree[Token]) -> None:
    depth, n_comparisons, level = 0, 0, [tree]
    while level:
        depth += 1
        if depth > DEPTH_LIMIT:
            raise FilterError(f"a filter may be nested {DEPTH_LIMIT} deep", level[0].meta.start_pos)
        n_comparisons += sum(
            node.data in {"compare", "contains", "exists", "member", "one_of", "truth"} for node in level
        )
        if n_comparisons > COMPARISONS_LIMIT:
            raise FilterError(f"a filter may have {COMPARISONS_LIMIT} comparisons", level[-1].meta.start_pos)
        level = [child for node in level for child in node.children if isinstance(child, Tree)]


def _condition(tree: Tree[Token]) -> Condition:  # noqa: PLR0911 - one return per rule
    parts = cast(list[Tree[Token]], tree.children)
    match tree.data:
        case "disjunction":
            return sa.or_(*(_condition(part) for part in parts))
        case "conjunction":
            return sa.and_(*(_condition(part) for part in parts))
        case "not_":
            return sa.not_(_condition(parts[0]))
        case "group":
            return _condition(parts[0])
        case "compare":
            return _compare(_field(parts[0]), str(tree.children[1]), _value(parts[2]), _at(parts[2]))
        case "contains":
            return _contains(_field(parts[0]), _value(parts[1]), _at(parts[1]))
        case "member":
            return _contains(_field(parts[1]), _value(parts[0]), _at(parts[0]), whole=True)
        case "exists":
            return _exists(_field(parts[0]))
        case "one_of":
            field = _field(parts[0])
            return sa.or_(*(_compare(field, "=", _value(part), _at(part)) for part in parts[1:]))
        case _:
            return _truth(_field(parts[0]))


def _at(tree: Tree[Token]) -> int:
    return tree.meta.start_pos


def _value(tree: Tree[Token]) -> str | float | bool:
    token = cast(Token, tree.children[0])
    if token.type == "STRING":
        return _text(token)
    if token.type == "NUMBER":
        return float(token)
    return token.type == "TRUE"


def _text(token: Token) -> str:
    position = token.start_pos or 0
    try:
        text = json.loads(token, strict=False)
        text.encode()
    except ValueError as error:
        raise FilterError(f"the text at {position} has a wrong escape: {error}", position) from None
    if "\0" in text:
        raise FilterError(f"the text at {position} must not hold NUL", position)
    return str(text)


def _field(tree: Tree[Token]) -> Field:
    position = _at(tree)
    head = str(tree.children[0])
    if tree.data == "field":
        if head in _TEXTS:
            return Field("text", head, "", position)
        if head in _NUMBERS:
            return Field("number", head, "", position)
        if head in {"tags", "archived"}:
            return Field(head, head, "", position)
        source, dot, key = head.partition(".")
        if dot and source in {"config", "summary"}:
            return Field("value", source, key, position)
    elif head in {"config", "summary"} and len(tree.children) == 2:
        return Field("value", head, _text(cast(Token, tree.children[1])), position)
    elif head == "metrics":
        name = str(tree.children[2]) if len(tree.children) == 3 else ""
        if name in METRIC_FIELDS:
            return Field("metric", name, _text(cast(Token, tree.children[1])), position)
        raise FilterError(f'metrics["name"] at {position} must go on with .last, .min, .max or .n', position)
    raise FilterError(f"{head[:80]!r} at {position} is not a name; allowed are {NAMES}", position)


def _compare(field: Field, symbol: str, value: str | float | bool, position: int) -> Condition:
    compare = _COMPARE[symbol]
    match field.kind:
        case "text":
            return cast(Condition, compare(_TEXTS[field.name], _wants_text(field, value, position)))
        case "number":
            return cast(Condition, compare(_NUMBERS[field.name], _wants_number(field, value, position)))
        case "archived":
            if not isinstance(value, bool) or symbol not in {"=", "!="}:
                raise FilterError(f"archived can be = or != true or false, at {position}", position)
            return runs.c.archived == (value is (symbol == "="))
        case "tags":
            raise FilterError(f'tags at {field.position} is tested by "name" in tags', field.position)
        case "metric":
            number = _wants_number(field, value, position)
            metrics = schema.metrics
            column = metrics.c.n_points if field.name == "n" else metrics.c[field.name]
            return (
                sa.select(metrics.c.run_id)
                .where(metrics.c.run_id == runs.c.id, metrics.c.name == field.key, compare(column, number))
                .exists()
            )
        case _:
            values = schema.run_values
            if isinstance(value, bool):
                test = compare(values.c.text, "true" if value else "false")
            elif isinstance(value, str):
                test = compare(values.c.text, value)
            else:
                test = compare(values.c.number, value)
            return _values_of(field).where(test).exists()


def _values_of(field: Field) -> sa.Select[Any]:
    """Select a run's value; asked run by run, which is faster than a list of all runs that match."""
    values = schema.run_values
    return sa.select(values.c.run_id).where(
        values.c.source == field.name, values.c.key == field.key, values.c.run_id == runs.c.id
    )


def _contains(field: Field, value: str | float | bool, position: int, whole: bool = False) -> Condition:
    text = _wants_text(field, value, position)
    if field.kind == "tags":
        tags = schema.run_tags
        return sa.select(tags.c.run_id).where(tags.c.run_id == runs.c.id, tags.c.tag == text).exists()
    if field.kind == "text":
        return sa.func.lower(_TEXTS[field.name]).contains(text.lower(), autoescape=True)
    if field.kind == "value":
        column = sa.func.lower(schema.run_values.c.text)
        return _values_of(field).where(column.contains(text.lower(), autoescape=True)).exists()
    word = "in" if whole else "contains"
    raise FilterError(
        f"{word} works on texts and tags, not on {field.name} at {field.position}", field.position
    )


def _exists(field: Field) -> Condition:
    """Whether a run has the config key, the metric, any tag, any text at all."""
    match field.kind:
        case "value":
            table = schema.run_values
            return (
                _values_of(field)
                .where(sa.or_(table.c.number.is_not(None), table.c.text.is_not(None)))
                .exists()
            )
        case "tags":
            return sa.select(schema.run_tags.c.run_id).where(schema.run_tags.c.run_id == runs.c.id).exists()
        case "metric":
            table = schema.metrics
            same = (table.c.run_id == runs.c.id, table.c.name == field.key)
            return sa.select(table.c.run_id).where(*same).exists()
        case "text":
            return _TEXTS[field.name] != ""
        case _:
            raise FilterError(f"every run has {field.name}, at {field.position}", field.position)


def _truth(field: Field) -> Condition:
    if field.kind == "archived":
        return runs.c.archived == sa.true()
    if field.kind == "value":
        return _values_of(field).where(schema.run_values.c.text == "true").exists()
    raise FilterError(f"{field.name} at {field.position} must be compared with something", field.position)


def _wants_text(field: Field, value: str | float | bool, position: int) -> str:
    if not isinstance(value, str):
        raise FilterError(f'{field.name} is compared with text in "quotes", at {position}', position)
    return value


def _wants_number(field: Field, value: str | float | bool, position: int) -> float:
    if isinstance(value, float):
        return value
    if field.name == "created" and isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            pass
    hint = ' or a date as "2026-11-24"' if field.name == "created" else ""
    raise FilterError(f"{field.name} is compared with a number{hint}, at {position}", position)
