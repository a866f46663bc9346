"""How a process ends: every call that returned is on disk, and the exit code is the script's."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ReadPoints = Callable[[str], list[tuple[int, dict[str, float]]]]
ReadEvents = Callable[[str], list[dict[str, Any]]]

HEAD = "import atexit, os, signal, sys, threading, time\nimport deepevent\nrun = deepevent.start()\n"


def run_script(body: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a script that has a run; gives what became of it, and the lines that it printed."""
    script = HEAD + "print(run.folder, flush=True)\n" + body
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=_hear_ctrl_c)
    return done, done.stdout.splitlines()


def _hear_ctrl_c() -> None:
    """Where the tests themselves run in the background of a shell, a script is born deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("pause_s", [0.0, 0.3])
def test_ctrl_c_ends_the_script_as_it_would_without_us(home: Path, pause_s: float) -> None:
    """A script that SIGINT ends dies by SIGINT, however early: a shell loop around it ends, too.

    Python keeps that in a flag that any `eval` of text takes back, and modules that are imported at the end
    hold some.
    """
    del home
    done, _ = run_script(f"time.sleep({pause_s})\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)")
    assert done.returncode == -signal.SIGINT, done.stderr


def test_threads_still_log_at_the_end(home: Path, read_points: ReadPoints) -> None:
    """Daemon threads in the middle of their calls lose none that returned, and crash nothing."""
    done, lines = run_script(
        """
counts = [0] * 3
def work(number):
    while True:
        run.log({f"t{number}": float(counts[number])}, counts[number])
        counts[number] += 1
for number in range(3):
    threading.Thread(target=work, args=(number,), daemon=True).start()
while min(counts) < 500:
    time.sleep(0.001)
print(*counts, flush=True)
"""
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    points = read_points(lines[0])
    for number, count in enumerate(map(int, lines[1].split())):
        steps = [step for step, values in points if f"t{number}" in values]
        assert steps == list(range(len(steps)))
        assert len(steps) >= count


def test_a_thread_that_outlives_main_is_heard_to_its_end(home: Path, read_points: ReadPoints) -> None:
    """Python waits for ordinary threads before the end of the run, and so their last call counts."""
    done, lines = run_script(
        """
def work():
    for step in range(50):
        run.log({"late": float(step)}, step)
        time.sleep(0.002)
    sys.exit(5)
threading.Thread(target=work).start()
"""
    )
    assert done.returncode == 0, done.stderr
    assert [step for step, _ in read_points(lines[0])] == list(range(50))


def test_a_run_is_open_in_exit_handlers_that_came_later(home: Path, read_points: ReadPoints) -> None:
    """Handlers registered after start() come before the run's end, others after it: both do no harm."""
    script = (
        "import atexit\n"
        "def last():\n    deepevent.log({'after': 1.0}); print('still here', flush=True)\n"
        "atexit.register(last)\n"
        + HEAD
        + "print(run.folder, flush=True)\natexit.register(lambda: run.log({'before': 1.0}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    folder, said = done.stdout.splitlines()
    assert said == "still here"
    assert [values for _, values in read_points(folder)] == [{"before": 1.0}]
    assert "Traceback" not in done.stderr


def test_os_exit_loses_no_point(home: Path, read_points: ReadPoints, read_events: ReadEvents) -> None:
    """A process that ends without any clean-up leaves every point in its file, and its run open."""
    done, lines = run_script("for step in range(1000): run.log({'a': 1.0}, step)\nos._exit(7)")
    assert done.returncode == 7
    assert [step for step, _ in read_points(lines[0])] == list(range(1000))
    assert not [event for event in read_events(lines[0]) if event["type"] == "finish"]


def test_a_signal_handler_that_raises_ends_the_run(home: Path, read_events: ReadEvents) -> None:
    """KeyboardInterrupt out of a script's own handler, in the middle of a log call, is a stop as any."""
    done, lines = run_script(
        """
def stop(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, stop)
signal.setitimer(signal.ITIMER_REAL, 0.05)
step = 0
while True:
    run.log({"a": 1.0, "b": 2.0}, step)
    step += 1
"""
    )
    assert done.returncode == -signal.SIGINT
    (finish,) = [event for event in read_events(lines[0]) if event["type"] == "finish"]
    assert finish["status"] == "stopped"
