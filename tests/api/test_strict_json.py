"""What passes as JSON, exactly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepevent_web import serialise, strict_json

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_json_comes_through_unchanged(value: Any) -> None:
    """Whatever Python writes as strict JSON is read back the same."""
    assert strict_json.parse(json.dumps(value).encode()) == value


@given(st.binary(max_size=60))
def test_no_bytes_at_all_make_it_fail_otherwise(text: bytes) -> None:
    """Any bytes are either JSON or refused; nothing else escapes."""
    try:
        strict_json.parse(text)
    except strict_json.JsonRefused:
        return


@pytest.mark.parametrize("depth", [32, 33])
def test_nesting_ends_at_its_limit(depth: int) -> None:
    """32 levels are read, 33 are not."""
    text = ("[" * depth + "1" + "]" * depth).encode()
    if depth == 32:
        assert strict_json.parse(text)
    else:
        with pytest.raises(strict_json.JsonRefused, match="32"):
            strict_json.parse(text)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63)])
def test_integers_end_at_64_bits(number: int) -> None:
    """The last that fits is exact, one more is refused."""
    assert strict_json.parse(str(number).encode()) == number
    with pytest.raises(strict_json.JsonRefused):
        strict_json.parse(str(number + (1 if number > 0 else -1)).encode())


def test_answers_are_json_for_browsers() -> None:
    """NaN, infinities and integers that a browser would round leave as strings."""
    value = {"a": float("nan"), "b": [float("inf"), -float("inf")], "c": 2**53 + 1, "d": 2**53, "e": True}
    assert json.loads(serialise.dumps(value)) == {
        "a": "NaN",
        "b": ["Infinity", "-Infinity"],
        "c": "9007199254740993",
        "d": 9007199254740992,
        "e": True,
    }
