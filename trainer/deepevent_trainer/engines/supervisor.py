"""The small process between the agent and a job: it outlives neither, and leaves nothing behind.

It runs as a script of its own with the standard library alone, so that it starts in a few milliseconds and
stays small. It is the subreaper of everything below it: a process that forks twice and makes its own session
is still its descendant, found and ended. Its standard input is the line to the agent: first the task (ten
digits of length, then JSON), then single letters (`b` I live, `s` stop, `k` kill). The end of that line means
that the agent is dead, and the job ends too: never does it run on beside a second attempt. For the case that
this process itself is killed, the job's first process has PR_SET_PDEATHSIG.

It writes `outcome.json` when all is over. It must not know the server, the queue or the run.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
INTERVAL_S = 0.25  # how often the limits are looked at
MEMORY_INTERVAL_S = 1.0  # and the memory, for which every process of the machine is asked for its parent
LEFTOVER_GRACE_S = 1.0
ORPHAN_GRACE_S = 3.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Supervisor:
    """Runs one task to its end."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.started = time.monotonic()
        self.heard = self.started
        self.deaf = False
        self.reason = ""
        self.state = ""
        self.kill_at: float | None = None
        self.look_at_memory = self.started
        self.status: int | None = None
        self.wake_read, self.wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> dict[str, Any]:
        """Start the job, watch it, and give its outcome once no process of it is left."""
        self.child = self.spawn()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.end("stopped", "", float(self.task["grace_s"])))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)  # the agent sees the end of the output when the job's own processes have ended
        os.dup2(quiet, 2)
        while self.reap():
            now = time.monotonic()
            self.check_limits(now)
            if self.status is not None and self.kill_at is None:
                self.end(self.state, self.reason, LEFTOVER_GRACE_S)
            if self.kill_at is not None and now >= self.kill_at:
                close_groups(self.task["cgroups"])
                kill_all()
                self.kill_at = now + 0.05
            pause_s = INTERVAL_S if self.kill_at is None else self.kill_at - now
            self.listen(min(max(pause_s, 0.01), INTERVAL_S))
        return self.outcome()

    def spawn(self) -> int:
        """Start the job's first process in a session of its own."""
        parent = os.getpid()
        child = os.fork()
        if child:
            return child
        try:
            os.setsid()
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            for group in self.task["cgroups"]:
                Path(group, "cgroup.procs").write_text("0")
            os.chdir(self.task["folder"])
            os.execvpe(self.task["command"][0], self.task["command"], self.task["environment"])  # noqa: S606
        except OSError as error:
            os.write(2, f"deepevent: cannot start {self.task['command'][0]!r}: {error}\n".encode())
        finally:
            os._exit(127)

    def end(self, state: str, reason: str, grace_s: float) -> None:
        """Begin the end: SIGTERM now, SIGKILL after the grace time. The first reason counts."""
        if self.kill_at is None:
            self.state, self.reason = state, reason
            signal_group(self.child, signal.SIGTERM)
            if self.status is not None:
                for process in descendants():
                    signal_one(process, signal.SIGTERM)
        self.kill_at = min(self.kill_at or float("inf"), time.monotonic() + grace_s)

    def check_limits(self, now: float) -> None:
        """End the job when it has passed a limit, or when the agent has been silent for too long."""
        limit_s, limit_mb = self.task["time_limit_s"], self.task["memory_mb"]
        if self.kill_at is not None:
            return
        if limit_s is not None and now - self.started > limit_s:
            self.end("failed", f"it passed its time limit of {limit_s:g} s", float(self.task["grace_s"]))
        elif limit_mb is not None and (self.lost_to_kernel() or self.uses_too_much(now, limit_mb)):
            self.end("failed", f"it passed its memory limit of {limit_mb} MB", 0.0)
        elif now - self.heard > self.task["silence_s"]:
            self.end("lost", "its agent fell silent", ORPHAN_GRACE_S)

    def uses_too_much(self, now: float, limit_mb: int) -> bool:
        """Tell whether the job is above its memory limit, looking no more often than it is worth."""
        if now < self.look_at_memory:
            return False
        self.look_at_memory = now + MEMORY_INTERVAL_S
        return uses_more_than(limit_mb * 2**20)

    def lost_to_kernel(self) -> bool:
        """Tell whether the kernel has already killed a process at the limit: what is left would only wait."""
        return any(out_of_memory(Path(group)) for group in self.task["cgroups"])

    def listen(self, timeout_s: float) -> None:
        """Wait for the agent, the end of a process, or the next look at the limits."""
        sources = [self.wake_read] if self.deaf else [self.wake_read, 0]
        readable, _, _ = select.select(sources, [], [], timeout_s)
        if self.wake_read in readable:
            os.read(self.wake_read, 4096)
        if 0 not in readable:
            return
        letters = os.read(0, 4096)
        self.heard = time.monotonic()
        if not letters:
            self.deaf = True
            self.end("lost", "its agent ended", min(ORPHAN_GRACE_S, float(self.task["grace_s"])))
        if b"s" in letters:
            self.end("stopped", "", float(self.task["grace_s"]))
        if b"k" in letters:
            self.end("stopped", "", 0.0)

    def reap(self) -> bool:
        """Collect what has ended; False once nothing is left."""
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if process == 0:
                return True
            if process == self.child:
                self.status = os.waitstatus_to_exitcode(status)

    def outcome(self) -> dict[str, Any]:
        """Say how it ended: by a wish or limit, else by the exit code."""
        code = self.status
        state, reason = self.state, self.reason
        if not state:
            state = "completed" if code == 0 else "failed"
            if code is not None and code < 0:
                reason = f"it was ended by {signal_name(-code)}"
            elif code:
                reason = f"it ended with exit code {code}"
        if state == "failed" and self.lost_to_kernel():
            reason = f"it passed its memory limit of {self.task['memory_mb']} MB"
        for group in self.task["cgroups"]:
            with contextlib.suppress(OSError):
                Path(group).rmdir()
        return {"state": state, "exit_code": code, "reason": reason}


