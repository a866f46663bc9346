"""Checks journal events, type by type, and says what may be in them.

Pure: an event that passes can be written to the tables without another look (`apply.py` does so).
Names, hashes and numbers that do not fit are refused; free text that is too long is cut, and
characters that a database cannot hold are replaced, since a script must not lose its points over
what it prints.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np

from deepevent.store.schema import NAME_LENGTH

Event = dict[str, Any]

TEXT_LIMIT = 64 << 10  # characters of a log text, a note, an alert, a traceback
CONFIG_LIMIT = 256 << 10  # characters of a run's config or summary as JSON
ENVIRONMENT_LIMIT = 1 << 20  # characters of what a run ran on as JSON
TAGS_LIMIT = 1000
DEPTH_LIMIT = 80
BOXES_LIMIT = 100_000
STAGES_LIMIT = 64
STEP_LIMIT = 1 << 63
MEDIA_KINDS = ("image", "detections", "histogram", "text", "figure", "table")
ALERT_LEVELS = ("info", "warning", "error")
FINISH_STATUSES = ("completed", "failed", "stopped")
STREAMS = ("stdout", "stderr")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class EventInvalid(ValueError):
    """An event holds something that cannot be stored; the message goes on after 'record 12 …'."""


def name_problem(name: object) -> str | None:
    """Say what is wrong with a name (of a metric, run, tag, medium), or None."""
    if not isinstance(name, str):
        return f"must be text, got {name!r}"
    if not 1 <= len(name) <= NAME_LENGTH:
        return f"must have 1 to {NAME_LENGTH} characters, got {len(name)}"
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        return f"must have no control characters, got {name[:80]!r}"
    return None


def check(event: object) -> Event:
    """Return `event` with all its keys present and of their type.

    Raises:
        EventInvalid: it cannot be stored.
    """
    if not isinstance(event, dict):
        raise EventInvalid("must be a JSON object")
    kind = event.get("type")
    checker = _CHECKERS.get(kind) if isinstance(kind, str) else None
    if checker is None:
        raise EventInvalid(f"has the unknown event type {str(kind)[:80]!r}; known are {', '.join(_CHECKERS)}")
    return {"type": kind, **checker(event)}


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return `text` without what a database cannot hold, cut to `limit` characters."""
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text) - limit} characters cut)"
    if "\0" in text or not text.isascii():
        text = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return text


def depth(value: object) -> int:
    """Return how deeply lists and objects are nested."""
    level, inside = 0, [value]
    while inside := [
        item
        for outer in inside
        if isinstance(outer, (dict, list))
        for item in (outer.values() if isinstance(outer, dict) else outer)
    ]:
        level += 1
    return level


def _check_run(event: Event) -> Event:
    return {
        "name": _name(event, "name", None),
        "project": _name(event, "project", None),
        "group": _name(event, "group", None),
        "config": _object(event, "config", CONFIG_LIMIT),
        "tags": _tags(event),
        "notes": _text(event, "notes"),
        "created": _time(event, "created", None),
        "host": _name(event, "host", None),
        "pid": _integer(event, "pid", None),
        "resumed": event.get("resumed") is True,
        "finishes": event.get("finishes") is not False,
        "environment": _object(
            {"environment": {key: value for key, value in event.items() if key not in _OF_THE_RUN}},
            "environment",
            ENVIRONMENT_LIMIT,
        ),
    }


_OF_THE_RUN = {"type", "name", "project", "config", "tags", "notes", "group", "resumed", "finishes"}


def _check_values(event: Event) -> Event:
    return {"values": _object(event, "values", CONFIG_LIMIT)}


def _check_environment(event: Event) -> Event:
    return {"values": _object(event, "values", ENVIRONMENT_LIMIT), "fills": event.get("fills") is True}


def _check_tags(event: Event) -> Event:
    return {"tags": _tags(event)}


def _check_notes(event: Event) -> Event:
    return {"notes": _text(event, "notes")}


def _check_media(event: Event) -> Event:
    kind = _one_of(event, "kind", MEDIA_KINDS)
    data = event.get("data")
    if depth(data) > DEPTH_LIMIT:
        raise EventInvalid(f"nests data more than {DEPTH_LIMIT} deep")
    if kind == "detections":
        _check_detections(data)
    elif kind == "image" and isinstance(data, dict) and data.get("boxes") is not None:
        _boxes(data["boxes"], "boxes")
    return {
        "kind": kind,
        "name": _required_name(event, "name"),
        "step": _integer(event, "step", 0),
        "epoch": _number(event, "epoch", None),
        "time": _time(event, "time"),
        "blob": _hash(event, "blob"),
        "mime": _name(event, "mime", None),
        "data": _dump(data, "data"),
    }


def _check_detections(data: object) -> None:
    if not isinstance(data, dict):
        raise EventInvalid("has detections whose data is no JSON object")
    n_boxes = _boxes(data.get("truth") or [], "truth")
    stages = data.get("stages") or []
    if not isinstance(stages, list) or len(stages) > STAGES_LIMIT:
        raise EventInvalid(f"must have at most {STAGES_LIMIT} stages")
    for number, stage in enumerate(stages):
        where = f"stages[{number}]"
        if not isinstance(stage, dict) or name_problem(stage.get("name")):
            raise EventInvalid(f"has no name in {where}")
        n = _boxes(stage.get("boxes") or [], f"{where}.boxes")
        n_boxes += n
        for key in ("scores", "parents"):
            column = stage.get(key)
            if column is not None and (not isinstance(column, list) or len(column) != n):
                raise EventInvalid(f"must have one of {where}.{key} for each of its {n} boxes")
    if n_boxes > BOXES_LIMIT:
        raise EventInvalid(f"may have {BOXES_LIMIT} boxes, got {n_boxes}")


