"""The documentation is true: what exists is described, what is linked exists, and the examples run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deepevent.settings import SETTINGS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def deepevent(*words: str, home: Path) -> str:
    """Run the command line with a home of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from deepevent.cli import main; sys.exit(main())", *words],
        env={**os.environ, "DEEPEVENT_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link or picture in the documentation names a file that is there."""
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_command_is_in_the_readme(tmp_path: Path) -> None:
    """Whoever reads the README has heard of each command."""
    readme = (ROOT / "README.md").read_text()
    for command in re.findall(r"^  (\S+)  ", deepevent("--help", home=tmp_path), re.MULTILINE):
        assert re.search(rf"`(deepevent )?{command}`", readme), command


def test_every_setting_is_described() -> None:
    """Each environment variable of the client stands in its page."""
    text = (ROOT / "docs" / "client.md").read_text()
    for setting in SETTINGS:
        for variable in setting.variables:
            assert variable in text, variable


def test_the_readme_s_script_runs(tmp_path: Path) -> None:
    """The example in the README logs a run, without any server."""
    script = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert script is not None
    done = subprocess.run(
        [sys.executable, "-c", script.group(1)],
        env={**os.environ, "DEEPEVENT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "spool").rglob("*.seg"))


def test_the_readme_s_shell_lines_run(tmp_path: Path) -> None:
    """`deepevent log` as the README types it names the run that it made."""
    line = re.search(r"^deepevent (log .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert line is not None
    assert re.fullmatch(r"[0-9a-z]{26}\n", deepevent(*line.group(1).split(), home=tmp_path))
