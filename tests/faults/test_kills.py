"""Script, server and both are killed at random moments; no point is lost and none comes twice."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)
LONGEST_LIFE_S = 0.15


def test_kill_script(tmp_path: Path, world: Any, lasting_server: Any, settle: Any, n_kills: int) -> None:
    """A run that is killed and resumed again and again holds every point of every life exactly once."""
    chance = random.Random(1)
    run_id, first, spans = None, 0, []
    for life in range(n_kills):
        resume = ["--resume", run_id] if run_id else []
        script = world.Script(
            lasting_server.home, tmp_path / f"{life}.ledger", "--first", str(first), *resume
        )
        script.wait_for(first)
        time.sleep(chance.uniform(0, LONGEST_LIFE_S))  # the random moment is the fault
        script.kill()
        spans.append((first, script.handed, script.returned))
        run_id, first = script.run_id, script.handed + 1
    last = world.Script(
        lasting_server.home,
        tmp_path / "last.ledger",
        "--first",
        str(first),
        "--count",
        "100",
        "--resume",
        str(run_id),
    )
    last.finish()
    spans.append((first, last.handed, last.returned))
    world.sync(lasting_server.home)
    settle(lasting_server.home, run_id, spans, kills=n_kills)


def test_kill_server(tmp_path: Path, world: Any, faulty_server: Any, settle: Any, n_kills: int) -> None:
    """One script logs on while its server is killed and started again and again."""
    chance = random.Random(2)
    script = world.Script(
        faulty_server.home, tmp_path / "one.ledger", "--pause", "0.0005", "--count", str(1 << 40)
    )
    script.wait_for(0)
    for _ in range(n_kills):
        seen = script.returned
        script.wait_for(seen + 20)
        time.sleep(chance.uniform(0, LONGEST_LIFE_S))
        faulty_server.kill()
        faulty_server.start()
    script.kill()
    world.sync(faulty_server.home)
    settle(faulty_server.home, script.run_id, [(0, script.handed, script.returned)], kills=n_kills)


def test_kill_both(tmp_path: Path, world: Any, faulty_server: Any, settle: Any, n_kills: int) -> None:
    """Script and server die together, in either order, and both come back."""
    chance = random.Random(3)
    run_id, first, spans = None, 0, []
    for life in range(n_kills):
        resume = ["--resume", run_id] if run_id else []
        script = world.Script(faulty_server.home, tmp_path / f"{life}.ledger", "--first", str(first), *resume)
        script.wait_for(first)
        time.sleep(chance.uniform(0, LONGEST_LIFE_S))
        victims = [script.kill, faulty_server.kill]
        chance.shuffle(victims)
        victims[0]()
        time.sleep(chance.uniform(0, 0.02))
        victims[1]()
        spans.append((first, script.handed, script.returned))
        run_id, first = script.run_id, script.handed + 1
        faulty_server.start()
    world.sync(faulty_server.home)
    settle(faulty_server.home, run_id, spans, kills=n_kills)
