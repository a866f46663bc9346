"""What a network does to a script that logs: every point arrives exactly once all the same."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(180)
POINTS = 8_000


def remote(server: Any, proxy: Any) -> dict[str, str]:
    return {"DEEPEVENT_URL": f"http://127.0.0.1:{proxy.port}", "DEEPEVENT_TOKEN": server.token}


def log_through(
    tmp_path: Path, world: Any, server: Any, proxy: Any, settle: Any, storm: Any, *, points: int = POINTS
) -> Any:
    """Let a script of another home log through the proxy, with the storm over its whole middle."""
    script = world.Script(
        tmp_path / "elsewhere",
        tmp_path / "one.ledger",
        *("--count", str(points), "--pause", "0.0001"),
        **remote(server, proxy),
    )
    script.wait_for(points // 10)
    storm()
    script.wait_for(points - 1, limit_s=60)
    proxy.weather = type(proxy.weather)()
    script.finish()
    settle(server.home, script.run_id, [(0, script.handed, script.returned)])
    return script


@pytest.mark.parametrize(
    "storm",
    [
        pytest.param({"delay_s": 0.3}, id="300 ms of delay"),
        pytest.param({"bytes_per_s": 50_000}, id="50 kB a second"),
        pytest.param({"cut_request_after": 2_000}, id="cut in the middle of a body"),
        pytest.param({"cut_request_after": 2_000, "reset": True}, id="reset in the middle of a body"),
        pytest.param({"cut_reply_after": 0}, id="cut between commit and reply"),
        pytest.param({"cut_reply_after": 20, "reset": True}, id="reset in the middle of a reply"),
        pytest.param({"down": True}, id="refused"),
        pytest.param({"down": True, "reset": True}, id="reset at once"),
    ],
)
def test_storm(
    tmp_path: Path,
    world: Any,
    lasting_server: Any,
    proxy: Any,
    settle: Any,
    weather: Any,
    storm: dict[str, Any],
) -> None:
    """A network that misbehaves for a while costs time and no point."""

    def begin() -> None:
        proxy.weather = weather(**storm)
        proxy.drop_connections()

    log_through(tmp_path, world, lasting_server, proxy, settle, begin)
    assert proxy.n_connections > 1


def test_random_cuts(
    tmp_path: Path, world: Any, lasting_server: Any, proxy: Any, settle: Any, weather: Any
) -> None:
    """Connections that die after a random number of bytes, either way, thirty times over."""
    chance = random.Random(5)
    script = world.Script(
        tmp_path / "elsewhere",
        tmp_path / "one.ledger",
        *("--pause", "0.0002"),
        **remote(lasting_server, proxy),
    )
    script.wait_for(0)
    for _ in range(30):
        proxy.weather = weather(
            cut_request_after=chance.choice([None, chance.randrange(1, 4000)]),
            cut_reply_after=chance.choice([None, chance.randrange(0, 300)]),
            reset=chance.random() < 0.5,
        )
        before = proxy.n_cut
        script.wait_for(script.returned + 100)
        deadline = time.monotonic() + 0.5
        while proxy.n_cut == before and time.monotonic() < deadline:
            time.sleep(0.01)
    proxy.weather = weather()
    script.kill()
    world.sync(tmp_path / "elsewhere", **remote(lasting_server, proxy))
    settle(lasting_server.home, script.run_id, [(0, script.handed, script.returned)], kills=1)
    assert proxy.n_cut > 5


def test_silence(
    tmp_path: Path, world: Any, lasting_server: Any, proxy: Any, settle: Any, weather: Any
) -> None:
    """A server that accepts and never answers keeps no script from ending, and its points arrive later."""
    proxy.weather = weather(silent=True)
    script = world.Script(
        tmp_path / "elsewhere",
        tmp_path / "one.ledger",
        *("--count", "1000", "--wait", "1"),
        **remote(lasting_server, proxy),
        DEEPEVENT_EXIT_TIMEOUT="2",
    )
    started = time.monotonic()
    script.wait_for(999)
    script.finish(limit_s=60)
    assert time.monotonic() - started < 30, "the exit must not wait for a silent server"
    proxy.weather = weather()
    world.sync(tmp_path / "elsewhere", **remote(lasting_server, proxy))
    settle(lasting_server.home, script.run_id, [(0, script.handed, script.returned)])


def test_no_server_for_the_whole_run(tmp_path: Path, world: Any, settle: Any) -> None:
    """A script whose server was never there is taken in by the next `deepevent serve`."""
    server = world.Server(tmp_path / "home")
    script = world.Script(tmp_path / "home", tmp_path / "one.ledger", "--count", "5000", "--wait", "0.1")
    script.finish()
    try:
        server.start()
        settle(server.home, script.run_id, [(0, script.handed, script.returned)])
    finally:
        server.kill()
