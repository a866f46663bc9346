"""Print rows as an aligned table, and numbers and times as people read them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

WIDEST = 40


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows below their titles; columns of numbers are set to the right."""
    cut = [
        [cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…" for cell in map(clean, row)]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(titles, *cut, strict=True)]
    right = [bool(cut) and all(_is_number(row[i]) for row in cut) for i in range(len(titles))]
    lines = []
    for row in (titles, *cut):
        cells = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def clean(text: object) -> str:
    """Return a text without control characters: a run's name must not steer the reader's terminal."""
    return "".join(c if c.isprintable() else "�" for c in str(text))


def number(value: Any) -> str:
    """Return a number with six digits, as the API gives it: also "NaN" and "Infinity"."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else clean(value)


def moment(seconds: float | None) -> str:
    """Return a time since 1970 in local time."""
    if seconds is None:
        return ""
    return datetime.datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def span(seconds: float | None) -> str:
    """Return a duration: 12 s, 5:07, 3:05:07."""
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _is_number(text: str) -> bool:
    try:
        float(text.removesuffix(" s").replace(":", "") or "0")
    except ValueError:
        return False
    return True
