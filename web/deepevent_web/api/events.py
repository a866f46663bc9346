"""`POST /events`: plain JSON, for curl and other languages; becomes a batch, so that there is one way in.

Exactly once without any state of its own: `Idempotency-Key: <writer id>:<number>` gives the number, from
1, of the request's first event among all events of that writer. Event k becomes the records 2k and 2k+1
(a shape and its points, or a summary that changes nothing and the event), and record 1 is the writer's
`run` event. So the store's rule for batches holds for events too.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Mapping
from typing import Any

from flask import Response, request

from deepevent import wire
from deepevent.errors import SequenceGap
from deepevent.ids import new_id
from deepevent.jsontext import dumps
from deepevent.store import runs
from deepevent_web.answers import Id, Whole
from deepevent_web.api.ingest import submit
from deepevent_web.fields import ULID, Fields, json_body
from deepevent_web.limits import LIMITS
from deepevent_web.problems import Problem
from deepevent_web.routes import Answer, Body, Noun
from deepevent_web.serialise import answer
from deepevent_web.services import services

noun = Noun("events")
MAX_EVENTS = LIMITS.events_per_request
MAX_METRICS = 1000
BODY_LIMIT_BYTES = LIMITS.event_bytes
TYPES = ("config", "summary", "environment", "tags", "notes", "media", "artifact", "alert", "log", "finish")
NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NOTHING = {"type": "summary", "values": {}}


@noun.route(
    "POST",
    "/events",
    role="logger",
    summary="Log events as plain JSON",
    body=Body(
        limit_bytes=BODY_LIMIT_BYTES,
        schema={
            "type": "object",
            "required": ["events"],
            "properties": {
                "run": {"type": ["string", "null"]},
                "project": {"type": "string"},
                "name": {"type": "string"},
                "events": {"type": "array", "maxItems": MAX_EVENTS, "items": {"type": "object"}},
            },
        },
    ),
    answers={
        200: Answer("durable", {"run": Id, "acknowledged": Whole, "should_stop": bool}),
        409: "a gap: send again from event `expected`",
    },
    adds=True,
)
def add() -> Response:
    """Take events."""
    writer, number = _idempotency_key(request.headers.get("Idempotency-Key"))
    fields = Fields(json_body())
    run = fields.ulid("run", None)
    project = fields.name("project", None)
    name = fields.name("name", None)
    raw = fields.sequence("events", limit=MAX_EVENTS)
    records: list[bytes] = []
    if isinstance(raw, list):
        if not raw:
            fields.wrong("events", "must hold at least one event")
        for index, item in enumerate(raw[:MAX_EVENTS]):
            records += _records(fields, f"events[{index}]", item, number + index)
    fields.done()
    if run is not None:
        known = runs.get_run(services().db, run)
        name, project = known["name"], known["project"]
    run = run or writer
    first = 2 * number
    if number == 1:
        start = {
            "type": "run",
            "name": name,
            "project": project or "default",
            "created": time.time(),
            "rank": 0,
        }
        records.insert(0, wire.build_event(1, start | {"resumed": run != writer}))
        first = 1
    try:
        sequence, should_stop = submit(wire.build_batch(run, writer, first, records))
    except SequenceGap as gap:
        expected = max(1, gap.expected // 2)
        raise Problem(
            409, f"event {number} leaves a gap; send again from {expected}", extra={"expected": expected}
        ) from gap
    return answer({"run": run, "acknowledged": (sequence - 1) // 2, "should_stop": should_stop})


def _idempotency_key(header: str | None) -> tuple[str, int]:
    if header is None:
        return new_id(), 1
    writer, _, number = header.partition(":")
    if not (
        ULID.match(writer)
        and number.isascii()
        and number.isdigit()
        and 1 <= len(number) <= 18
        and int(number)
    ):
        raise Problem(
            400,
            "Idempotency-Key must be <writer id>:<number>: 26 characters of a ULID in lower case, a colon "
            "and the number, from 1, of the first event sent with it",
        )
    return writer, int(number)


def _records(fields: Fields, where: str, item: object, number: int) -> list[bytes]:
    """The two records of event `number`; mistakes go into `fields`."""
    if not isinstance(item, dict):
        fields.wrong(where, "must be an object")
        return []
    if "type" in item:
        return _other(fields, where, item, number)
    part = Fields(item, where + ".")
    values = _values(part, part.mapping("metrics"))
    step = part.integer("step", number - 1)
    epoch = part.number("epoch", None)
    when = part.number("time", None)
    try:
        part.done()
    except Problem as problem:
        fields.errors.extend(problem.errors)
        return []
    if epoch is not None:
        values["epoch"] = epoch
    names = list(values)
    shape = zlib.crc32(dumps(names).encode())
    return [
        wire.build_shape(2 * number, shape, names),
        wire.build_points(
            2 * number + 1, shape, step, time.time() if when is None else when, list(values.values())
        ),
    ]


def _values(part: Fields, metrics: object) -> dict[str, float]:
    if not isinstance(metrics, dict):
        return {}
    if not 1 <= len(metrics) <= MAX_METRICS:
        part.wrong("metrics", f"must hold 1 to {MAX_METRICS} metrics")
    found: dict[str, float] = {}
    for name, value in metrics.items():
        part.check_name("metrics", name)
        if type(value) in (int, float):
            found[name] = float(value)
        elif isinstance(value, str) and value in NONFINITE:
            found[name] = NONFINITE[value]
        else:
            part.wrong(f"metrics.{name[:80]}", 'must be a number, "NaN", "Infinity" or "-Infinity"')
    return found


def _other(fields: Fields, where: str, item: Mapping[str, Any], number: int) -> list[bytes]:
    if item["type"] not in TYPES:
        fields.wrong(f"{where}.type", f"must be one of {', '.join(TYPES)}; leave it out for metrics")
        return []
    event = dict(item)
    if item["type"] in ("media", "artifact", "alert", "log", "finish"):
        event.setdefault("time", time.time())
    return [wire.build_event(2 * number, _NOTHING), wire.build_event(2 * number + 1, event)]
