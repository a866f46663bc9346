"""What a run says of its surroundings: environment, load of the machine, output of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import deepevent
from deepevent import capture
from deepevent.machine import Machine, ProcSource, PsutilSource
from deepevent.output import BURST_LINES, LINE_LIMIT, OutputLines


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit on the branch `trunk`."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-b", "trunk")
    (folder / "train.py").write_text("lr = 0.1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    git(folder, "remote", "add", "origin", "https://me:secret@example.org/it.git")
    return folder


def test_a_clean_repository(repository: Path) -> None:
    """Commit and branch are known, the address without its password, and there is no diff."""
    facts, diff = capture.git_facts(str(repository))
    assert len(str(facts["commit"])) == 40
    assert facts["branch"] == "trunk"
    assert facts["dirty"] is False
    assert facts["remote"] == "https://example.org/it.git"
    assert diff == b""


def test_uncommitted_changes(repository: Path) -> None:
    """Changes of tracked files are in the diff; one that is too large is measured and left out."""
    (repository / "train.py").write_text("lr = 0.2\n")
    facts, diff = capture.git_facts(str(repository))
    assert facts["dirty"] is True
    assert b"+lr = 0.2" in diff
    (repository / "train.py").write_text("x" * (capture.DIFF_LIMIT_BYTES + 1))
    facts, diff = capture.git_facts(str(repository))
    assert int(str(facts["diff_bytes"])) > capture.DIFF_LIMIT_BYTES
    assert diff == b""


def test_no_repository(tmp_path: Path) -> None:
    """Where there is no repository, nothing is said of one."""
    assert capture.git_facts(str(tmp_path)) == ({}, b"")


def test_the_run_has_its_environment(
    home: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, read_events: Callable[..., Any]
) -> None:
    """A run knows its commit, changes, packages and machine a moment after its start."""
    monkeypatch.setenv("DEEPEVENT_CAPTURE", "1")
    monkeypatch.chdir(repository)
    (repository / "train.py").write_text("lr = 0.2\n")
    run = deepevent.start()
    folder = run.folder
    run.finish()
    events = read_events(folder)
    (environment,) = (event for event in events if event["type"] == "environment")
    values = environment["values"]
    assert environment["fills"] is False
    assert values["git"]["branch"] == "trunk"
    assert values["packages"]["deepevent-monitor"]
    assert values["machine"]["cpu_count"] == os.cpu_count()
    (diff,) = (event for event in events if event["type"] == "artifact")
    assert b"+lr = 0.2" in (Path(folder) / "blobs" / diff["blob"]).read_bytes()
    assert events[-1]["type"] == "finish"


def test_start_does_not_wait(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that never answers holds up neither the start nor a log call, and the end for a second."""
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (slow / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}:{os.environ['PATH']}")
    monkeypatch.setenv("DEEPEVENT_CAPTURE", "1")
    monkeypatch.setattr(capture, "GIT_TIMEOUT_S", 2.0)
    run = deepevent.start()
    observer = run._observer
    assert observer is not None
    assert not observer._captured.is_set()
    run.log({"a": 1.0})
    run.finish()
    observer._thread.join(30)
    assert not observer._thread.is_alive()
    assert not (Path(run.folder) / "blobs").exists()


def test_system_numbers_leave_the_steps_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch, read_points: Callable[[str], Any]
) -> None:
    """Samples of the machine are points of the run, and the script's own count of steps goes on as it was."""
    monkeypatch.setenv("DEEPEVENT_SYSTEM_INTERVAL", "0.01")
    run = deepevent.start()
    journal: Any = run._journal
    before = journal.next_sequence
    while journal.next_sequence < before + 6:
        run.flush(0.01)
    run.log({"a": 1.0})
    run.log({"a": 2.0})
    folder = run.folder
    run.finish()
    points = read_points(folder)
    assert [step for step, values in points if "a" in values] == [0, 1]
    samples = [(step, values) for step, values in points if "a" not in values]
    assert [step for step, _ in samples] == list(range(len(samples)))
    assert all(name.startswith("system/") for _, values in samples for name in values)
    assert 0 < samples[-1][1]["system/memory_percent"] < 100


