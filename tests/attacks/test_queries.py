"""G: filters, sort keys and cursors that want to be SQL, code, or without end."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

pytestmark = pytest.mark.usefixtures("unharmed")

SORTS = [
    "name; drop table runs",
    "(select hash from tokens)",
    "name asc nulls first",
    "name,created",
    "tokens.hash",
    "1",
    "case when 1=1 then name else created end",
    "name--",
    "config.lr collate nocase",
    'config["lr"] desc',
    "__class__",
    "-",
    "--created",
]
FILTERS = [
    "' or 1=1 --",
    '" or 1=1 --',
    "1=1",
    "name = 'x'",
    'name = "x" union select hash from tokens',
    'name = "x"; drop table runs',
    "__import__('os').system('id')",
    "runs.__init__.__globals__",
    "(lambda: 1)()",
    "name.__class__ = 1",
    "pg_sleep(10) = 1",
    "randomblob(1000000000) = 1",
    'name matches "^(a+)+$"',
    'name = "\\ud800"',
    'name = "a\\u0000b"',
    "config.lr < 1e400 and",
    "not",
    ")",
    "tags",
    "ｎａｍｅ = 1",
]


@pytest.mark.parametrize("sort", SORTS)
def test_a_sort_key_is_one_of_ours(operator: Any, sort: str) -> None:
    """G1: a key that is none of the documented ones is a 422; no part of it reaches the database."""
    answer = operator.call("GET", f"/runs?sort={quote(sort)}")
    assert answer.status_code == 422, answer.text
    assert "syntax" not in answer.text and "sqlite" not in answer.text.lower()


@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_is_never_code(operator: Any, text: str) -> None:
    """G2: what is no filter is a 422 with its place, and nothing of it is evaluated."""
    answer = operator.call("GET", f"/runs?filter={quote(text)}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == "filter"


def test_wildcards_are_letters(operator: Any, new_run: Callable[..., str]) -> None:
    """G2: %, _ and backslashes in a value mean themselves."""
    marks = ["100%", "a_b", "a\\b", "axb", "' or 1=1 --"]
    runs = {name: new_run(name=name, project="wildcards") for name in marks}

    def find(text: str) -> set[str]:
        shown = operator.call("GET", f"/runs?filter={quote(text)}").json()["runs"]
        return {run["id"] for run in shown}

    for mark in ("%", "_", "\\\\"):
        (name,) = [name for name in marks if mark.replace("\\\\", "\\") in name]
        assert find(f'project = "wildcards" and name contains "{mark}"') == {runs[name]}
    assert find('project = "wildcards" and name = "\' or 1=1 --"') == {runs["' or 1=1 --"]}
    assert find('project = "wildcards" and name = "%"') == set()


@pytest.mark.parametrize(
    "text",
    [
        " or ".join(["name = 1"] * 10_000),
        " or ".join(['name = "a"'] * 250),
        "(" * 200 + 'name = "a"' + ")" * 200,
        "not " * 500 + 'name = "a"',
        'name in ["' + '", "'.join("a" * 900) + '"]',
        'name = "' + "a" * 5000 + '"',
    ],
    ids=["10000 ors", "250 ors", "200 deep", "500 nots", "900 values", "long"],
)
def test_a_filter_ends(operator: Any, text: str) -> None:
    """G2: more comparisons, more depth or more letters than the limit are refused, at once."""
    assert operator.call("GET", f"/runs?filter={quote(text)}").status_code in (414, 422)


@pytest.mark.parametrize("n_stars", [12, 25, 60])
def test_a_pattern_that_backtracks_is_text(operator: Any, new_run: Callable[..., str], n_stars: int) -> None:
    """G3: there are no regular expressions; what would be one is searched for as text, letter for letter."""
    new_run(name="a" * 250)
    text = 'name contains "' + "a%" * n_stars + '"'
    answer = operator.call("GET", f"/runs?filter={quote(text)}")
    assert answer.status_code == 200
    assert answer.json()["runs"] == []


@pytest.mark.parametrize(
    "query",
    [
        "cursor=1",
        "cursor=%00",
        "cursor=" + "A" * 3000,
        "cursor=" + quote(base64.b64encode(b"[1, 2]").decode()),
        "cursor=" + quote(base64.b64encode(b"{}").decode()),
        "cursor=" + quote("' or 1=1 --"),
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=1e9",
        "limit=99999999999999999999999",
        "limit=%D9%A1",
        "limit=10&limit=20",
        "offset=1000000000",
        "limit[]=1",
        "limit=",
    ],
)
def test_a_page_is_asked_for_as_documented(operator: Any, query: str) -> None:
    """G4: a cursor that was tampered with, and a limit that is none, are a 422."""
    assert operator.call("GET", f"/runs?{query}").status_code == 422


def test_a_cursor_opens_nothing_that_the_filter_closed(operator: Any, new_run: Callable[..., str]) -> None:
    """G4: the cursor of one list, used in another, is refused or shows only what that list would show."""
    for number in range(3):
        new_run(name=f"mine {number}", project="cursors")
    new_run(name="other", project="elsewhere")
    both, one = quote('project = "elsewhere" or project = "cursors"'), quote('project = "cursors"')
    cursor = operator.call("GET", f"/runs?limit=1&filter={both}").json()["next"]
    again = operator.call("GET", f"/runs?cursor={quote(cursor)}&filter={one}")
    assert again.status_code in (200, 422)
    if again.status_code == 200:
        assert {run["project"] for run in again.json()["runs"]} <= {"cursors"}
    assert operator.call("GET", f"/runs?sort=name&cursor={quote(cursor)}").status_code == 422
