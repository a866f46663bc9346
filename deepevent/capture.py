"""What a run ran on: commit and uncommitted changes, packages, GPUs, machine. Gathered in the background.

Everything here may take a second and may fail: a repository without git, a machine without a GPU. What cannot
be found out is left out. Nothing secret is taken: no environment variables, no file contents beyond the diff
of tracked files, and addresses of repositories without their credentials.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from urllib.parse import urlsplit, urlunsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

GIT_TIMEOUT_S = 10.0
DIFF_LIMIT_BYTES = 1 << 20
PACKAGES_LIMIT = 2000
DIFF_NAME = "uncommitted changes"


def git_facts(folder: str) -> tuple[dict[str, object], bytes]:
    """Return what git says of the folder's repository, and the diff of its tracked files against the commit.

    Returns:
        `commit`, `branch` (None while none is checked out), `dirty`, `remote`, `root` and `diff_bytes`; empty
        where there is no repository or no git. The diff is empty where it has more than DIFF_LIMIT_BYTES.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    root = _git(folder, "rev-parse", "--show-toplevel")
    if not commit or not root:
        return {}, b""
    diff = _git_bytes(folder, "diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color") or b""
    untracked = _git(folder, "status", "--porcelain", "--untracked-files=normal")
    facts: dict[str, object] = {
        "commit": commit,
        "branch": _git(folder, "symbolic-ref", "--short", "-q", "HEAD") or None,
        "dirty": bool(untracked),
        "root": root,
        "diff_bytes": len(diff),
    }
    remote = _git(folder, "config", "--get", "remote.origin.url")
    if remote:
        facts["remote"] = without_credentials(remote)
    return facts, diff if len(diff) <= DIFF_LIMIT_BYTES else b""


def without_credentials(address: str) -> str:
    """Return a repository's address without user and password."""
    if "://" not in address:
        return address
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def package_versions() -> dict[str, str]:
    """Return the versions of the installed packages by name."""
    from importlib.metadata import distributions

    found: dict[str, str] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name and name not in found:  # the first on the path is the one that counts
            found[name] = distribution.version
        if len(found) >= PACKAGES_LIMIT:
            break
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def machine_facts() -> dict[str, object]:
    """Return operating system, processor and memory."""
    facts: dict[str, object] = {
        "os": platform.platform(),
        "architecture": platform.machine(),
        "cpu_count": os.cpu_count(),
    }
    if hasattr(os, "sched_getaffinity"):
        facts["cpu_count_usable"] = len(os.sched_getaffinity(0))
    model = _first_value("/proc/cpuinfo", "model name")
    if model:
        facts["cpu"] = model
    memory = _first_value("/proc/meminfo", "MemTotal")
    if memory and memory.split()[0].isdecimal():
        facts["memory_bytes"] = int(memory.split()[0]) * 1024
    return facts


def process_facts() -> dict[str, object]:
    """Return how this process was started."""
    return {
        "executable": sys.executable,
        "folder": _here(),
        "implementation": platform.python_implementation(),
    }


def environment(facts: Mapping[str, object] | None = None) -> tuple[dict[str, object], bytes]:
    """Return all of it, and the diff; takes a tenth of a second to a second.

    Args:
        facts: what to add.
    """
    from deepevent.gpus import gpu_facts

    git, diff = git_facts(_here())
    found: dict[str, object] = {"machine": machine_facts(), "process": process_facts()}
    if git:
        found["git"] = git
    gpus = gpu_facts()
    if gpus:
        found["gpus"] = gpus
    found["packages"] = package_versions()
    return {**found, **(facts or {})}, diff


def _here() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib is slow to import
    except OSError:  # the folder was deleted
        return "/"


def _git(folder: str, *arguments: str) -> str:
    answer = _git_bytes(folder, *arguments)
    return "" if answer is None else answer.decode("utf-8", "replace").strip()


def _git_bytes(folder: str, *arguments: str) -> bytes | None:
    """Ask git without letting it lock, page, ask back, or run what the repository's own settings name."""
    variables = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-C", folder, *arguments],  # noqa: S607 - the user's git
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def _first_value(path: str, key: str) -> str:
    """Return what stands behind the first `key` of a file of lines `key : value`."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == key:
                    return value.strip()
    except OSError:
        return ""
    return ""
