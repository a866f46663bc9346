"""The local engine ends every process of a job, whatever the job does; real processes throughout."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepevent_trainer.engines import Outcome, Task
from deepevent_trainer.engines.local import MARK, LocalEngine, LocalExecution

WAIT_S = 60


class Attempt:
    """One started attempt, its output, and events for what a test waits for."""

    def __init__(self, folder: Path, script: str, **limits: Any) -> None:
        self.mark = f"{folder.name}-{os.getpid()}"
        environment = {"PATH": os.environ["PATH"], MARK: self.mark, "SECRET_SEEN": "no"}
        task = Task(
            name="test",
            command=(sys.executable, "-c", textwrap.dedent(script)),
            folder=folder,
            records=folder / "records",
            environment=environment,
            **limits,
        )
        self.text = ""
        self.printed = threading.Condition()
        self.ended = threading.Event()
        self.execution: LocalExecution = LocalEngine().start(task, self.read, self.ended.set)

    def read(self, _stream: str, text: str) -> None:
        with self.printed:
            self.text += text
            self.printed.notify_all()

    def wait_for(self, words: str) -> None:
        with self.printed:
            assert self.printed.wait_for(lambda: words in self.text, WAIT_S), self.text

    def end(self) -> Outcome:
        assert self.ended.wait(WAIT_S)
        outcome = self.execution.outcome()
        assert outcome is not None
        return outcome

    def left(self) -> list[int]:
        """Processes that still carry this attempt's mark."""
        found = []
        for folder in Path("/proc").iterdir():
            try:
                if (
                    folder.name.isdigit()
                    and f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes()
                ):
                    found.append(int(folder.name))
            except OSError:
                continue
        return found


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Attempt]:
    def start(script: str, **limits: Any) -> Attempt:
        return Attempt(tmp_path, script, **limits)

    return start


STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
"""
DOUBLE_FORK = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("hidden", flush=True)
        time.sleep(600)
    os._exit(0)
os.wait()
"""


def test_exit_code_makes_the_state(start: Callable[..., Attempt]) -> None:
    """0 is completed; anything else is failed, with the code."""
    assert start("print('done')").end() == Outcome("completed", 0, "")
    outcome = start("raise SystemExit(3)").end()
    assert (outcome.state, outcome.exit_code) == ("failed", 3)
    assert "exit code 3" in outcome.reason


def test_output_of_both_streams_arrives(start: Callable[..., Attempt]) -> None:
    """What the job printed is there in full by the time it has ended."""
    attempt = start("import sys; print('é' * 100_000); print('to stderr', file=sys.stderr)")
    attempt.end()
    assert attempt.text.count("é") == 100_000
    assert "to stderr" in attempt.text


