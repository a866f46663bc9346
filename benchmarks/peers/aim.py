"""Aim: RocksDB files, `aim up`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from worker import request


class Run:
    """A run without system metrics and terminal capture, which would be measured too."""

    def __init__(self, folder: Path, name: str) -> None:
        import aim

        self._run = aim.Run(
            repo=str(folder), experiment="bench", system_tracking_interval=None, capture_terminal_logs=False
        )
        self._run.name = name

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Log one step: `track` takes a dict since Aim 3.18."""
        self._run.track(scalars, step=step)

    def close(self) -> str:
        """Finish the run and return its hash."""
        name: str = self._run.hash
        self._run.close()
        return name


def open_run(folder: Path, name: str) -> Run:
    """Start a run."""
    return Run(folder, name)


def write_run(folder: Path, name: str, steps: list[dict[str, float]]) -> str:
    """Write a whole run."""
    run = Run(folder, name)
    for step, scalars in enumerate(steps):
        run.log(scalars, step)
    return run.close()


def server(folder: Path, port: int) -> tuple[list[str], dict[str, str], str]:
    """Return its command; its repository is made beforehand."""
    command = str(Path(sys.executable).parent / "aim")
    environment = {"AIM_UI_TELEMETRY_ENABLED": "0"}
    if not (folder / ".aim").exists():
        subprocess.run(
            [command, "init", "--repo", str(folder), "-s"],
            env={**os.environ, **environment},
            capture_output=True,
            check=True,
        )
    return (
        [command, "up", "--repo", str(folder), "--port", str(port), "--host", "127.0.0.1"],
        environment,
        "/api/projects/",
    )


def read_curve(url: str, run: str, metric: str) -> list[float]:
    """Fetch one curve as its run page does."""
    answer = json.loads(request(f"{url}/api/runs/{run}/metric/get-batch/", [{"name": metric, "context": {}}]))
    return [value for value in answer[0]["values"] if value is not None]


def compare(url: str, runs: list[str], metrics: list[str]) -> int:
    """Search the metrics of all runs as its explorer does, at a density of 1,000 points."""
    names = " or ".join(f'metric.name == "{metric}"' for metric in metrics)
    content = request(f"{url}/api/runs/search/metric/?q={quote(names)}&p=1000&report_progress=false")
    # Each curve brings four float64 arrays: values, steps, epochs, times. What little else there is (names,
    # parameters) is below a hundredth of it.
    return len(content) // 32
