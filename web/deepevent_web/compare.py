"""What differs between runs: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_ABSENT = object()


def differences(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """The config keys whose values are not the same in all runs.

    Args:
        runs: as `get_run` gives them.

    Returns:
        `{"config": {dotted key: {run id: value}}}`; a run without the key is left out of its entry.
    """
    flat = {str(run["id"]): dict(_flatten(run.get("config") or {})) for run in runs}
    keys = dict.fromkeys(key for values in flat.values() for key in values)
    found: dict[str, dict[str, Any]] = {}
    for key in keys:
        values = [values.get(key, _ABSENT) for values in flat.values()]
        if any(value is _ABSENT or not _same(value, values[0]) for value in values):
            found[key] = {run: values[key] for run, values in flat.items() if key in values}
    return {"config": found}


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
