"""`import deepevent` in a fresh interpreter: nothing but the standard library, and little of that."""

from __future__ import annotations

import subprocess
import sys

import pytest

import deepevent

SLOW = [
    "argparse",
    "dataclasses",
    "http.client",
    "json",
    "pathlib",
    "re",
    "socket",
    "ssl",
    "typing",
    "threading",
]


def modules_after(statement: str) -> set[str]:
    """Names of the modules that a bare interpreter has after a statement and had not before."""
    script = f"import sys\nbefore = set(sys.modules)\n{statement}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("statement", ["import deepevent", "import deepevent.shipper, deepevent.transport"])
def test_only_the_standard_library_is_loaded(statement: str) -> None:
    """The client brings no other package along."""
    loaded = {name.partition(".")[0] for name in modules_after(statement)}
    assert loaded - {"deepevent"} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    "statement", ["import deepevent", "import deepevent.cli.log, deepevent.cli._logging"]
)
def test_slow_modules_are_not_loaded(statement: str) -> None:
    """What the start of `deepevent log` does not need is not imported for it."""
    assert modules_after(statement).isdisjoint(SLOW)


def test_public_names() -> None:
    """`__all__` is what the documentation names, and all of it is there."""
    assert deepevent.__all__ == ["DeepEventError", "Run", "current_run", "finish", "log", "start"]
    assert all(hasattr(deepevent, name) for name in deepevent.__all__)
