"""The wall clock is set back and forth under a script and under the server."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

DAY_S = 86_400


def test_shim_shifts_the_clock(clock: Any, world: Any) -> None:
    """The shim does what the tests below believe that it does."""
    shift, environment = clock
    shift(-DAY_S)
    import os
    import sys
    import time

    out = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert abs(float(out.stdout) - (time.time() - DAY_S)) < 60


def test_clock_of_a_script(tmp_path: Path, world: Any, lasting_server: Any, settle: Any, clock: Any) -> None:
    """A script whose clock goes back a day and forward two loses and doubles nothing and keeps its order."""
    shift, environment = clock
    script = world.Script(
        lasting_server.home,
        tmp_path / "one.ledger",
        *("--count", "3000", "--pause", "0.0003"),
        **environment,
    )
    for seen, seconds in ((500, -DAY_S), (1500, DAY_S), (2500, 0)):
        script.wait_for(seen)
        shift(seconds)
    script.finish()
    settle(lasting_server.home, script.run_id, [(0, script.handed, script.returned)])
    steps = [step for step, _ in world.stored_steps(lasting_server.home, script.run_id)]
    assert steps == sorted(steps)


def test_clock_of_the_server(tmp_path: Path, world: Any, settle: Any, clock: Any) -> None:
    """A server whose clock is set back a day and forward two goes on taking points."""
    shift, environment = clock
    server = world.Server(tmp_path / "home")
    server.environment = environment
    server.start()
    try:
        script = world.Script(server.home, tmp_path / "one.ledger", "--count", "3000", "--pause", "0.0003")
        for seen, seconds in ((500, -DAY_S), (1500, DAY_S), (2500, 0)):
            script.wait_for(seen)
            shift(seconds)
        script.finish()
        settle(server.home, script.run_id, [(0, script.handed, script.returned)])
    finally:
        server.kill()
