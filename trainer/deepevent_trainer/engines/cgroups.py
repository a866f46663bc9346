"""Control groups for a job, where the kernel lets this process make them (root, or a delegated group).

They are a second line behind the supervisor's own looks: a fork bomb meets a wall, and nothing can fork while
the job is being ended. Without the right to make them everything else works as before. Versions 1 and 2 both
occur.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PREFIX = "deepevent-"
MAX_PROCESSES = 4096
# The supervisor ends a job at its limit with a clear reason; the kernel's limit stands a little behind it.
MEMORY_SLACK = 1.15


def create_groups(name: str, memory_mb: int | None) -> list[str]:
    """Make this job's groups.

    Returns:
        The folders that could be made; the supervisor moves the job in and removes them at its end.
    """
    made: list[str] = []
    for parent in _own_groups():
        group = parent / f"{PREFIX}{os.getpid()}-{name}"
        with contextlib.suppress(OSError):
            _remove_abandoned(parent)
            group.mkdir()
            made.append(str(group))
            _limit(group, memory_mb)
    return made


def remove_groups(groups: list[str]) -> None:
    """Remove what is left of a job's groups; the kernel refuses while a process is in them."""
    for group in groups:
        with contextlib.suppress(OSError):
            Path(group).rmdir()


def _own_groups() -> list[Path]:
    """Find the groups that this process is in and that can end or limit a job."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            below = path.lstrip("/")
            if number == "0":
                found += [ROOT / below] if (ROOT / "cgroup.procs").exists() else [ROOT / "unified" / below]
            elif controllers in {"pids", "memory"}:
                found.append(ROOT / controllers / below)
    return found


def _limit(group: Path, memory_mb: int | None) -> None:
    limits = {"pids.max": MAX_PROCESSES}
    if memory_mb is not None:
        size_bytes = int(memory_mb * 2**20 * MEMORY_SLACK)
        limits |= {"memory.max": size_bytes, "memory.limit_in_bytes": size_bytes, "memory.oom.group": 1}
    for name, value in limits.items():
        if (group / name).exists():
            (group / name).write_text(str(value))


def _remove_abandoned(parent: Path) -> None:
    """Remove groups that an agent left behind when it was killed: the kernel refuses those still in use."""
    for group in parent.glob(f"{PREFIX}*"):
        owner = group.name.removeprefix(PREFIX).split("-", 1)[0]
        if not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):
                group.rmdir()
