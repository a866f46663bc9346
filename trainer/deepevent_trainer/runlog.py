"""The agent as a writer of a job's run: what the job prints goes there, through a journal of the agent's own.

It never ends the run: that is the job's affair. Nothing here can fail a job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from deepevent.run import Run
from deepevent.settings import Settings
from deepevent.starting import open_run, run_event

EXIT_TIMEOUT_S = 2.0


class RunLog:
    """Open for the time of one attempt."""

    def __init__(
        self, settings: Settings, job: Mapping[str, Any], token: str, command: Sequence[str]
    ) -> None:
        flags: dict[str, object] = {"home": settings.home, "exit_timeout_s": EXIT_TIMEOUT_S, "mode": "online"}
        if settings.url:
            flags |= {"url": settings.url, "token": token}
        event = run_event(name=job["name"], project=job["project"], rank=0, resumed=True, finishes=False)
        event["argv"] = [word[:1_000] for word in command[:100]]  # of the job, not of the agent
        self._run: Run = open_run(Settings(flags, {}), job["run"], event)

    def log_output(self, stream: str, text: str) -> None:
        """Log a line of the job's output."""
        self._run.log_output(stream, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run.close_writer()
