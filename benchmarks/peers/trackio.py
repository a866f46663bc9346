"""trackio: a SQLite file per project, its own server."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from worker import request

PROJECT = "bench"
RUNS_PER_CALL = 64


class Run:
    """A run without automatic system metrics."""

    def __init__(self, folder: Path, name: str) -> None:
        os.environ["TRACKIO_DIR"] = str(folder / "trackio")
        import trackio

        self._trackio = trackio
        trackio.init(project=PROJECT, name=name, auto_log_gpu=False)

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Log one step."""
        self._trackio.log(scalars, step=step)

    def close(self) -> None:
        """Wait until everything is in its database."""
        self._trackio.finish()


def open_run(folder: Path, name: str) -> Run:
    """Start a run."""
    return Run(folder, name)


def write_run(folder: Path, name: str, steps: list[dict[str, float]]) -> str:
    """Write a whole run."""
    run = Run(folder, name)
    for step, scalars in enumerate(steps):
        run.log(scalars, step)
    run.close()
    return name


def server(folder: Path, port: int) -> tuple[list[str], dict[str, str], str]:
    """Return its command."""
    script = (
        "import trackio; trackio.show(open_browser=False, block_thread=True, "
        f"host='127.0.0.1', server_port={port})"
    )
    return [sys.executable, "-c", script], {"TRACKIO_DIR": str(folder / "trackio")}, "/"


def read_curve(url: str, run: str, metric: str) -> list[float]:
    """Fetch a run's logs as its page does: all metrics of the run, at most 3,000 rows."""
    rows = _call(url, "get_logs", {"project": PROJECT, "run": run, "scalar_only": True})
    return [row[metric] for row in rows if metric in row]


def compare(url: str, runs: list[str], metrics: list[str]) -> int:
    """Fetch the logs of all runs with its batch call, which takes 64 runs at most."""
    n = 0
    for start in range(0, len(runs), RUNS_PER_CALL):
        wanted = [{"run": run} for run in runs[start : start + RUNS_PER_CALL]]
        answer = _call(url, "get_logs_batch", {"project": PROJECT, "runs": wanted, "scalar_only": True})
        n += sum(metric in row for one in answer for row in one["logs"] for metric in metrics)
    return n


def _call(url: str, name: str, body: dict[str, object]) -> list[dict[str, object]]:  # type: ignore[type-arg]
    answer = json.loads(request(f"{url}/api/{name}", body))
    return answer["data"] if isinstance(answer, dict) else answer
