"""A virtual environment for each peer, made once and kept in a cache folder.

What is measured must be what a user of the peer has: its own environment with its own pinned release and
whatever that release pulls in, and nothing of ours. A peer that cannot be installed is an `Absent` with its
reason, never an exception: the figures of the others are still worth having.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

PINS: dict[str, tuple[str, ...]] = {
    "trackio": ("trackio==0.43.0",),
    # tensorboardX writes the event files without torch; tensorboard itself is what reads and serves them.
    "tensorboard": ("tensorboardX==2.6.5", "tensorboard==2.21.0"),
    "aim": ("aim==3.29.1",),
    "mlflow": ("mlflow==3.17.2",),
    "wandb": ("wandb==0.31.0",),
    "swanlab": ("swanlab==0.10.3",),
}
"""The one table of what is measured; the first of each is the package whose import is timed."""

INSTALL_LIMIT_S = 900


@dataclasses.dataclass(frozen=True)
class Environment:
    """An installed peer."""

    name: str
    python: Path
    version: str


@dataclasses.dataclass(frozen=True)
class Absent:
    """A peer that is not there, and why."""

    name: str
    reason: str


def cache_folder() -> Path:
    """Where the environments live: `$DEEPEVENT_BENCHMARK_CACHE`, else the user's cache folder."""
    named = os.environ.get("DEEPEVENT_BENCHMARK_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "deepevent-benchmarks"


def prepare(name: str, pins: tuple[str, ...] | None = None) -> Environment | Absent:
    """Return the environment of one peer, making it if its pins changed or it is not there.

    Args:
        name: of the peer, and of its folder in the cache.
        pins: what pip installs, the package that gives the version first; None is the peer's line in `PINS`.
    """
    pins = PINS[name] if pins is None else pins
    folder = cache_folder() / name
    python = folder / "bin" / "python"
    mark = folder / ".pins"
    version = pins[0].partition("==")[2]
    if mark.is_file() and mark.read_text() == "\n".join(pins):
        return Environment(name, python, version)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        subprocess.run(
            [sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True, text=True
        )
        install = subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins],
            capture_output=True,
            text=True,
            timeout=INSTALL_LIMIT_S,
        )
    except (subprocess.SubprocessError, OSError) as error:
        return Absent(name, f"its environment could not be made: {error}")
    if install.returncode != 0:
        complaint = [line for line in install.stderr.splitlines() if line.startswith("ERROR")]
        return Absent(name, "pip could not install it: " + (complaint or ["no reason given"])[-1][:200])
    mark.write_text("\n".join(pins))
    return Environment(name, python, version)


def count_distributions(python: Path) -> tuple[int, float]:
    """Return how many distributions an environment holds besides pip and setuptools, and its size in MB."""
    script = (
        "import importlib.metadata as m, pathlib, sysconfig\n"
        "names = {d.metadata['Name'].lower() for d in m.distributions()} - {'pip', 'setuptools'}\n"
        "root = pathlib.Path(sysconfig.get_paths()['purelib'])\n"
        "skip = ('pip', 'setuptools', '_distutils_hack', 'pkg_resources')\n"
        "size = sum(f.stat().st_size for f in root.rglob('*')\n"
        "           if f.is_file() and not f.relative_to(root).parts[0].startswith(skip))\n"
        "print(len(names), size)\n"
    )
    answer = subprocess.run([str(python), "-c", script], check=True, capture_output=True, text=True)
    n, size = answer.stdout.split()
    return int(n), int(size) / 1e6
