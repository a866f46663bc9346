"""The engine that runs attempts as processes of this machine, each below a supervisor of its own.

Must not know the server or the queue. What keeps a job's processes together, and ends all of them, is in
`supervisor.py`; this side starts it, passes on wishes and signs of life, and hands over what the job prints.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from deepevent_trainer.engines import Outcome, ReadOutput, Task
from deepevent_trainer.engines.cgroups import create_groups, remove_groups

SUPERVISOR = Path(__file__).with_name("supervisor.py")
MARK = "DEEPEVENT_ATTEMPT"
"""Names an attempt in the environment of all its processes: the last way to find them."""
DRAIN_S = 5.0


class LocalExecution:
    """One supervisor process and the threads that listen to it."""

    def __init__(
        self, task: Task, read_output: ReadOutput, on_end: Callable[[], None], detached: bool = False
    ) -> None:
        self._task = task
        self._outcome: Outcome | None = None
        self._line_lock = threading.Lock()
        task.records.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(  # noqa: S603 - the supervisor alone; the job's command travels as JSON
            [sys.executable, "-I", "-S", str(SUPERVISOR), *(["--detached"] if detached else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr  # noqa: S101
        self._line = self._process.stdin
        self._groups = create_groups(task.records.name, task.memory_mb)
        text = json.dumps({**_describe(task), "cgroups": self._groups}).encode()
        with contextlib.suppress(OSError):
            self._line.write(b"%010d" % len(text) + text)
            self._line.flush()
        os.set_blocking(self._line.fileno(), False)
        readers = [
            threading.Thread(
                target=_read, args=(name, stream, read_output), name=f"{task.name} {name}", daemon=True
            )
            for name, stream in (("stdout", self._process.stdout), ("stderr", self._process.stderr))
        ]
        for reader in readers:
            reader.start()
        threading.Thread(
            target=self._wait, args=(readers, on_end), name=f"{task.name} end", daemon=True
        ).start()

    @property
    def process(self) -> int:
        """The supervisor's process number."""
        return self._process.pid

    def outcome(self) -> Outcome | None:
        """Give the end, or None while any process of the job is left."""
        return self._outcome

    def stop(self) -> None:
        """Ask for the end: SIGTERM to the job's process group, SIGKILL to all after the grace time."""
        self._write(b"s")

    def kill(self) -> None:
        """End all of it now."""
        self._write(b"k")

    def beat(self) -> None:
        """Tell the supervisor that the agent lives."""
        self._write(b"b")

    def _write(self, letter: bytes) -> None:
        with self._line_lock, contextlib.suppress(OSError, ValueError):
            os.write(self._line.fileno(), letter)

    def _wait(self, readers: list[threading.Thread], on_end: Callable[[], None]) -> None:
        self._process.wait()
        outcome = read_outcome(self._task.records)
        if outcome is None:
            end_marked(self._task.environment.get(MARK, ""))
            outcome = Outcome("failed", None, "its supervisor was killed")
            remove_groups(self._groups)
        for reader in readers:
            reader.join(DRAIN_S)
        with self._line_lock:
            self._line.close()
        self._outcome = outcome
        on_end()


class LocalEngine:
    """Runs attempts here.

    Args:
        detached: the supervisor is no child of this process, which something else may end children and all:
            it then still ends the job in an orderly way.
    """

    def __init__(self, detached: bool = False) -> None:
        self._detached = detached

    def start(self, task: Task, read_output: ReadOutput, on_end: Callable[[], None]) -> LocalExecution:
        """Start an attempt below its own supervisor."""
        return LocalExecution(task, read_output, on_end, self._detached)

    def close(self) -> None:
        """Nothing is held between attempts."""


def end_marked(mark: str) -> None:
    """Kill every process that carries this mark: used where a supervisor was killed from outside."""
    wanted = f"{MARK}={mark}".encode()
    for folder in Path("/proc").iterdir():
        if mark and folder.name.isdigit():
            with contextlib.suppress(OSError):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    os.kill(int(folder.name), signal.SIGKILL)


def _describe(task: Task) -> dict[str, object]:
    environment = dict(task.environment)
    environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, task.gpus))
    return {
        "command": list(task.command),
        "folder": str(task.folder),
        "records": str(task.records),
        "environment": environment,
        "memory_mb": task.memory_mb,
        "time_limit_s": task.time_limit_s,
        "grace_s": task.grace_s,
        "silence_s": task.silence_s,
    }


def _read(name: str, stream: IO[bytes], read_output: ReadOutput) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with stream:
        while piece := os.read(stream.fileno(), 65_536):
            read_output(name, decoder.decode(piece))
    if rest := decoder.decode(b"", final=True):
        read_output(name, rest)


def read_outcome(records: Path) -> Outcome | None:
    """Return what an attempt's supervisor has left in its folder, if anything."""
    try:
        table = json.loads((records / "outcome.json").read_text())
    except (OSError, ValueError):
        return None
    return Outcome(table["state"], table["exit_code"], table["reason"])
