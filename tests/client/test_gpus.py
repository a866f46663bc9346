"""What a run knows of NVIDIA cards, read from a driver's library that is built for the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepevent.gpus import LIBRARY, Gpus


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    """The folder of a library with the driver's name."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here: the driver's library cannot be built")
    source = Path(__file__).with_name("nvml_stub.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(tmp_path / LIBRARY), str(source)], check=True)
    return tmp_path


def test_cards_are_named_and_sampled(driver: Path) -> None:
    """Each card gives what it has; a sensor that is missing leaves out its number and no other."""
    gpus = Gpus(str(driver / LIBRARY))
    assert gpus.names() == [
        {"name": "Large Card", "memory_bytes": 80 << 30},
        {"name": "Small Card", "memory_bytes": 80 << 30},
    ]
    assert gpus.sample() == {
        "system/gpu0/utilization_percent": 87.0,
        "system/gpu0/memory_percent": 25.0,
        "system/gpu0/temperature_celsius": 61.0,
        "system/gpu0/power_watts": 312.5,
        "system/gpu1/memory_percent": 25.0,
    }
    gpus.close()


def test_a_run_samples_its_cards(
    home: Path, driver: Path, read_points: Callable[..., Any], read_events: Callable[..., Any]
) -> None:
    """The cards are in the run's environment and in its samples of the machine."""
    script = (
        "import deepevent, time\n"
        "run = deepevent.start()\n"
        "before = run._journal.next_sequence\n"
        "while run._journal.next_sequence < before + 4: time.sleep(0.01)\n"
        "print(run.folder)\n"
    )
    settings = {"DEEPEVENT_CAPTURE": "1", "DEEPEVENT_SYSTEM_INTERVAL": "0.02"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **settings, "LD_LIBRARY_PATH": str(driver)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    folder = done.stdout.strip()
    (environment,) = (event for event in read_events(folder) if event["type"] == "environment")
    assert [card["name"] for card in environment["values"]["gpus"]] == ["Large Card", "Small Card"]
    assert any(values.get("system/gpu0/power_watts") == 312.5 for _, values in read_points(folder))


def test_a_library_that_is_none(tmp_path: Path) -> None:
    """A file that is no library is no driver."""
    (tmp_path / LIBRARY).write_bytes(b"not a library")
    with pytest.raises(OSError, match="libnvidia-ml"):
        Gpus(str(tmp_path / LIBRARY))
