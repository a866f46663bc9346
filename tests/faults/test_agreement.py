"""What the client takes, the server takes: a refused event would hold up every point behind it for ever."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import deepevent

LONG = "x" * 2_000
ODD = [
    "a\nb",
    "\x1b[31mred",
    "nul\0nul",
    "lone \ud800 surrogate",
    LONG,
    " ",
    "ünï/çødé \U0001f600",
    "\u202etxet",
]


def deep(levels: int) -> dict[str, Any]:
    inside: dict[str, Any] = {"end": 1}
    for _ in range(levels):
        inside = {"k": inside}
    return inside


STARTS: dict[str, dict[str, Any]] = {
    **{f"name {text!r:.12}": {"name": text} for text in ODD},
    **{f"project {text!r:.12}": {"project": text} for text in ODD},
    **{f"group {text!r:.12}": {"group": text} for text in ODD},
    **{f"tag {text!r:.12}": {"tags": [text]} for text in ODD},
    **{f"notes {text!r:.12}": {"notes": text * 3} for text in ODD},
    **{f"config key {text!r:.12}": {"config": {text: text}} for text in ODD},
    "5,000 tags": {"tags": [f"tag {number}" for number in range(5_000)]},
    "deep config": {"config": deep(200)},
    "large config": {"config": {f"key {number}": "v" * 1000 for number in range(3_000)}},
    "numbers without JSON": {"config": {"a": math.nan, "b": math.inf, "c": 10**400, "d": 2**63}},
}
CALLS: dict[str, Callable[[deepevent.Run], object]] = {
    **{f"metric {text!r:.12}": lambda run, text=text: run.log({text: 1.0}) for text in ODD},  # type: ignore[misc]
    **{f"text {text!r:.12}": lambda run, text=text: run.log_text(text, text) for text in ODD},  # type: ignore[misc]
    **{f"alert {text!r:.12}": lambda run, text=text: run.alert(text, text) for text in ODD},  # type: ignore[misc]
    **{f"summary {text!r:.12}": lambda run, text=text: run.summary.update({text: text}) for text in ODD},  # type: ignore[misc]
    **{f"tag {text!r:.12}": lambda run, text=text: run.tags.add(text) for text in ODD},  # type: ignore[misc]
    "negative step": lambda run: run.log({"a": 1.0}, step=-1),
    "largest step": lambda run: run.log({"a": 1.0}, step=2**63 - 1),
    "step too large": lambda run: run.log({"a": 1.0}, step=2**63),
    "odd epoch": lambda run: run.log({"a": 1.0}, epoch=math.nan),  # type: ignore[arg-type]
    "text of 2 MB": lambda run: run.log_text("long", "y" * 2_000_000),
    "odd boxes": lambda run: run.log_detections(
        "d", [[0, 1], [2, 3]], {"truth": [[0, 0, math.nan, math.inf]], "train": False, "stages": []}
    ),
    "text with an odd step": lambda run: run.log_text("t", "t", step=-5),
    "nameless": lambda run: run.log({"": 1.0}),
    "deep summary": lambda run: run.summary.update(deep(200)),
}


def everything_arrives(run: deepevent.Run, act: Callable[[deepevent.Run], object] | None = None) -> None:
    """Do the odd thing, log a point behind it, and see it acknowledged."""
    if act is not None:
        with contextlib.suppress(TypeError, ValueError):  # a refusal in the script is an answer, too
            act(run)
    run.log({"behind": 1.0})
    arrived = run.flush(20)
    run.finish()
    assert arrived, "the server refused what the client had taken, and the point behind it with it"


@pytest.fixture
def at_home(lasting_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home of one's own, whose scripts log to the lasting server."""
    monkeypatch.setenv("DEEPEVENT_HOME", str(tmp_path))
    monkeypatch.setenv("DEEPEVENT_URL", lasting_server.url)
    monkeypatch.setenv("DEEPEVENT_TOKEN", lasting_server.token)


@pytest.mark.parametrize("arguments", STARTS.values(), ids=STARTS.keys())
def test_start(at_home: None, arguments: dict[str, Any]) -> None:
    """Whatever a run is started with, its points arrive."""
    try:
        run = deepevent.start(**arguments)
    except (TypeError, ValueError, deepevent.DeepEventError):
        return
    everything_arrives(run)


@pytest.mark.parametrize("act", CALLS.values(), ids=CALLS.keys())
def test_call(at_home: None, act: Callable[[deepevent.Run], object]) -> None:
    """Whatever a run is told, the points behind it arrive."""
    everything_arrives(deepevent.start(), act)
