"""The power goes: what the store has acknowledged is there, whatever the disk had not yet been told to keep.

A process commits batches under a shim that writes down each write, truncation and sync of the database.
Then the power is cut at many places of that list: what was synced is kept, and of what was not, nothing, all,
or any part by sectors of 512 bytes. A disk may do all of that.
"""

from __future__ import annotations

import dataclasses
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from deepevent.ids import new_id
from deepevent.store import connection, curves, inspection, migrate

WRITE, TRUNCATE, SYNC, ACKNOWLEDGED = 1, 2, 3, 4
HEAD = struct.Struct("<BBHIq")
SECTOR = 512
N_CUTS = 30


@dataclasses.dataclass
class Operation:
    """One line of the shim's log."""

    kind: int
    file: str
    offset: int
    data: bytes


def read_log(path: Path) -> Iterator[Operation]:
    content = path.read_bytes()
    place = 0
    while place < len(content):
        kind, length, _, size, offset = HEAD.unpack_from(content, place)
        place += HEAD.size
        name = content[place : place + length].decode()
        place += length
        if not name.endswith("-shm"):  # rebuilt by whoever opens the store
            yield Operation(kind, name, offset, content[place : place + size])
        place += size


def apply(disk: bytearray, operation: Operation) -> None:
    if operation.kind == TRUNCATE:
        disk[:] = disk[: operation.offset].ljust(operation.offset, b"\0")
    else:
        if len(disk) < operation.offset:
            disk.extend(bytes(operation.offset - len(disk)))
        disk[operation.offset : operation.offset + len(operation.data)] = operation.data


class Disk:
    """The files as they are on the platters, and what the machine has not yet been told to keep."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.kept = {name: bytearray(content) for name, content in files.items()}
        self.pending: dict[str, list[Operation]] = {}

    def do(self, operation: Operation) -> None:
        waiting = self.pending.setdefault(operation.file, [])
        if operation.kind == SYNC:
            for earlier in waiting:
                apply(self.kept.setdefault(operation.file, bytearray()), earlier)
            waiting.clear()
        else:
            waiting.append(operation)

    def lose_power(self, chance: random.Random, folder: Path) -> None:
        """Write the files as they may be found afterwards."""
        share = chance.choice([0.0, 1.0, 0.5, 0.9])
        for name in {*self.kept, *self.pending}:
            found = bytearray(self.kept.get(name, b""))
            for operation in self.pending.get(name, []):
                if operation.kind == TRUNCATE and chance.random() < share:
                    apply(found, operation)
                for start in range(0, len(operation.data), SECTOR):
                    if chance.random() < share:
                        part = operation.data[start : start + SECTOR]
                        apply(found, Operation(WRITE, name, operation.offset + start, part))
            (folder / name).write_bytes(found)


def test_power_goes(tmp_path: Path, shim: Callable[[str], Path], power: Any) -> None:
    """At every cut the database is whole and holds all acknowledged points, in order, and none made up."""
    home, log = tmp_path / "home", tmp_path / "disk.log"
    home.mkdir()
    url = f"sqlite:///{home}/deepevent.db"
    db = connection.open_database(url)
    migrate.upgrade(db)
    db.close()
    before = {path.name: path.read_bytes() for path in home.glob("deepevent.db*") if path.suffix != ".db-shm"}
    log.touch()
    run, script = new_id(), Path(__file__).with_name("power_child.py")
    subprocess.run(
        [sys.executable, str(script), url, run, new_id(), str(log)],
        env={**os.environ, "LD_PRELOAD": str(shim("disk_shim.c")), "FAULT_DISK_LOG": str(log)},
        check=True,
        timeout=120,
    )
    operations = list(read_log(log))
    acknowledgements = [n for n, operation in enumerate(operations) if operation.kind == ACKNOWLEDGED]
    checkpoints = {o.offset for o in operations if o.file == "deepevent.db" and o.kind == WRITE}
    assert len(acknowledgements) == power.N_BATCHES
    assert len(checkpoints) > 100, "the write-ahead log went over into the file at least once"
    logged = [power.value_of(step) for step in range(power.N_BATCHES * power.POINTS_PER_BATCH)]
    chance = random.Random(11)
    cuts = {chance.randrange(acknowledgements[0], len(operations)) for _ in range(N_CUTS)}
    cuts |= {n + 1 for n in chance.sample(acknowledgements, 5)}
    disk, acknowledged = Disk(before), 0
    for number, operation in enumerate(operations):
        if number in cuts:
            found = tmp_path / f"cut-{number}"
            found.mkdir()
            disk.lose_power(chance, found)
            check(found, run, acknowledged, logged)
        if operation.kind == ACKNOWLEDGED:
            acknowledged = operation.offset
        else:
            disk.do(operation)


def check(folder: Path, run: str, acknowledged: int, logged: list[float]) -> None:
    """Open what was found after the power came back."""
    db = connection.open_database(f"sqlite:///{folder}/deepevent.db")
    try:
        assert inspection.integrity(db) == []
        assert inspection.gaps(db) == []
        points = curves.read_points(db, run, "value")
        assert len(points.steps) >= acknowledged
        assert points.steps.tolist() == list(range(len(points.steps)))
        assert points.values.tolist() == logged[: len(points.steps)]
    finally:
        db.close()


def test_the_replay_finds_a_store_that_does_not_sync(tmp_path: Path) -> None:
    """What was never synced may be gone: the replay is able to lose something."""
    disk = Disk({"a": b"old"})
    disk.do(Operation(WRITE, "a", 0, b"new"))
    disk.do(Operation(WRITE, "b", 0, b"synced"))
    disk.do(Operation(SYNC, "b", 0, b""))
    found = set()
    for seed in range(20):
        disk.lose_power(random.Random(seed), tmp_path)
        found.add((tmp_path / "a").read_bytes())
        assert (tmp_path / "b").read_bytes() == b"synced"
    assert found == {b"old", b"new"}