@pytest.mark.parametrize("source", [ProcSource, PsutilSource])
def test_both_sources_measure_the_same(source: Callable[[], Any]) -> None:
    """Counters rise, shares lie between 0 and 100 %, and work done shows as time of the process."""
    if source is PsutilSource:
        pytest.importorskip("psutil")
    times = iter([0.0, 2.0])
    machine = Machine(source(), clock=lambda: next(times))
    sum(i * i for i in range(2_000_000))
    values = machine.sample()
    machine.close()
    assert values["system/process_cpu_percent"] > 0
    assert 0 <= values["system/cpu_percent"] <= 100
    assert values["system/process_memory_bytes"] > 1 << 20
    assert values["system/network_sent_bytes_per_s"] >= 0


def test_a_container_that_hides_proc(tmp_path: Path) -> None:
    """Counters that this kernel does not show are left out, and the rest is there."""
    (tmp_path / "stat").write_text("cpu  1 2 3 4 5 6 7 8 9 10\n")
    source = ProcSource(str(tmp_path))
    assert set(source.counters()) == {"cpu", "cpu_idle"}
    assert source.levels() == {}


def lines_of(*pieces: str, clock: Callable[[], float] = lambda: 0.0) -> tuple[list[str], OutputLines]:
    kept: list[str] = []
    lines = OutputLines(lambda _, text: kept.append(text), clock)
    for piece in pieces:
        lines.take("stdout", piece)
    return kept, lines


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (("a", "b\nc", "\n"), ["ab\n", "c\n"]),
        (("10%\r20%\r", "100%\n"), ["100%\n"]),
        (("10%\r20%\r",), ["20%\n"]),
        (("windows\r\n",), ["windows\n"]),
        (("\x1b[1mbold\x1b[0m\n",), ["\x1b[1mbold\x1b[0m\n"]),
        (("x" * (LINE_LIMIT + 5), "y\n"), ["x" * LINE_LIMIT + "\n"]),
        ((), []),
    ],
)
def test_lines(pieces: tuple[str, ...], expected: list[str]) -> None:
    """Lines are whole and bounded; of a progress bar the last state is kept, and escapes are data."""
    kept, lines = lines_of(*pieces)
    lines.close()
    assert kept == expected


def test_a_flood_is_bounded() -> None:
    """A program that prints without end is cut, and the run says by how much."""
    kept, lines = lines_of("line\n" * int(BURST_LINES + 100))
    lines.close()
    assert len(kept) == BURST_LINES + 1
    assert "100 lines" in kept[-1]


def test_captured_output(
    home: Path, capsys: pytest.CaptureFixture[str], read_events: Callable[..., Any]
) -> None:
    """`start(capture_output=True)` logs prints line by line, and the terminal gets them as before."""
    before = sys.stdout
    run = deepevent.start(capture_output=True)
    print("one", end="")
    print(" line")
    print("problem", file=sys.stderr)
    folder = run.folder
    run.finish()
    print("after")
    assert sys.stdout is before
    assert capsys.readouterr().out == "one line\nafter\n"
    logged = [(e["stream"], e["text"]) for e in read_events(folder) if e["type"] == "log"]
    assert logged == [("stdout", "one line\n"), ("stderr", "problem\n")]


def test_a_forked_child_that_prints(home: Path) -> None:
    """What a forked child prints makes no writer of it."""
    script = (
        "import os, sys, deepevent\n"
        "run = deepevent.start(capture_output=True)\n"
        "if os.fork() == 0:\n    print('child', flush=True)\n    os._exit(0)\n"
        "os.wait()\nprint('parent')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "child\nparent\n"
    assert len(list(home.glob("spool/*/*"))) == 1
