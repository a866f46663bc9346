"""What differs between runs: pure."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

_ABSENT = object()


def differences(
    runs: Sequence[Mapping[str, Any]], environments: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, dict[str, Any]]]:
    """What is not the same in all runs.

    Args:
        runs: as `get_runs` gives them.
        environments: what each run ran on, by its id; a run without one is left out of those groups.

    Returns:
        `{"config" | "packages" | "git" | "command": {dotted key: {run id: value}}}`; a run without the key is
        left out of its entry.
    """
    configs = {str(run["id"]): dict(_flatten(run.get("config") or {})) for run in runs}
    known = {str(run["id"]): environments.get(run["id"]) or {} for run in runs}
    return {
        "config": _differing(configs),
        "packages": _differing(_recorded({run: e.get("packages") for run, e in known.items()})),
        "git": _differing(_recorded({run: e.get("git") for run, e in known.items()})),
        "command": _differing(_recorded({run: _command(e) for run, e in known.items()})),
    }


def _recorded(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Only the runs of which something is known: what nobody recorded is no difference."""
    known = {run: values for run, values in found.items() if isinstance(values, Mapping) and values}
    return {run: dict(_flatten(values)) for run, values in known.items()}


def _command(environment: Mapping[str, Any]) -> dict[str, Any]:
    """How the script was called, by what, where."""
    argv = environment.get("argv")
    process = environment.get("process")
    found = {"python": environment.get("python"), "host": environment.get("host")}
    if isinstance(argv, list):
        found["command"] = shlex.join(str(word) for word in argv)
    if isinstance(process, Mapping):
        found |= {name: process.get(name) for name in ("executable", "folder")}
    return {key: value for key, value in found.items() if value is not None}


def _differing(flat: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    keys = dict.fromkeys(key for values in flat.values() for key in values)
    found: dict[str, dict[str, Any]] = {}
    for key in keys:
        values = [values.get(key, _ABSENT) for values in flat.values()]
        if any(value is _ABSENT or not _same(value, values[0]) for value in values):
            found[key] = {run: values[key] for run, values in flat.items() if key in values}
    return found


def _flatten(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            pairs.extend(_flatten(value, f"{prefix}{key}."))
        else:
            pairs.append((f"{prefix}{key}", value))
    return pairs


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return bool(left == right)
