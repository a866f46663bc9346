"""docs/security.md says what is true: the limits as the code has them, and a test for each attack."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from deepevent_web.limits import Limits

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text()
ITEMS = {
    *(f"A{n}" for n in range(1, 10)),
    *(f"B{n}" for n in (*range(1, 10), 12)),
    *(f"C{n}" for n in (1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14)),
    *(f"D{n}" for n in (1, 2, 3, 4, 5, 7)),
    *(f"E{n}" for n in (1, 2, 4, 6, 7, 8, 9)),
    *(f"F{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13)),
    *(f"G{n}" for n in (1, 2, 3, 4, 6)),
    *(f"H{n}" for n in range(1, 8)),
    *(f"I{n}" for n in (1, 2, 3, 4, 5, 7, 8)),
}


def _rows(heading: str) -> list[list[str]]:
    part = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in rows]


def test_the_table_of_limits_is_that_of_the_code() -> None:
    """Name, value, answer and meaning of each limit, and which can be set."""
    expected = [
        [
            f"`{one.name}`" + (" ✎" if one.metadata["adjustable"] else ""),
            f"{one.default:,}",
            one.metadata["answer"],
            one.metadata["meaning"],
        ]
        for one in dataclasses.fields(Limits)
    ]
    assert [row for row in _rows("Limits") if row[0].startswith("`")] == expected


def test_every_attack_has_its_tests() -> None:
    """Each item of the list has a line, and each line names tests that exist."""
    rows = [row for row in _rows("The attacks") if re.fullmatch(r"[A-I]\d+", row[0])]
    assert {row[0] for row in rows} >= ITEMS
    assert len({row[0] for row in rows}) == len(rows)
    for letter, attack, answer, tests in rows:
        assert attack and answer, letter
        named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", tests)
        assert named, letter
        for file, function in named:
            path = ROOT / "tests" / file
            assert path.is_file(), (letter, file)
            assert not function or f"def {function}(" in path.read_text(), (letter, file, function)
