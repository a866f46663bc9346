"""The disk answers EIO: under the store's writes and syncs, and under the script's spool."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(180)
WRITES, SYNCS, RESERVATIONS = 1, 2, 4


@pytest.fixture
def disk(tmp_path: Path, shim: Callable[[str], Path]) -> tuple[Callable[[int], None], dict[str, str]]:
    """A function that says what fails from now on, and the environment of the process that shall have it."""
    setting = tmp_path / "disk"
    setting.write_bytes(struct.pack("<q", 0))

    def fail(what: int) -> None:
        with setting.open("r+b") as file:
            file.write(struct.pack("<q", what))

    return fail, {"LD_PRELOAD": str(shim("disk_shim.c")), "FAULT_DISK": str(setting)}


def test_disk_of_the_server_fails(tmp_path: Path, world: Any, settle: Any, disk: Any) -> None:
    """Writes and syncs of the database fail now and then, and the server is killed in the middle of it."""
    fail, environment = disk
    server = world.Server(tmp_path / "home")
    server.environment = environment
    server.start()
    script = world.Script(server.home, tmp_path / "one.ledger", "--pause", "0.0003")
    chance = random.Random(3)
    try:
        script.wait_for(200)
        for what in (WRITES, SYNCS, WRITES + SYNCS, SYNCS):
            fail(what)
            script.wait_for(script.returned + chance.randrange(300, 900))
            fail(0)
            script.wait_for(script.returned + chance.randrange(50, 300))
        fail(SYNCS)
        script.wait_for(script.returned + 500)
        server.kill()
        fail(0)
        server.start()
        script.wait_for(script.returned + 300)
        script.kill()
        world.sync(server.home)
        settle(server.home, script.run_id, [(0, script.handed, script.returned)], kills=2)
        assert "disk I/O error" in server.log.read_text(), "the shim has bitten"
    finally:
        script.kill()
        server.kill()


def test_disk_of_the_script_fails(
    tmp_path: Path, world: Any, lasting_server: Any, settle: Any, disk: Any
) -> None:
    """While no segment can be made, points wait in memory; they are written when the disk works again."""
    fail, environment = disk
    script = world.Script(
        tmp_path / "elsewhere",
        tmp_path / "one.ledger",
        *("--count", "60000", "--wait", "60"),
        **environment,
        FAULT_DISK_FILES="/spool/",
        DEEPEVENT_URL=lasting_server.url,
        DEEPEVENT_TOKEN=lasting_server.token,
    )
    script.wait_for(0)
    fail(RESERVATIONS)
    script.wait_for(59_999, limit_s=60)
    fail(0)
    script.finish()
    settle(lasting_server.home, script.run_id, [(0, script.handed, script.returned)])
    assert "kept in memory" in script.printed()