def _boxes(boxes: object, where: str) -> int:
    if isinstance(boxes, list) and not boxes:
        return 0
    if isinstance(boxes, list) and isinstance(boxes[0], dict):  # with labels: [{"box": […], "label": …}]
        boxes = [item.get("box") if isinstance(item, dict) else item for item in boxes]
    try:
        array = np.asarray(boxes, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all():
        raise EventInvalid(f"must have {where} as lists of four finite numbers")
    return len(array)


def _check_artifact(event: Event) -> Event:
    blob = _hash(event, "blob")
    path = event.get("path")
    if path is not None and not isinstance(path, str):
        raise EventInvalid("must have path as text")
    size = _integer(event, "size_bytes", 0)
    return {
        "name": _required_name(event, "name"),
        "kind": _name(event, "kind", "file"),
        "blob": blob,
        "size_bytes": size,
        "path": clean(path or "", 4096),
        "time": _time(event, "time"),
    }


def _check_alert(event: Event) -> Event:
    title = event.get("title")
    if not isinstance(title, str) or not title:
        raise EventInvalid("must have a title")
    return {
        "title": clean(title[:NAME_LENGTH]),
        "text": _text(event, "text"),
        "level": _one_of(event, "level", ALERT_LEVELS),
        "time": _time(event, "time"),
    }


def _check_log(event: Event) -> Event:
    return {
        "stream": _one_of(event, "stream", STREAMS),
        "text": _text(event, "text"),
        "time": _time(event, "time"),
    }


def _check_finish(event: Event) -> Event:
    return {
        "status": _one_of(event, "status", FINISH_STATUSES),
        "traceback": _text(event, "traceback") or None,
        "time": _time(event, "time"),
    }


def _check_dropped(event: Event) -> Event:
    return {
        "count": _integer(event, "count", 0),
        "reason": _text(event, "reason"),
        "time": _time(event, "time"),
    }


_CHECKERS: dict[str, Callable[[Event], Event]] = {
    "run": _check_run,
    "config": _check_values,
    "summary": _check_values,
    "environment": _check_environment,
    "tags": _check_tags,
    "notes": _check_notes,
    "media": _check_media,
    "artifact": _check_artifact,
    "alert": _check_alert,
    "log": _check_log,
    "finish": _check_finish,
    "dropped": _check_dropped,
}


def _required_name(event: Event, key: str) -> str:
    problem = name_problem(event.get(key))
    if problem:
        raise EventInvalid(f"has a {key} that {problem}")
    return str(event[key])


def _name(event: Event, key: str, default: str | None) -> str | None:
    if event.get(key) is None or event[key] == "":
        return default
    return _required_name(event, key)


def _text(event: Event, key: str) -> str:
    text = event.get(key)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise EventInvalid(f"must have {key} as text, got {str(text)[:80]!r}")
    return clean(text)


def _one_of(event: Event, key: str, allowed: tuple[str, ...]) -> str:
    value = event.get(key)
    if value not in allowed:
        raise EventInvalid(f"must have {key} as one of {', '.join(allowed)}, got {str(value)[:80]!r}")
    return str(value)


def _integer(event: Event, key: str, default: int | None) -> int | None:
    value = event.get(key)
    if value is None:
        return default
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        value = int(value)  # beyond 2**53 integers travel as text
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < STEP_LIMIT:
        raise EventInvalid(f"must have {key} as an integer from 0 to 2**63 - 1, got {str(value)[:80]!r}")
    return value


def _number(event: Event, key: str, default: float | None) -> float | None:
    value = event.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise EventInvalid(f"must have {key} as a finite number, got {str(value)[:80]!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise EventInvalid(f"must have {key} as a finite number, got {str(value)[:80]!r}")
    return number


def _time(event: Event, key: str, default: float | None = 0.0) -> float | None:
    return _number(event, key, default)


def _hash(event: Event, key: str) -> str | None:
    value = event.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise EventInvalid(f"must have {key} as 64 hexadecimal digits, got {str(value)[:80]!r}")
    return value


def _tags(event: Event) -> list[str]:
    tags = event.get("tags") or []
    if not isinstance(tags, list) or len(tags) > TAGS_LIMIT:
        raise EventInvalid(f"must have tags as a list of at most {TAGS_LIMIT} names")
    for tag in tags:
        problem = name_problem(tag)
        if problem:
            raise EventInvalid(f"has a tag that {problem}")
    return sorted(set(tags))


def _object(event: Event, key: str, limit: int) -> dict[str, Any]:
    value = event.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise EventInvalid(f"must have {key} as a JSON object, got {str(value)[:80]!r}")
    if depth(value) > DEPTH_LIMIT:
        raise EventInvalid(f"nests {key} more than {DEPTH_LIMIT} deep")
    length = len(_dump(value, key))
    if length > limit:
        raise EventInvalid(f"may have {limit} characters of {key}, got {length}")
    return value


def _dump(value: object, key: str) -> str:
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise EventInvalid(f"has {key} that cannot be kept as JSON: {error}") from error
