"""What the tests of several servers take from others: scripts with a ledger, and pages that watch."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]


def _load(path: Path) -> ModuleType:
    """Import a file of a folder that is no package."""
    name = f"deepevent_scale_{path.parent.name}_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec and spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def world() -> Any:
    """The module `world.py` of the fault tests: Script, value_of."""
    return _load(TESTS / "faults" / "world.py")


@pytest.fixture
def open_page() -> Iterator[Any]:
    """Open pages as the tests of the live path do; all are closed at the end."""
    pages: list[Any] = []

    def open_one(server: Any) -> Any:
        pages.append(_load(TESTS / "live" / "conftest.py").Page(server))
        return pages[-1].connect()

    yield open_one
    for page in pages:
        page.close()


object_store = _load(TESTS / "store" / "conftest.py").object_store
"""The fixture that starts an object store; its value gives the URL of a fresh bucket."""
