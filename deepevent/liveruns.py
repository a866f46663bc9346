"""The runs of this process: which one is current, and what becomes of them at exit and over fork()."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deepevent.run import Run

live_runs: list[Run] = []  # the newest is the current one


def remember_run(run: Run) -> None:
    """Make a run the current one; it is finished when the process ends."""
    if not live_runs:
        import atexit

        atexit.register(finish_at_exit)
    live_runs.append(run)


def forget_run(run: Run) -> None:
    """Take a run off the list."""
    if run in live_runs:
        live_runs.remove(run)


def finish_at_exit() -> None:
    """Finish what the script left open, as the exception says that ended it, if one did."""
    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    for run in reversed(live_runs[:]):
        run.finish_with(error)
    if isinstance(error, KeyboardInterrupt):
        _die_by_sigint()


def _die_by_sigint() -> None:
    """Have the process end by SIGINT, as it would without us.

    Python notes an unhandled KeyboardInterrupt and takes the note back at the next run of a text (`eval`,
    `exec`), of which the modules that the end of a run imports hold some. So the last text that we run ends
    by that exception, too. A shell loop goes on after exit code 1 and ends after a SIGINT.
    """
    try:
        exec("raise KeyboardInterrupt")  # noqa: S102 - a text of our own
    except KeyboardInterrupt:
        return


def _after_fork_in_child() -> None:
    for run in live_runs:
        run.enter_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
