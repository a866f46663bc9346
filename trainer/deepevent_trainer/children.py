"""Commands of ours as processes that end with the one that started them, even by kill -9.

The kernel sends a child SIGTERM when its parent has died (PR_SET_PDEATHSIG), so it still ends in an orderly
way. Start children from a thread that lives as long as the program: the kernel looks at the thread. Knows
processes only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
# How this program's commands are run in another process, whatever is on the PATH.
COMMAND = (sys.executable, "-c", "from deepevent.cli import main; raise SystemExit(main())")
_FOLLOWING = (
    "import sys; from deepevent_trainer.children import follow; follow(int(sys.argv.pop(1))); "
    "from deepevent.cli import main; raise SystemExit(main())"
)


def start(arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `deepevent ARGUMENTS…`, which ends with this process and writes all it says into `log`.

    It has a session of its own, so that a Ctrl-C of the terminal reaches this process alone.
    """
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own command, no shell
            [sys.executable, "-c", _FOLLOWING, str(os.getpid()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )


def follow(parent: int) -> None:
    """Ask the kernel to end this process, in an orderly way, when `parent` dies; Linux only."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it had died before the kernel was asked
            raise SystemExit(1)


def end(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Ask it to end, and kill it when it has not after `timeout_s`."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def last_words(log: Path) -> str:
    """Return the last line that a child has said."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"it said nothing (see {log})"
