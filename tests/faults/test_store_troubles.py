"""The disk is full, the database is locked, the backlog is long."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(240)
BATCHES = int(os.environ.get("DEEPEVENT_FAULT_BATCHES", "3000"))
HOLD_S = 7.0  # longer than the store waits for a lock
HOLDER = """
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA busy_timeout = 30000")
c.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
c.execute("ROLLBACK")
"""


class SmallDisk:
    """A tmpfs that can be filled to the brim and emptied again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, leaving_bytes: int = 0) -> None:
        """Take all room but this much, from others who are taking room too."""
        with self._ballast.open("wb") as file:
            while True:
                status = os.statvfs(self.path)
                room = status.f_bavail * status.f_frsize - leaving_bytes
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, max(room, 4096))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    if room < 4096:  # somebody else took the last page
                        return
                else:
                    return

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A mounted tmpfs of 24 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mount.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {mount.stderr.strip()}")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_disk_of_the_server_is_full(tmp_path: Path, world: Any, small_disk: SmallDisk, settle: Any) -> None:
    """A server without room says so, keeps its store whole, and takes everything when there is room again."""
    server = world.Server(small_disk.path / "home")
    server.start()
    environment = {"DEEPEVENT_URL": server.url, "DEEPEVENT_TOKEN": server.token}
    script = world.Script(
        tmp_path / "elsewhere", tmp_path / "one.ledger", "--pause", "0.00005", **environment
    )
    try:
        script.wait_for(1_000)
        small_disk.fill()
        script.wait_for(60_000, limit_s=60)
        small_disk.free()
        script.wait_for(script.returned + 1_000)
        script.kill()
        world.sync(tmp_path / "elsewhere", **environment)
        settle(server.home, script.run_id, [(0, script.handed, script.returned)], kills=1)
    finally:
        script.kill()
        server.kill()


def test_disk_of_the_script_is_full(tmp_path: Path, world: Any, small_disk: SmallDisk) -> None:
    """A script without room goes on; what was kept comes once, and what was not is counted and told."""
    server = world.Server(tmp_path / "home")
    small_disk.fill(leaving_bytes=3 << 20)
    script = world.Script(
        small_disk.path / "elsewhere",
        tmp_path / "one.ledger",
        *("--count", "400000", "--wait", "30"),
        DEEPEVENT_URL=server.url,
        DEEPEVENT_TOKEN="of-a-server-that-is-not-there",
        DEEPEVENT_EXIT_TIMEOUT="1",
    )
    script.wait_for(399_999, limit_s=90)
    script.kill()
    small_disk.free()
    try:
        server.start()
        world.sync(small_disk.path / "elsewhere", DEEPEVENT_URL=server.url, DEEPEVENT_TOKEN=server.token)
        stored = Counter(step for step, _ in world.stored_steps(server.home, script.run_id))
        assert len(stored) > 10_000, "what fitted was kept"
        assert max(stored.values()) == 1
        assert len(stored) < 400_000, "the disk was full"
        assert sorted(stored) == list(range(len(stored))), "what was kept is a prefix, without a hole"
    finally:
        server.kill()


def test_database_locked(tmp_path: Path, world: Any, lasting_server: Any, settle: Any) -> None:
    """Another process holds the database for longer than the store waits; all points are there afterwards."""
    script = world.Script(lasting_server.home, tmp_path / "one.ledger", "--pause", "0.0005")
    script.wait_for(200)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lasting_server.home / "deepevent.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    script.wait_for(script.returned + int(HOLD_S / 0.0007), limit_s=60)
    holder.communicate("release\n", timeout=30)
    script.wait_for(script.returned + 200)
    script.kill()
    world.sync(lasting_server.home)
    settle(lasting_server.home, script.run_id, [(0, script.handed, script.returned)], kills=1)


def test_thousands_of_spooled_batches(tmp_path: Path, world: Any, settle: Any) -> None:
    """A server takes in a spool of thousands of batches, and is killed once in the middle of it."""
    server = world.Server(tmp_path / "home")
    made = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("backlog.py")), str(server.home), str(BATCHES)],
        capture_output=True,
        text=True,
        check=True,
    )
    run_id, n_points = made.stdout.split()
    server.start()
    try:
        server.kill()
        server.start()
        settle(server.home, run_id, [(0, int(n_points) - 1, int(n_points) - 1)], kills=1)
    finally:
        server.kill()
