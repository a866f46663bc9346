"""What this machine has to offer: processors, memory, GPUs."""

from __future__ import annotations

import os
import re
from pathlib import Path

from deepevent.errors import SettingsError

NVIDIA = Path("/proc/driver/nvidia/gpus")


def count_cpus() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0))


def memory_mb() -> int:
    """Give the machine's memory."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def find_gpus(wanted: str) -> tuple[int, ...]:
    """Give the numbers of the GPUs to hand out.

    `auto` takes those of CUDA_VISIBLE_DEVICES if it is set, else all that the driver shows; no library of
    CUDA is loaded for it.

    Raises:
        SettingsError: `wanted` is neither auto, nor none, nor a list of numbers.
    """
    if wanted == "none":
        return ()
    if wanted == "auto":
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is None:
            return tuple(range(len(list(NVIDIA.iterdir())))) if NVIDIA.is_dir() else ()
        wanted = visible
    words = [word.strip() for word in wanted.split(",") if word.strip()]
    if not all(word.isdecimal() for word in words):
        raise SettingsError(f"--gpus must be auto, none or numbers such as 0,2, got {wanted!r}")
    return tuple(dict.fromkeys(int(word) for word in words))
