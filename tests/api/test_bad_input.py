"""Whatever is wrong with a request: a problem that says so, and a store that stays as it was."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import Any

import pytest

from deepevent import wire

RUN = "01j0000000000000000000000a"
DEEP = "[" * 40 + "]" * 40
EVENT = {"metrics": {"loss": 1.0}}


def _json(value: Any) -> dict[str, Any]:
    return {"data": json.dumps(value), "headers": {"Content-Type": "application/json"}}


def _text(text: str | bytes) -> dict[str, Any]:
    return {"data": text, "headers": {"Content-Type": "application/json"}}


def _batch(text: bytes) -> dict[str, Any]:
    return {"data": text, "headers": {"Content-Type": wire.CONTENT_TYPE}}


def _key(key: str) -> dict[str, Any]:
    return {
        "data": json.dumps({"events": [EVENT]}),
        "headers": {"Content-Type": "application/json", "Idempotency-Key": key},
    }


GOOD_BATCH = wire.encode(
    wire.build_batch(
        RUN, RUN, 1, [wire.build_event(1, {"type": "run", "name": "x", "created": 1.0, "rank": 0})]
    )
)

CASES: list[tuple[str, str, dict[str, Any], int]] = [
    # what is no JSON, or not as plain as JSON has to be
    ("POST", "/runs", _text("{"), 400),
    ("POST", "/runs", _text(b"\xff\xfe{}"), 400),
    ("POST", "/runs", _text(b"\xef\xbb\xbf{}"), 400),
    ("POST", "/runs", _text("{}".encode("utf-16")), 400),
    ("POST", "/runs", _text("[]"), 400),
    ("POST", "/runs", _text("null"), 400),
    ("POST", "/runs", _text('{"config": {"a": NaN}}'), 400),
    ("POST", "/runs", _text('{"config": {"a": -Infinity}}'), 400),
    ("POST", "/runs", _text('{"config": {"a": 1e400}}'), 400),
    ("POST", "/runs", _text('{"config": {"a": 9223372036854775808}}'), 400),
    ("POST", "/runs", _text('{"config": {"a": ' + "9" * 5000 + "}}"), 400),
    ("POST", "/runs", _text('{"name": "a", "name": "b"}'), 400),
    ("POST", "/runs", _text('{"name": "\\ud800"}'), 400),
    ("POST", "/runs", _text('{"name": "a\\u0000b"}'), 400),
    ("POST", "/runs", _text('{"config": {"a": ' + DEEP + "}}"), 400),
    ("POST", "/runs", _text("[" * 100_000), 400),
    ("POST", "/runs", {"data": "{}", "headers": {"Content-Type": "text/plain"}}, 415),
    ("POST", "/runs", {"data": {"name": "a"}}, 415),
    ("POST", "/runs", {"data": "{}", "headers": {"Content-Encoding": "gzip"}}, 415),
    ("POST", "/runs", {}, 415),
    # wrong fields
    ("POST", "/runs", _json({"name": 1}), 422),
    ("POST", "/runs", _json({"name": "x" * 251}), 422),
    ("POST", "/runs", _json({"name": "two\nlines"}), 422),
    ("POST", "/runs", _json({"name": "\u202ereversed"}), 422),
    ("POST", "/runs", _json({"project": ""}), 422),
    ("POST", "/runs", _json({"tags": "lfw"}), 422),
    ("POST", "/runs", _json({"tags": ["x"] * 101}), 422),
    ("POST", "/runs", _json({"config": []}), 422),
    ("POST", "/runs", _json({"config": {"a": "x" * 300_000}}), 422),
    ("POST", "/runs", _json({"unheard_of": 1}), 422),
    ("POST", "/runs", _text('{"notes": "' + "x" * 1_100_000 + '"}'), 413),
    ("GET", "/runs?limit=0", {}, 422),
    ("GET", "/runs?limit=-1", {}, 422),
    ("GET", "/runs?limit=201", {}, 422),
    ("GET", "/runs?limit=1e2", {}, 422),
    ("GET", "/runs?limit=10&limit=20", {}, 422),
    ("GET", "/runs?cursor=tampered", {}, 422),
    ("GET", "/runs?sort=name;drop table", {}, 422),
    ("GET", "/runs?sort=(select 1)", {}, 422),
    ("GET", "/runs?filter=' or 1=1 --", {}, 422),
    ("GET", "/runs?filter=__import__('os')", {}, 422),
    ("GET", "/runs?filter=" + "(" * 500, {}, 422),
    ("GET", "/runs?unheard_of=1", {}, 422),
    ("GET", "/runs/nobody", {}, 404),
    ("GET", f"/runs/{RUN}", {}, 404),
    ("GET", "/runs/..%2f..%2fetc%2fpasswd", {}, 404),
    ("PATCH", f"/runs/{RUN}", _json({"name": "x"}), 404),
    ("PATCH", f"/runs/{RUN}", _json({}), 422),
    ("PATCH", f"/runs/{RUN}", _json({"archived": "yes"}), 422),
    ("PATCH", f"/runs/{RUN}", _json({"status": "completed"}), 422),
    ("DELETE", f"/runs/{RUN}", {}, 404),
    ("POST", f"/runs/{RUN}/stop", {}, 404),
    ("POST", f"/runs/{RUN}/stop", _text("x" * 2000), 413),
    ("GET", f"/runs/{RUN}/metrics", {}, 404),
    ("GET", f"/runs/{RUN}/media", {}, 404),
    ("GET", f"/runs/{RUN}/media?kind=pickle", {}, 422),
    ("GET", f"/runs/{RUN}/logs?after=-1", {}, 422),
    ("GET", f"/runs/{RUN}/artifacts", {}, 404),
    ("GET", "/compare", {}, 422),
    ("GET", f"/compare?runs={RUN}", {}, 404),
    ("GET", "/compare?runs=" + ",".join([RUN] * 101), {}, 422),
    # curves
    ("POST", "/curves", _json({}), 422),
    ("POST", "/curves", _json({"queries": [{"run": "x", "metric": "a"}]}), 422),
    ("POST", "/curves", _json({"queries": [{"run": RUN, "metric": "a", "rank": True}]}), 422),
    ("POST", "/curves", _json({"queries": [{"run": RUN, "metric": "a"}] * 1001}), 422),
    ("POST", "/curves", _json({"queries": [], "x": "rank"}), 422),
    ("POST", "/curves", _json({"queries": [], "pixels": 0}), 422),
    ("POST", "/curves", _json({"queries": [], "pixels": 1.5}), 422),
    ("POST", "/curves", _json({"queries": [], "from": 2, "to": 1}), 422),
    ("POST", "/curves", _json({"queries": [], "smoothing": {"kind": "magic", "weight": 0.5}}), 422),
    ("POST", "/curves", _json({"queries": [], "smoothing": {"kind": "ema", "weight": 1.0}}), 422),
    # events
    ("POST", "/events", _json({"events": []}), 422),
    ("POST", "/events", _json({"events": ["x"]}), 422),
    ("POST", "/events", _json({"events": [EVENT], "run": "x"}), 422),
    ("POST", "/events", _json({"events": [EVENT], "run": RUN}), 404),
    ("POST", "/events", _json({"events": [{"metrics": {}}]}), 422),
    ("POST", "/events", _json({"events": [{"metrics": {"a": "1"}}]}), 422),
    ("POST", "/events", _json({"events": [{"metrics": {"a": True}}]}), 422),
    ("POST", "/events", _json({"events": [{"metrics": {"a" * 251: 1}}]}), 422),
    ("POST", "/events", _json({"events": [EVENT | {"step": 1.5}]}), 422),
    ("POST", "/events", _json({"events": [EVENT | {"step": True}]}), 422),
    ("POST", "/events", _json({"events": [EVENT | {"step": "1"}]}), 422),
    ("POST", "/events", _json({"events": [EVENT | {"step": -1}]}), 422),
    ("POST", "/events", _json({"events": [{"type": "run", "name": "x"}]}), 422),
    ("POST", "/events", _json({"events": [{"type": "finish", "status": "won"}]}), 422),
    ("POST", "/events", _json({"events": [EVENT] * 2001}), 422),
    ("POST", "/events", _key("x"), 400),
    ("POST", "/events", _key(f"{RUN}:0"), 400),
    ("POST", "/events", _key(f"{RUN}:-1"), 400),
    ("POST", "/events", _key(f"{RUN}:9223372036854775808"), 400),
    ("POST", "/events", _key(f"{RUN}:5"), 409),
    # batches
    ("POST", "/ingest", _batch(b"x"), 422),
    ("POST", "/ingest", _batch(b"x" * 200), 422),
    ("POST", "/ingest", _batch(GOOD_BATCH[:-1]), 422),
    ("POST", "/ingest", _batch(GOOD_BATCH + b"x"), 422),
    ("POST", "/ingest", _batch(GOOD_BATCH[:-1] + b"x"), 422),
    ("POST", "/ingest", {"data": GOOD_BATCH, "headers": {"Content-Type": "application/json"}}, 415),
    ("POST", "/ingest", _batch(b"x" * (8 * 1024 * 1024 + 129)), 413),
    # blobs
    ("PUT", "/blobs/xyz", {"data": b"x"}, 404),
    ("PUT", "/blobs/" + "0" * 64, {"data": b"x"}, 422),
    ("GET", "/blobs/" + "0" * 64, {}, 404),
    ("GET", "/blobs/" + "0" * 64 + "?type=image/svg%2bxml", {}, 422),
    ("GET", "/blobs/..%2f..%2fdeepevent.db", {}, 404),
    # no such thing
    ("GET", "/nothing", {}, 404),
    ("PUT", "/runs", _json({}), 405),
    ("OPTIONS", "/runs", {}, 405),
]


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    CASES,
    ids=[f"{n}-{c[0]}-{c[1][:40]}" for n, c in enumerate(CASES)],
)
def test_a_bad_request_is_a_problem_and_changes_nothing(
    shared_server: Any, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    """The status says whose fault it is, the body is problem+json, and not a row of the store changes."""
    before = _contents(shared_server)
    answer = shared_server.call(method, "/api/v1" + path, **options)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"] and problem["title"] and problem["type"]
    assert all({"field", "detail"} <= error.keys() for error in problem["errors"])
    assert "Traceback" not in answer.text
    assert _contents(shared_server) == before


def test_every_mistake_is_named_at_once(shared_server: Any) -> None:
    """A request with three wrong fields hears of all three."""
    answer = shared_server.call("POST", "/api/v1/runs", json={"name": 1, "tags": 2, "notes": 3})
    assert {error["field"] for error in answer.json()["errors"]} == {"name", "tags", "notes"}


def test_an_unreadable_request_is_a_problem(shared_server: Any) -> None:
    """What is no HTTP gets problem+json too, and says nothing of the sender's words."""
    import socket

    with socket.create_connection(("127.0.0.1", shared_server.port), timeout=10) as connection:
        connection.sendall(b"<script>\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert b" 400 " in answer.splitlines()[0]
    assert b"application/problem+json" in answer
    assert b"<script>" not in answer


def _contents(server: Any) -> str:
    database = sqlite3.connect(f"file:{server.home / 'deepevent.db'}?mode=ro", uri=True)
    try:
        return hashlib.sha256("\n".join(database.iterdump()).encode()).hexdigest()
    finally:
        database.close()
