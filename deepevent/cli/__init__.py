"""The command line: finds the command, and imports nothing else.

A command is a module with `HELP` (one line), `configure(parser)` and `execute(arguments) -> exit code`. Those
in this folder come with the client: `deepevent NAME` is `deepevent/cli/NAME.py`. Other packages bring theirs
by the entry-point group `deepevent.commands`. A module with `direct(words) -> exit code or None` reads its
words by itself, without argparse, because shell scripts call it in loops; None hands them to argparse after
all.

Results go to stdout, messages to stderr. Exit codes: 0 done, 1 failed, 2 usage.
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH120, PTH208

from __future__ import annotations

import os
import sys

from deepevent.errors import DeepEventError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType
    from typing import Any

GROUP = "deepevent.commands"
EXTRAS = {"deepevent_web": "server", "deepevent_trainer": "train"}
DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        return _print_commands()
    if words[0] in ("-V", "--version"):
        return _print_version()
    return _guarded(words[0], words[1:])


def _guarded(name: str, words: list[str]) -> int:
    """Run a command; its errors become one sentence on stderr."""
    try:
        module = _load(name)
        return _unknown(name) if module is None else _run(name, module, words)
    except DeepEventError as error:
        return _fail(name, str(error))
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(str(getattr(error, "command_package", "")), "all")
        return _fail(name, f"{error.name} is not installed: pip install 'deepevent-monitor[{extra}]'")
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run(name: str, module: ModuleType, words: list[str]) -> int:
    direct = getattr(module, "direct", None)
    if direct is not None:
        code = direct(words)
        if code is not None:
            return int(code)
    import argparse

    parser = argparse.ArgumentParser(prog=f"deepevent {name}", description=module.HELP)
    module.configure(parser)
    try:
        arguments = parser.parse_args(_joined(words, getattr(module, "DASHED", ())))
    except SystemExit as stop:  # argparse has said why
        return stop.code if isinstance(stop.code, int) else USAGE
    return int(module.execute(arguments))


def _joined(words: list[str], dashed: Sequence[str]) -> list[str]:
    """Put the value of such an option behind it with `=`, if it begins with one dash."""
    joined: list[str] = []
    for word in words:
        value = word.startswith("-") and not word.startswith("--")
        if value and joined and joined[-1] in dashed:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _load(name: str) -> ModuleType | None:
    if name in _built_in():
        module = f"deepevent.cli.{name.replace('-', '_')}"
        __import__(module)
        return sys.modules[module]
    for entry in _entry_points():
        if entry.name == name:
            try:
                __import__(entry.module)
            except ModuleNotFoundError as error:
                error.command_package = entry.module.partition(".")[0]  # type: ignore[attr-defined]
                raise
            return sys.modules[entry.module]
    return None


def _built_in() -> list[str]:
    """Names of the modules in this folder that are commands."""
    names = os.listdir(os.path.dirname(__file__))
    return sorted(n[:-3].replace("_", "-") for n in names if n.endswith(".py") and not n.startswith("_"))


def _entry_points() -> Iterable[Any]:
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def _unknown(name: str) -> int:
    from difflib import get_close_matches

    names = sorted({*_built_in(), *(entry.name for entry in _entry_points())})
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
    print(f"deepevent: there is no command {name!r}: {hint}", file=sys.stderr)
    return USAGE


def _fail(name: str, text: str) -> int:
    print(f"deepevent {name}: {text}", file=sys.stderr)
    return FAILED


def _print_commands() -> int:
    modules = {name: f"deepevent.cli.{name.replace('-', '_')}" for name in _built_in()}
    modules |= {entry.name: entry.module for entry in _entry_points()}
    width = max(map(len, modules))
    print("Usage: deepevent COMMAND …   (deepevent COMMAND --help says more)\n")
    for name in sorted(modules):
        print(f"  {name:<{width}}  {_help_of(modules[name])}")
    return DONE


def _help_of(module: str) -> str:
    """The HELP line of a module that is not imported for it: some bring torch along."""
    import ast
    from importlib.util import find_spec

    try:
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            return ""
        with open(spec.origin, encoding="utf-8") as file:  # noqa: PTH123
            tree = ast.parse(file.read())
    except (ImportError, OSError, SyntaxError):
        return ""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "HELP" for target in targets):
            value = getattr(node, "value", None)
            return str(value.value) if isinstance(value, ast.Constant) else ""
    return ""


def _print_version() -> int:
    from importlib.metadata import version

    print(f"deepevent {version('deepevent-monitor')}")
    return DONE
