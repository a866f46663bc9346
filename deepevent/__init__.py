"""DeepEvent: a live monitor and training server. This package is the client; see docs/architecture.md.

    import deepevent

    run = deepevent.start(project="faces", config={"lr": 0.1})
    run.log({"train/loss": 0.31}, step=120, epoch=3)

Importing it loads nothing outside the standard library.
"""

from __future__ import annotations

from deepevent.errors import DeepEventError
from deepevent.run import Run
from deepevent.starting import start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["DeepEventError", "Run", "current_run", "finish", "log", "start"]


def current_run() -> Run | None:
    """Return the process's current run: the newest one that is not finished."""
    from deepevent.liveruns import live_runs

    return live_runs[-1] if live_runs else None


def log(values: Mapping[str, Any], step: int | None = None, epoch: float | None = None) -> None:
    """Log numbers to the current run; a process that was told its run by DEEPEVENT_RUN joins it here."""
    run = current_run()
    if run is None:
        import os

        if not os.environ.get("DEEPEVENT_RUN"):
            from deepevent.notices import say_once

            say_once("no run", "log was called before deepevent.start(), and nothing is kept")
            return
        run = start()
    run.log(values, step, epoch)


def finish(status: str = "completed") -> None:
    """End the current run, if there is one."""
    run = current_run()
    if run is not None:
        run.finish(status)
