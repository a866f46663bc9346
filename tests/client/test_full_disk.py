"""A disk, quota or home that takes nothing: bounded memory, one sentence, an honest count, no exception."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import deepevent
from deepevent import recordwriter as writer_module
from deepevent.journal import Journal
from deepevent.spoolroom import SpoolRoom, spool_size

MakeJournal = Callable[..., Journal]
ReadPoints = Callable[[str], list[tuple[int, dict[str, float]]]]
ReadEvents = Callable[..., list[dict[str, Any]]]


class Room(SpoolRoom):
    """A quota that a test opens and closes."""

    def __init__(self) -> None:
        self.is_open = True

    def take(self, size_bytes: int) -> None:
        if not self.is_open:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(autouse=True)
def try_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is tried again at each chance, so that no test waits for it."""
    monkeypatch.setattr(writer_module, "RETRY_INTERVAL_S", 0.0)


def test_points_wait_in_memory_for_room(
    make_journal: MakeJournal,
    read_points: ReadPoints,
    read_events: ReadEvents,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """While the disk is full, calls wait in memory, in order; with room again, all of them are written."""
    room = Room()
    journal = make_journal(segment_size=4096, room=room)
    room.is_open = False
    for step in range(3000):
        journal.log({"a": float(step)}, step)
    assert 2800 < journal.n_waiting < 3000
    room.is_open = True
    for _ in range(10):
        journal.tend()
    assert journal.n_waiting == 0
    journal.log({"a": -1.0}, 3000)
    assert [step for step, _ in read_points(journal.folder)] == list(range(3001))
    assert not [event for event in read_events(journal.folder) if event["type"] == "dropped"]
    assert capsys.readouterr().err.count("takes no more points") == 1


def test_what_does_not_fit_memory_is_counted(
    make_journal: MakeJournal, read_points: ReadPoints, read_events: ReadEvents
) -> None:
    """The newest calls are kept, and the number of values that were not is told to the server."""
    room = Room()
    journal = make_journal(segment_size=4096, room=room)
    journal._ring.limit = 100
    room.is_open = False
    for step in range(1000):
        journal.log({"a": float(step), "b": 0.0}, step)
    room.is_open = True
    journal.tend()
    points = read_points(journal.folder)
    assert [step for step, _ in points][-100:] == list(range(900, 1000))
    (dropped,) = (event for event in read_events(journal.folder) if event["type"] == "dropped")
    assert dropped["count"] == 2 * (1000 - len(points))
    assert dropped["reason"] == "No space left on device"


def test_a_run_that_starts_on_a_full_disk(
    make_journal: MakeJournal, read_points: ReadPoints, read_events: ReadEvents
) -> None:
    """Its first event is its first record, however late there is room."""
    room = Room()
    room.is_open = False
    journal = make_journal(segment_size=4096, room=room)
    journal.log({"a": 1.0}, 1)
    journal.append_event({"type": "alert"})
    room.is_open = True
    journal.tend()
    assert [event["type"] for event in read_events(journal.folder)] == ["run", "alert"]
    assert read_points(journal.folder) == [(1, {"a": 1.0})]


def test_the_end_writes_what_waits(make_journal: MakeJournal, read_points: ReadPoints) -> None:
    """The end of a run tries once more."""
    room = Room()
    room.is_open = False
    journal = make_journal(segment_size=4096, room=room)
    for step in range(2000):
        journal.log({"a": 1.0}, step)
    room.is_open = True
    journal.seal()
    assert len(read_points(journal.folder)) == 2000


def test_the_end_on_a_full_disk_is_said(
    make_journal: MakeJournal, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is lost is said with its number and reason."""
    room = Room()
    journal = make_journal(segment_size=4096, room=room)
    room.is_open = False
    for step in range(500):
        journal.log({"a": 1.0}, step)
    n_waiting = journal.n_waiting
    journal.seal()
    assert f"{n_waiting} log calls were lost: No space left on device" in capsys.readouterr().err


def test_the_spool_limit(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The spool of a home takes no more than DEEPEVENT_SPOOL_LIMIT, and the script is told how to go on."""
    monkeypatch.setenv("DEEPEVENT_SPOOL_LIMIT", "3MiB")
    run = deepevent.start()
    for step in range(120_000):
        run.log({"a": float(step)}, step)
    assert spool_size(str(home / "spool")) <= 3 << 20
    run.finish()
    said = capsys.readouterr().err
    assert said.count("limit of 3145728 bytes is reached") >= 1
    assert "DEEPEVENT_SPOOL_LIMIT" in said


def test_a_home_that_cannot_be_written(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The spool goes to the temporary folder then, and the script is told how its points are sent."""
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    elsewhere = tmp_path / "tmp"
    elsewhere.mkdir()
    monkeypatch.setenv("DEEPEVENT_HOME", str(in_the_way / "home"))
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    run = deepevent.start()
    run.log({"a": 1.0})
    run.log_text("t", "text")
    assert Path(run.folder).is_relative_to(elsewhere)
    run.finish()
    assert "deepevent sync --home" in capsys.readouterr().err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_real_full_disk(
    small_disk: Path, home: Path, monkeypatch: pytest.MonkeyPatch, read_points: ReadPoints
) -> None:
    """On a file system that fills up, the script goes on, and with room again nothing is lost."""
    monkeypatch.setenv("DEEPEVENT_HOME", str(small_disk))
    monkeypatch.setattr(writer_module, "RETRY_INTERVAL_S", 1.0)
    run = deepevent.start()
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(65_536))
            file.flush()
    for step in range(60_000):
        run.log({"a": float(step)}, step)
    run.log_image("i", b"\x89PNG\r\n\x1a\n" + bytes(300_000))
    ballast.unlink()
    folder = run.folder
    run.finish()
    points = read_points(folder)
    assert [step for step, _ in points] == list(range(60_000))
