"""SwanLab in offline mode: its file on disk; its dashboard is a separate package and is not measured."""

from __future__ import annotations

from pathlib import Path

NO_SERVER = "its base package has no server; the dashboard is a package of its own"


class Run:
    """An offline run."""

    def __init__(self, folder: Path, name: str) -> None:
        import swanlab

        self._swanlab = swanlab
        swanlab.init(project="bench", experiment_name=name, mode="offline", logdir=str(folder / "swanlog"))

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Log one step."""
        self._swanlab.log(scalars, step=step)

    def close(self) -> None:
        """Wait until everything is in its file."""
        self._swanlab.finish()


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
