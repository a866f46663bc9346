"""`deepevent log`: log from any shell script, or out of any program's output.

Called in loops, so it reads its words by itself and starts in under twice the time of a bare Python. Several
calls with one `--run` join one run, with or without a server.
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.

from __future__ import annotations

import sys

from deepevent.errors import DeepEventError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

HELP = "log numbers and images from a shell script, or out of a program's output"

OPTIONS = {
    "--run": "the run, by id or by name; else DEEPEVENT_RUN; else a new run, whose id is printed",
    "--project": "the project of a new run",
    "--step": "the step; without it, the calls for one run count by themselves",
    "--epoch": "the epoch",
    "--image": "NAME=PATH: log an image file; may be repeated",
    "--pattern": "'epoch {epoch} loss {train/loss}': log what each line of stdin holds; may be repeated",
    "--url": "the server; else DEEPEVENT_URL, else the one of the local home",
    "--finish": "end the run as completed, failed or stopped",
}
REPEATED = ("--image", "--pattern")
SWITCHES = {
    "--stdin": 'read JSON lines from stdin: {"loss": 0.3, "step": 4}',
}


class UsageError(DeepEventError):
    """The words on the command line make no sense together."""


class Request:
    """What was asked for."""

    def __init__(self) -> None:
        self.options: dict[str, str] = {}
        self.images: list[str] = []
        self.patterns: list[str] = []
        self.stdin = False
        self.values: dict[str, float] = {}


def direct(words: Sequence[str]) -> int | None:
    """Log what the words say; None if argparse shall print the help."""
    if not words or "-h" in words or "--help" in words:
        return None
    try:
        request = read_words(words)
    except UsageError as error:
        print(f"deepevent log: {error}", file=sys.stderr)
        return 2
    from deepevent.cli._logging import carry_out

    return carry_out(request)


def read_words(words: Sequence[str]) -> Request:
    """Read the command line.

    Raises:
        UsageError: with what is wrong.
    """
    request = Request()
    pending = list(words)
    while pending:
        word = pending.pop(0)
        name, equals, value = word.partition("=")
        if name in SWITCHES:
            request.stdin = True
        elif name in OPTIONS:
            if not equals:
                if not pending:
                    raise UsageError(f"{name} needs a value")
                value = pending.pop(0)
            _take_option(request, name, value)
        elif word.startswith("--"):
            raise UsageError(f"there is no option {name}; known are {', '.join([*OPTIONS, *SWITCHES])}")
        else:
            _take_value(request, word)
    if not (request.values or request.images or request.patterns or request.stdin or request.options):
        raise UsageError("there is nothing to log: give KEY=VALUE, --image, --stdin or --pattern")
    if request.stdin and request.patterns:
        raise UsageError("--stdin and --pattern both read stdin: give one of them")
    return request


def _take_option(request: Request, name: str, value: str) -> None:
    if name == "--image":
        if "=" not in value:
            raise UsageError(f"--image takes NAME=PATH, got {value!r}")
        request.images.append(value)
    elif name == "--pattern":
        request.patterns.append(value)
    else:
        if name == "--step" and not (value.isdecimal() and int(value) < 1 << 63):
            raise UsageError(f"--step takes a whole number from 0 on, got {value!r}")
        if name == "--epoch":
            _number("--epoch", value)
        if name == "--finish" and value not in ("completed", "failed", "stopped"):
            raise UsageError(f"--finish takes completed, failed or stopped, got {value!r}")
        request.options[name] = value


def _take_value(request: Request, word: str) -> None:
    key, equals, text = word.partition("=")
    if not equals or not key:
        raise UsageError(f"values are given as KEY=VALUE, got {word!r}")
    request.values[key] = _number(key, text)


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{key} must be a number, got {text!r}") from None


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words for `--help`."""
    parser.add_argument("values", nargs="*", metavar="KEY=VALUE", help="numbers to log")
    for name, text in OPTIONS.items():
        parser.add_argument(name, help=text, action="append" if name in REPEATED else "store")
    for name, text in SWITCHES.items():
        parser.add_argument(name, help=text, action="store_true")


def execute(arguments: argparse.Namespace) -> int:
    """Say what is missing: `direct` does the work."""
    del arguments
    print("deepevent log: there is nothing to log: see deepevent log --help", file=sys.stderr)
    return 2
