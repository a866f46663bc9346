"""The dashboard's own modules keep to their places: who fetches, who touches Plotly, who names colours."""

from __future__ import annotations

import re
from pathlib import Path

import deepevent_web

STATIC = Path(deepevent_web.__file__).with_name("static")
MODULES = [path for path in STATIC.rglob("*.js") if "vendor" not in path.parts]


def test_only_api_fetches() -> None:
    """Requests are made in api.js alone."""
    assert [path.name for path in MODULES if re.search(r"\bfetch\(", path.read_text())] == ["api.js"]


def test_only_chart_touches_plotly() -> None:
    """Plotly is called in chart.js alone."""
    users = [
        path.name
        for path in MODULES
        if re.search(r"\bPlotly\.(react|purge|newPlot|restyle)", path.read_text())
    ]
    assert users == ["chart.js"]


def test_no_markup_is_made_from_strings() -> None:
    """Text reaches the page as text: nothing sets inner HTML."""
    for path in MODULES:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML", path.read_text()
        ), path


def test_components_name_tokens_and_never_colours() -> None:
    """A colour stands in tokens.css and nowhere else (shadows are black with an opacity)."""
    for path in [*MODULES, *(STATIC / "css").glob("*.css")]:
        text = re.sub(r"rgba?\(0[ ,]+0[ ,]+0[ /,]+[.\d]+\)", "", path.read_text())
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?!\w)|rgba?\(|hsla?\(", text), path


def test_every_relative_import_exists() -> None:
    """No module names a file that is not there."""
    for path in MODULES:
        for wanted in re.findall(r'from "(\.[^"]+)"', path.read_text()):
            assert (path.parent / wanted).resolve().is_file(), f"{path.name} imports {wanted}"
