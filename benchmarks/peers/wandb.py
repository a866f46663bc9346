"""W&B in offline mode: its file format on disk; there is no server to read it without an account."""

from __future__ import annotations

import os
from pathlib import Path

NO_SERVER = "offline mode has no server of its own; reading needs an account or a container"


class Run:
    """An offline run without system metrics, console capture and code saving."""

    def __init__(self, folder: Path, name: str) -> None:
        os.environ.update(WANDB_SILENT="true", WANDB_ERROR_REPORTING="false", WANDB_DATA_DIR=str(folder))
        import wandb

        settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True, console="off", save_code=False)
        self._run = wandb.init(project="bench", name=name, mode="offline", dir=str(folder), settings=settings)

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Log one step."""
        self._run.log(scalars, step=step)

    def close(self) -> None:
        """Wait until everything is in its file."""
        self._run.finish()


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
