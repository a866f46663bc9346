"""TensorBoard: event files by tensorboardX, read by its own server."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from worker import request


class Run:
    """A SummaryWriter; a dict of scalars is one `add_scalar` each, as scripts do it."""

    def __init__(self, folder: Path, name: str) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder / "logs" / name))

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Log one step."""
        for key, value in scalars.items():
            self._writer.add_scalar(key, value, step)

    def close(self) -> None:
        """Write everything out."""
        self._writer.close()


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
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "tensorboard.main",
        "--logdir",
        str(logs),
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
    ]
    return command, {}, "/"


def read_curve(url: str, run: str, metric: str) -> list[float]:
    """Fetch one curve as its scalar dashboard does."""
    answer = json.loads(
        request(f"{url}/data/plugin/scalars/scalars?tag={metric.replace('/', '%2F')}&run={run}")
    )
    return [value for _, _, value in answer]


def compare(url: str, runs: list[str], metrics: list[str]) -> int:
    """Fetch all runs of one tag with one request, tag after tag."""
    n = 0
    for metric in metrics:
        body = "&".join([f"tag={metric.replace('/', '%2F')}", *(f"runs={run}" for run in runs)])
        answer: dict[str, Any] = json.loads(_form(f"{url}/data/plugin/scalars/scalars_multirun", body))
        n += sum(len(series) for series in answer.values())
    return n


def _form(url: str, body: str) -> bytes:
    import urllib.request

    sent = urllib.request.Request(url, body.encode(), {"Content-Type": "application/x-www-form-urlencoded"})
    with urllib.request.urlopen(sent, timeout=120) as answer:
        content: bytes = answer.read()
    return content
