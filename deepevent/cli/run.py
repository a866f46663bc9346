"""`deepevent run [--name …] -- CMD…`: run a command as a run.

What it prints goes on to where it went before and into the run; its exit code becomes the run's status and
our own. What it starts and logs by itself (`deepevent.start()`, `deepevent log`) joins the same run.
"""

from __future__ import annotations

import os
import signal
import sys

from deepevent.settings import Settings
from deepevent.starting import OWNED, begin

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from deepevent.run import Run

HELP = "run a command as a run: its output, exit code, commit, packages and the machine's load"
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # what a shell says
SIGNALLED = 128
STOPPED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words."""
    from argparse import REMAINDER

    parser.usage = "deepevent run [--name NAME] [--project PROJECT] [--tag TAG] [--url URL] -- CMD…"
    parser.add_argument("--name", help="what people call the run")
    parser.add_argument("--project", help="where it belongs")
    parser.add_argument("--tag", action="append", default=[], help="a label to find it by; may be repeated")
    parser.add_argument("--notes", default="", help="free text")
    parser.add_argument("--group", help="runs of one experiment share it")
    parser.add_argument("--url", help="the server; else DEEPEVENT_URL, else the one of the local home")
    parser.add_argument("command", nargs=REMAINDER, metavar="CMD", help="the command and its arguments")


def execute(arguments: argparse.Namespace) -> int:
    """Run it; returns its exit code, or 128 and the number of the signal that ended it."""
    command = list(arguments.command)
    if command[:1] == ["--"]:
        command.pop(0)
    if not command:
        print("deepevent run: there is no command: deepevent run [--name NAME] -- CMD…", file=sys.stderr)
        return 2
    settings = Settings({"project": arguments.project, "url": arguments.url})
    run = begin(
        settings,
        name=arguments.name,
        project=arguments.project,
        tags=arguments.tag,
        notes=arguments.notes,
        group=arguments.group,
        command=command,
    )
    return _carry_out(run, command)


def _carry_out(run: Run, command: list[str]) -> int:
    from deepevent.cli._child import Child

    try:
        child = Child(command, child_environment(run), run.log_output)
    except OSError as error:
        problem = f"{command[0]!r} could not be started: {error.strerror}"
        run.finish_as("failed", problem + "\n")
        print(f"deepevent run: {problem}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    code = child.wait(lambda: run.should_stop)
    run.record_environment({"exit_code": code})
    status = status_of(code)
    run.finish_as(status, child.failure() if status == "failed" else None)
    return code if code >= 0 else SIGNALLED - code


def child_environment(run: Run) -> dict[str, str]:
    """Return the environment by which whatever the command starts joins the run.

    Python writes a pipe in blocks unless it is told otherwise, and a tail that comes in blocks is not live.
    """
    told = {"DEEPEVENT_RUN": run.id, OWNED: "1", "DEEPEVENT_SYSTEM_INTERVAL": "0"}
    if run.settings.url:
        told["DEEPEVENT_URL"] = run.settings.url
    return {"PYTHONUNBUFFERED": "1", **os.environ, **told}


def status_of(code: int) -> str:
    """Return how a run ends whose command ended with `code`, negative for a signal."""
    if code == 0:
        return "completed"
    stopped = (*(-number for number in STOPPED_BY), *(SIGNALLED + number for number in STOPPED_BY))
    return "stopped" if code in stopped else "failed"