def prctl(option: int, value: int) -> None:
    """Set one of the kernel's per-process switches."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def descendants() -> list[int]:
    """List every process below this one, out of /proc."""
    children: dict[int, list[int]] = {}
    for process, parent in all_parents():
        children.setdefault(parent, []).append(process)
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def all_parents() -> Iterator[tuple[int, int]]:
    """Give (process, parent) of all living processes; zombies of this process are left to `reap`."""
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            with contextlib.suppress(OSError):
                stat = Path("/proc", name, "stat").read_bytes()
                fields = stat[stat.rindex(b")") + 2 :].split()
                yield int(name), int(fields[1])


def kill_all() -> None:
    """Kill all below this process: first stopped, so that none can fork away meanwhile, then killed."""
    seen: set[int] = set()
    while new := set(descendants()) - seen:
        for process in new:
            signal_one(process, signal.SIGSTOP)
        seen |= new
    for process in seen:
        signal_one(process, signal.SIGKILL)


def close_groups(groups: list[str]) -> None:
    """Have the kernel end the job's cgroups: kill all at once (version 2), or at least let nothing fork."""
    for group in groups:
        for name, value in (("cgroup.kill", "1"), ("pids.max", "0")):
            if Path(group, name).exists():
                with contextlib.suppress(OSError):
                    Path(group, name).write_text(value)


def signal_one(process: int, number: int) -> None:
    """Signal a process that may have ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, number)


def signal_group(group: int, number: int) -> None:
    """Signal a process group that may have ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def uses_more_than(limit_bytes: int) -> bool:
    """Tell whether all below this process hold more memory than this.

    The quick sum of resident pages counts a shared page once for each process; only when it is above the
    limit are the exact shares (`Pss`) read, which costs the kernel a walk over the page tables.
    """
    processes = descendants()
    return _sum_resident(processes) > limit_bytes and _sum_shares(processes) > limit_bytes


def _sum_resident(processes: list[int]) -> int:
    total = 0
    for process in processes:
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path("/proc", str(process), "statm").read_bytes().split()[1]) * PAGE_BYTES
    return total


def _sum_shares(processes: list[int]) -> int:
    total = 0
    for process in processes:
        with contextlib.suppress(OSError, ValueError, IndexError):
            rollup = Path("/proc", str(process), "smaps_rollup").read_bytes()
            total += int(rollup.split(b"\nPss:", 1)[1].split(None, 1)[0]) * 1024
    return total


def out_of_memory(group: Path) -> bool:
    """Tell whether the kernel ended a process of this cgroup for want of memory (versions 2 and 1)."""
    for name in ("memory.events", "memory.oom_control"):
        with contextlib.suppress(OSError):
            words = (group / name).read_text().split()
            return "oom_kill" in words and words[words.index("oom_kill") + 1] != "0"
    return False


def signal_name(number: int) -> str:
    """Name a signal as people do."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def read_task() -> dict[str, Any]:
    """Read the task and not one byte more: what follows belongs to the loop."""
    text = bytearray()
    wanted = 10
    while len(text) < wanted:
        piece = os.read(0, wanted - len(text))
        if not piece:
            sys.exit(1)
        text += piece
        if len(text) == wanted == 10:
            wanted += int(text)
    task: dict[str, Any] = json.loads(text[10:])
    return task


def detach() -> None:
    """Go on in a child of this process: who ends all children of its parent then misses it."""
    child = os.fork()
    if child:
        for stream in (0, 1, 2):
            os.close(stream)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)


def main() -> None:
    """Run the task on standard input and leave its outcome beside it."""
    if "--detached" in sys.argv:
        detach()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    task = read_task()
    outcome = Supervisor(task).run()
    target = Path(task["records"], "outcome.json")
    partial = target.with_suffix(".part")
    with partial.open("w") as file:
        json.dump(outcome, file)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(target)


if __name__ == "__main__":
    main()
