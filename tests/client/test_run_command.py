"""`deepevent run`: a command as a run, in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMAND = str(Path(sys.executable).with_name("deepevent"))


def run_it(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([COMMAND, "run", *words], capture_output=True, timeout=60, check=False, **options)


@pytest.fixture
def events(home: Path, read_events: Callable[..., Any]) -> Callable[[], list[dict[str, Any]]]:
    """Every event in the spool, writer by writer."""

    def read() -> list[dict[str, Any]]:
        folders = sorted(home.glob("spool/*/*"), key=lambda path: path.name)
        return [event for folder in folders for event in read_events(str(folder))]

    return read


def of_type(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == kind]


def test_output_goes_on_and_into_the_run(events: Any) -> None:
    """What a command prints comes out where it did before, byte for byte, and line by line in the run."""
    script = (
        r"import sys; sys.stdout.buffer.write(b'a\x1b[31mred\x1b[0m\n\xff\nlast'); sys.stderr.write('oh\n')"
    )
    done = run_it("--name", "it", "--project", "p", "--tag", "x", "--", sys.executable, "-c", script)
    assert done.returncode == 0
    assert done.stdout == b"a\x1b[31mred\x1b[0m\n\xff\nlast"
    assert done.stderr.endswith(b"oh\n")
    logged = of_type(events(), "log")
    out = [event["text"] for event in logged if event["stream"] == "stdout"]
    assert out == ["a\x1b[31mred\x1b[0m\n", "\ufffd\n", "last\n"]
    assert [event["text"] for event in logged if event["stream"] == "stderr"] == ["oh\n"]
    (run,) = of_type(events(), "run")
    assert (run["name"], run["project"], run["tags"]) == ("it", "p", ["x"])
    assert run["argv"][:2] == [sys.executable, "-c"]


@pytest.mark.parametrize(
    ("script", "code", "status"),
    [
        ("exit 0", 0, "completed"),
        ("exit 3", 3, "failed"),
        ("kill -TERM $$", 143, "stopped"),
        ("kill -KILL $$", 137, "failed"),
    ],
)
def test_the_exit_code_is_the_status(events: Any, script: str, code: int, status: str) -> None:
    """The command's exit code is ours, and the run ends as it says; a signal counts 128 on."""
    assert run_it("--", "sh", "-c", script).returncode == code
    (finish,) = of_type(events(), "finish")
    assert finish["status"] == status
    assert (finish["traceback"] is not None) == (status == "failed")


def test_a_failure_has_its_traceback(events: Any) -> None:
    """The last traceback that a Python program printed is the run's, with the exit code behind it."""
    script = "import sys\nprint('noise', file=sys.stderr)\nraise ValueError('too big')"
    assert run_it("--", sys.executable, "-c", script).returncode == 1
    (finish,) = of_type(events(), "finish")
    assert finish["traceback"].startswith("Traceback (most recent call last):")
    assert finish["traceback"].endswith("ValueError: too big\nexit code 1\n")


@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), (os.devnull, 126)])
def test_a_command_that_cannot_start(events: Any, command: str, code: int) -> None:
    """A program that does not exist is one sentence, the shell's exit code, and a run that failed."""
    done = run_it("--", command)
    assert done.returncode == code
    assert b"could not be started" in done.stderr
    assert b"Traceback" not in done.stderr
    assert of_type(events(), "finish")[0]["status"] == "failed"


def test_children_join(events: Any, home: Path) -> None:
    """`start()` and `deepevent log` inside the command log to its run, and only the command ends it."""
    inside = "import deepevent; run = deepevent.start(config={'lr': 1}); run.log({'a': 1.0}); run.finish()"
    script = f'{sys.executable} -c "{inside}" && {COMMAND} log b=2'
    assert run_it("--", "sh", "-c", script).returncode == 0
    assert len(list(home.glob("spool/*"))) == 1
    assert len(list(home.glob("spool/*/*"))) == 3
    assert [event["status"] for event in of_type(events(), "finish")] == ["completed"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_are_passed_on(events: Any, number: signal.Signals) -> None:
    """A signal that we get is the command's; what it makes of it is the result."""
    script = "import signal,sys\nsignal.signal(%d, lambda *_: sys.exit(7))\nprint('ready')\nsignal.pause()"
    process = subprocess.Popen(
        [COMMAND, "run", "--", sys.executable, "-c", script % number],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    process.stdout.close()
    assert process.wait(30) == 7
    assert of_type(events(), "finish")[0]["status"] == "failed"


def test_a_reader_that_leaves(home: Path) -> None:
    """When nobody reads our output any more, the command notices it as it would without us."""
    script = f"{COMMAND} run -- sh -c 'while echo y; do :; done 2>/dev/null' | head -1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, timeout=60, check=False)
    assert done.stdout == b"y\n"


def test_what_stays_behind_holds_nothing_up(home: Path) -> None:
    """A background process that keeps the output open does not keep the run open."""
    assert run_it("--", "sh", "-c", "sleep 300 & echo $!").returncode == 0


def test_output_is_live(home: Path, ingest_server: Any) -> None:
    """A line is on the server while the command still runs."""
    ingest_server.announce(home)
    script = "import sys; print('first'); sys.stdin.read()"
    with subprocess.Popen(
        [COMMAND, "run", "--", sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        ingest_server.wait_for(lambda: any(e["text"] == "first\n" for e in ingest_server.events("log")))
        assert process.poll() is None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_disabled_monitor_runs_the_command(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With monitoring disabled the command runs as it is."""
    monkeypatch.setenv("DEEPEVENT_MODE", "disabled")
    done = run_it("--", "sh", "-c", "echo out; exit 4")
    assert (done.returncode, done.stdout) == (4, b"out\n")
    assert list(home.iterdir()) == []


def test_no_command(home: Path) -> None:
    """Without a command there is a sentence and exit code 2."""
    done = run_it("--name", "x", "--")
    assert done.returncode == 2
    assert b"no command" in done.stderr
