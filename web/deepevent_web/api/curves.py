"""Curves: many runs × many metrics thinned for a screen, and the raw points of one metric."""

from __future__ import annotations

import struct
from typing import Any

from flask import Response, request

from deepevent.store import curves
from deepevent.store.smoothing import ROLLING_LIMIT
from deepevent_web.answers import Curve
from deepevent_web.fields import ULID, Fields, Query, json_body
from deepevent_web.limits import LIMITS
from deepevent_web.routes import Answer, Body, Noun
from deepevent_web.serialise import answer, dumps
from deepevent_web.services import services

noun = Noun("curves")
MAX_QUERIES = LIMITS.queries_per_request
MAX_PIXELS = 8192
MAX_WEIGHT = 0.9999
MAX_POINTS = 1 << 20
AXES = ("step", "time", "relative", "epoch")
BINARY = "application/octet-stream"


@noun.route(
    "POST",
    "/curves",
    role="viewer",
    summary="Curves of many runs and metrics, thinned to what a screen can show",
    body=Body(),
    answers={
        200: Answer(
            "the curves; with Accept: application/octet-stream, columns of float64",
            {"revision": int, "curves": list[Curve]},
            others={BINARY: None},
        )
    },
)
def read() -> Response:
    """Read curves."""
    fields = Fields(json_body())
    raw = fields.sequence("queries", limit=MAX_QUERIES)
    x = fields.choice("x", AXES, "step")
    start = fields.number("from", None)
    stop = fields.number("to", None)
    pixels = fields.integer("pixels", 1000, low=1, high=MAX_PIXELS)
    smoothing = _smoothing(fields)
    queries = _queries(fields, raw) if isinstance(raw, list) else []
    if start is not None and stop is not None and start > stop:
        fields.wrong("from", "must not be above `to`")
    fields.done()
    found = curves.read_curves(
        services().db, queries, x=x, start=start, stop=stop, pixels=pixels, smoothing=smoothing
    )
    if request.accept_mimetypes.best_match(["application/json", BINARY], "application/json") == BINARY:
        return Response(_binary(found), 200, {"Content-Type": BINARY})
    return answer(
        {"revision": found.revision, "curves": [_header(curve) | _columns(curve) for curve in found.curves]}
    )


@noun.route(
    "GET",
    "/runs/<run>/points",
    role="viewer",
    summary="A metric's points as they were logged, in order of arrival, bit for bit",
    query={
        "metric": "its name",
        "rank": "of the process that logged it; default: the lowest that has the metric",
        "after": "leave out that many points; default 0",
        "limit": f"1 to {MAX_POINTS}",
    },
    answers={
        200: Answer("a header and the columns step (int64), time and value (float64)", content_type=BINARY),
        404: "no such metric",
    },
)
def points(run: str) -> Response:
    """Read raw points."""
    query = Query()
    metric = query.text("metric", limit=250)
    rank = query.count("rank", -1, low=0, high=2**31 - 1)
    after = query.count("after", 0, low=0, high=2**62)
    limit = query.count("limit", MAX_POINTS, low=1, high=MAX_POINTS)
    query.done()
    db = services().db
    rank = curves.lowest_rank(db, run, metric) if rank < 0 else rank
    found = curves.read_points(db, run, metric, rank, after, limit)
    head = {"run": run, "metric": metric, "rank": rank, "first_index": found.first_index}
    head |= {"columns": ["step", "time", "value"], "length": len(found.steps)}
    columns = (found.steps.astype("<i8"), found.times.astype("<f8"), found.values.astype("<f8"))
    return Response(_framed(head, [column.tobytes() for column in columns]), 200, {"Content-Type": BINARY})


def _queries(fields: Fields, raw: list[Any]) -> list[curves.Query]:
    queries: list[curves.Query] = []
    for index, item in enumerate(raw):
        if not isinstance(item, dict):
            fields.wrong(f"queries[{index}]", "must be an object {run, metric, rank}")
            continue
        part = Fields(item, f"queries[{index}].")
        run = part.text("run", limit=26)
        metric = part.text("metric", limit=250)
        rank = part.integer("rank", None, low=0, high=2**31 - 1)
        if isinstance(run, str) and not ULID.match(run):
            part.wrong("run", "must be a run's id")
        fields.errors.extend(part.errors)
        if not part.errors:
            queries.append(curves.Query(run, metric, rank))
    return queries


def _smoothing(fields: Fields) -> dict[str, Any] | None:
    given = fields.mapping("smoothing", None)
    if not isinstance(given, dict):
        return None
    part = Fields(given, "smoothing.")
    smoothing = {"kind": part.choice("kind", ("ema", "mean", "median"))}
    if smoothing["kind"] == "ema":
        smoothing["weight"] = part.number("weight", low=0.0, high=MAX_WEIGHT)
    else:
        smoothing["window"] = part.integer("window", low=1, high=ROLLING_LIMIT)
    fields.errors.extend(part.errors)
    return smoothing


def _header(curve: curves.Curve) -> dict[str, Any]:
    return {
        "run": curve.run,
        "metric": curve.metric,
        "rank": curve.rank,
        "n_points": curve.n_points,
        "thinned": curve.thinned,
        "columns": list(curve.columns),
        "length": len(curve.x),
        "nonfinite": curve.nonfinite,
        "n_nonfinite": curve.n_nonfinite,
    }


def _columns(curve: curves.Curve) -> dict[str, Any]:
    return {name: column.tolist() for name, column in curve.columns.items()}


def _binary(found: curves.CurveSet) -> bytes:
    head = {"revision": found.revision, "curves": [_header(curve) for curve in found.curves]}
    columns = (column for curve in found.curves for column in curve.columns.values())
    return _framed(head, [column.astype("<f8", copy=False).tobytes() for column in columns])


def _framed(head: dict[str, Any], columns: list[bytes]) -> bytes:
    """Return the length of the JSON, the JSON, zeros up to a multiple of 8, and the columns."""
    text = dumps(head).encode()
    return b"".join([struct.pack("<I", len(text)), text, bytes(-(4 + len(text)) % 8), *columns])
