"""Fixtures of the fault tests; `pytest_terminal_summary` of tests/conftest.py sums them up in one line."""

from __future__ import annotations

import importlib.util
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(name: str) -> ModuleType:
    """Import a file of this folder, which is no package."""
    full = f"deepevent_faults_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec and spec.loader
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


@pytest.fixture(scope="session")
def world() -> Any:
    """The module `world.py`: Server, Script, account."""
    return _load("world")


@pytest.fixture(scope="session")
def n_kills() -> int:
    """How many kills of each kind: 20, or what `DEEPEVENT_FAULT_KILLS` says."""
    return int(os.environ.get("DEEPEVENT_FAULT_KILLS", "20"))


@pytest.fixture
def faulty_server(tmp_path: Path, world: Any) -> Iterator[Any]:
    """A running server in a home of its own."""
    server = world.Server(tmp_path / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def lasting_server(tmp_path_factory: pytest.TempPathFactory, world: Any) -> Iterator[Any]:
    """A running server for all tests that do no harm to it: only the way to it is faulty, or the script."""
    server = world.Server(tmp_path_factory.mktemp("lasting") / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def proxy(lasting_server: Any, proxies: Any) -> Iterator[Any]:
    """A proxy before the lasting server, with fair weather."""
    made = proxies.Proxy(lasting_server.port)
    yield made
    made.close()


@pytest.fixture(scope="session")
def proxies() -> Any:
    """The module `proxy.py`: Proxy, Weather."""
    return _load("proxy")


@pytest.fixture
def weather(proxies: Any) -> Any:
    """The class `Weather` of the proxy."""
    return proxies.Weather


@pytest.fixture(scope="session")
def power() -> Any:
    """The module `power_child.py`."""
    return _load("power_child")


@pytest.fixture
def shim(tmp_path: Path) -> Callable[[str], Path]:
    """Builds a C file of this folder that LD_PRELOAD puts before libc; gives the library."""

    def build(source: str) -> Path:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            pytest.skip(f"no C compiler here: {source} cannot be built")
        target = tmp_path / Path(source).with_suffix(".so").name
        flags = ("-shared", "-fPIC", "-O1", "-o", str(target))
        subprocess.run([compiler, *flags, str(Path(__file__).with_name(source))], check=True)
        return target

    return build


@pytest.fixture
def clock(tmp_path: Path, shim: Callable[[str], Path]) -> tuple[Callable[[int], None], dict[str, str]]:
    """A function that shifts the wall clock, and the environment of the processes that shall obey it."""
    setting = tmp_path / "clock"
    setting.write_bytes(struct.pack("<q", 0))

    def shift(seconds: int) -> None:
        with setting.open("r+b") as file:
            file.write(struct.pack("<q", seconds))

    return shift, {"LD_PRELOAD": str(shim("clock_shim.c")), "FAULT_CLOCK": str(setting)}


@pytest.fixture
def settle(world: Any, record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Take the account of a run, note it for the tally, and insist that nothing is lost or doubled."""

    def take(home: Path, run_id: str, spans: list[tuple[int, int, int]], kills: int = 0) -> None:
        result = world.account(home, run_id, spans)
        record_property("faults", [kills, len(result.lost), len(result.doubled), result.logged])
        assert result.clean, str(result)

    return take