def test_environment_is_the_given_one(start: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's own variables do not leak into a job; GPUs are hidden from a job that has none."""
    monkeypatch.setenv("AGENT_SECRET", "hunter2")
    attempt = start("import os; print(sorted(os.environ), repr(os.environ['CUDA_VISIBLE_DEVICES']))")
    attempt.end()
    assert "AGENT_SECRET" not in attempt.text
    assert "SECRET_SEEN" in attempt.text
    assert attempt.text.rstrip().endswith("''")


def test_missing_program_is_a_failure_with_its_name(tmp_path: Path) -> None:
    """A command that does not exist fails the job and says so in its output."""
    text: list[str] = []
    ended = threading.Event()
    task = Task("t", ("/no/such/program",), tmp_path, tmp_path / "records", {})
    execution = LocalEngine().start(task, lambda _, piece: text.append(piece), ended.set)
    assert ended.wait(WAIT_S)
    assert execution.outcome() == Outcome("failed", 127, "it ended with exit code 127")
    assert "/no/such/program" in "".join(text)


def test_stop_lets_a_job_save_its_work(start: Callable[..., Attempt]) -> None:
    """SIGTERM comes first, and what the job does within its grace time is done."""
    attempt = start(
        """
        import os, signal, sys, time
        def save(*_):
            os.write(1, b"saved\\n"); sys.exit(0)  # print is no call for a handler: it may be in one already
        signal.signal(signal.SIGTERM, save)
        print("ready", flush=True)
        time.sleep(600)
        """
    )
    attempt.wait_for("ready")
    attempt.execution.stop()
    assert attempt.end() == Outcome("stopped", 0, "")
    assert "saved" in attempt.text


def test_job_that_ignores_sigterm_is_killed(start: Callable[..., Attempt]) -> None:
    """After the grace time comes SIGKILL."""
    attempt = start(STUBBORN + "print('ready', flush=True); time.sleep(600)", grace_s=0.3)
    attempt.wait_for("ready")
    attempt.execution.stop()
    assert attempt.end() == Outcome("stopped", -signal.SIGKILL, "")
    assert attempt.left() == []


def test_double_forked_process_is_found(start: Callable[..., Attempt]) -> None:
    """A process with a session of its own ends with the job, both on stop and after a normal end."""
    attempt = start(DOUBLE_FORK + "time.sleep(600)", grace_s=0.3)
    attempt.wait_for("hidden")
    attempt.execution.stop()
    assert attempt.end().state == "stopped"
    assert attempt.left() == []
    attempt = start(DOUBLE_FORK)
    attempt.wait_for("hidden")
    assert attempt.end() == Outcome("completed", 0, "")
    assert attempt.left() == []


def test_forking_without_end_is_ended(start: Callable[..., Attempt]) -> None:
    """Processes that replace themselves faster than one can look are frozen first, then killed."""
    script = STUBBORN + textwrap.dedent(
        """
        print("ready", flush=True)
        for _ in range(3):
            os.fork()
        while True:
            if os.fork():
                os._exit(0)
        """
    )
    attempt = start(script, grace_s=0.1)
    attempt.wait_for("ready")
    attempt.execution.stop()
    assert attempt.end().state in {"stopped", "completed"}
    assert attempt.left() == []


def test_time_limit_ends_a_job(start: Callable[..., Attempt]) -> None:
    """A job over its time is failed, with the limit in the reason."""
    outcome = start("import time; time.sleep(600)", time_limit_s=0.3).end()
    assert outcome.state == "failed"
    assert "time limit of 0.3 s" in outcome.reason


def test_memory_limit_counts_the_whole_tree(start: Callable[..., Attempt]) -> None:
    """Children count too; the rest of the machine does not notice."""
    script = """
        import os, time
        for _ in range(3):
            if os.fork() == 0:
                block = bytearray(os.urandom(60_000_000)); time.sleep(600)
        time.sleep(600)
        """
    outcome = start(script, memory_mb=120).end()
    assert outcome.state == "failed"
    assert "memory limit of 120 MB" in outcome.reason


def test_child_killed_by_the_kernel_at_the_limit_ends_the_job(start: Callable[..., Attempt]) -> None:
    """A child may outgrow the limit between two looks: its parent does not wait for ever."""
    script = """
        import os, time
        if os.fork() == 0:
            block = b"x" * 2_000_000_000
        time.sleep(600)
        """
    outcome = start(script, memory_mb=120).end()
    assert outcome.state == "failed"
    assert "memory limit of 120 MB" in outcome.reason


def test_silent_agent_ends_the_job(start: Callable[..., Attempt]) -> None:
    """An agent that is stopped keeps the line open and says nothing: its job ends before the lease does."""
    outcome = start("import time; time.sleep(600)", silence_s=0.5).end()
    assert outcome.state == "lost"


def test_killed_supervisor_leaves_nothing(start: Callable[..., Attempt]) -> None:
    """Even kill -9 of the supervisor leaves no process, not one that forked twice."""
    attempt = start(DOUBLE_FORK + "time.sleep(600)")
    attempt.wait_for("hidden")
    os.kill(attempt.execution.process, signal.SIGKILL)
    assert "supervisor" in attempt.end().reason
    assert attempt.left() == []


def test_killed_agent_takes_its_jobs_along(tmp_path: Path) -> None:
    """kill -9 of the process that holds the engine ends the job and all below it."""
    agent = tmp_path / "agent.py"
    agent.write_text(
        textwrap.dedent(
            f"""
            import pathlib, sys, threading
            from deepevent_trainer.engines import Task
            from deepevent_trainer.engines.local import LocalEngine, MARK
            folder = pathlib.Path({str(tmp_path)!r})
            task = Task("t", (sys.executable, "-c", {DOUBLE_FORK + "time.sleep(600)"!r}), folder,
                        folder / "r", {{}}, grace_s=0.3)
            LocalEngine().start(task, lambda s, t: print(t, end="", flush=True), lambda: None)
            threading.Event().wait()
            """
        )
    )
    with subprocess.Popen([sys.executable, str(agent)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hidden\n"
        process.kill()
    outcome = tmp_path / "r" / "outcome.json"
    for _ in range(WAIT_S * 20):
        if outcome.exists():
            break
        threading.Event().wait(0.05)
    assert '"lost"' in outcome.read_text()
