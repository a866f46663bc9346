"""B: the way in for events, spoken to by somebody who means ill or whose network does."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest

from deepevent import wire
from deepevent.ids import new_id

pytestmark = pytest.mark.usefixtures("unharmed")

EVENT = {"metrics": {"a": 1.0}}
BATCH = {"Content-Type": wire.CONTENT_TYPE}
FORM_TYPES = ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]


def _start(name: str = "x") -> bytes:
    return wire.build_event(1, {"type": "run", "name": name, "created": 1.0})


def _send(client: Any, *arguments: Any, **options: Any) -> Any:
    body = wire.encode(wire.build_batch(*arguments, **options))
    return client.call("POST", "/ingest", data=body, headers=BATCH)


def _n(client: Any, run: str) -> int:
    return int(client.call("GET", f"/runs/{run}/metrics").json()["metrics"][0]["n"])


def test_a_batch_sent_twice_counts_once(operator: Any) -> None:
    """B1: the same bytes again are acknowledged and change nothing."""
    run = new_id()
    batch = (run, run, 1, [_start(), wire.build_shape(2, 7, ["a"]), wire.build_points(3, 7, 0, 1.0, [1.0])])
    assert [_send(operator, *batch).json()["acknowledged"] for _ in range(3)] == [3, 3, 3]
    assert _n(operator, run) == 1


def test_the_first_of_two_contents_wins(operator: Any) -> None:
    """B2: what is committed under a sequence stays; the same number with another content changes nothing."""
    run = new_id()
    head = [_start(), wire.build_shape(2, 7, ["a"])]
    _send(operator, run, run, 1, [*head, wire.build_points(3, 7, 0, 1.0, [1.0])])
    assert _send(operator, run, run, 3, [wire.build_points(3, 7, 0, 1.0, [99.0])]).status_code == 200
    assert operator.call("GET", f"/runs/{run}/metrics").json()["metrics"][0]["max"] == 1.0


def test_a_gap_names_what_is_expected(operator: Any) -> None:
    """B3: a batch that leaves records out is a 409 with the number to go on from."""
    run = new_id()
    _send(operator, run, run, 1, [_start()])
    answer = _send(operator, run, run, 9, [wire.build_shape(9, 7, ["a"])])
    assert (answer.status_code, answer.json()["expected"]) == (409, 2)


@pytest.mark.parametrize("first", [0, 1 << 63, (1 << 64) - 1])
def test_a_sequence_that_cannot_be_is_refused(operator: Any, first: int) -> None:
    """B4: numbers from 1 to 2**63 - 1, on both ways in."""
    run = new_id()
    records = [_start()]
    header = wire.BATCH_HEADER.pack(
        wire.BATCH_MAGIC,
        1,
        0,
        128,
        first,
        1,
        len(records[0]),
        zlib.crc32(records[0]),
        0,
        1.0,
        run.encode(),
        run.encode(),
    )
    assert operator.call("POST", "/ingest", data=header + records[0], headers=BATCH).status_code == 422
    assert operator.events(EVENT, key=f"{run}:{first}").status_code in (400, 409)
    assert operator.events(EVENT, key=f"{run}:-1").status_code == 400


def test_one_bad_event_is_named_by_its_place(operator: Any) -> None:
    """B5: of a thousand events the wrong one is named and nothing is half kept; without it all go in."""
    run = new_id()
    events: list[dict[str, Any]] = [EVENT] * 999
    answer = operator.events(*events[:500], {"metrics": {"a": True}}, *events[500:], key=f"{run}:1")
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {"events[500].metrics.a"}
    assert operator.call("GET", f"/runs/{run}").status_code == 404
    assert operator.events(*events, key=f"{run}:1").json()["acknowledged"] == 999


def test_two_writers_with_one_id_never_mix(operator: Any) -> None:
    """B6: of two copies of a spool, what the first had committed stays; the second adds nothing."""
    run = new_id()
    shape = wire.build_shape(2, 7, ["a"])
    rows = [wire.build_points(3 + i, 7, i, 1.0, [float(i)]) for i in range(4)]
    assert _send(operator, run, run, 1, [_start(), shape, *rows]).status_code == 200
    other = [wire.build_points(3 + i, 7, i, 1.0, [100.0 + i]) for i in range(4)]
    assert _send(operator, run, run, 1, [_start("copy"), shape, *other]).json()["acknowledged"] == 6
    assert _n(operator, run) == 4
    shown = operator.call("GET", f"/runs/{run}").json()
    assert (shown["name"], shown["metrics"]["a"]["max"]) == ("x", 3.0)
    wrong = _send(operator, run, run, 7, [wire.build_points(7, 7, 9, 1.0, [9.0])], rank=3)
    assert wrong.status_code == 422, "another process of the run came under the id of this writer"


def test_a_wrong_length_never_reaches_a_handler(raw: Callable[..., tuple[int, bytes]], target: Any) -> None:
    """B7: no length is 411, a wrong one 400, one beyond the limit 413, before a byte of the body is read."""
    head = (
        f"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {target.token}\r\n"
        "Content-Type: application/json\r\n"
    )
    for line, status in {
        "": 411,
        "Content-Length: -5\r\n": 400,
        "Content-Length: 1e3\r\n": 400,
        "Content-Length: 0x10\r\n": 400,
        "Content-Length: 99999999999999999999\r\n": 400,
        "Content-Length: 2147483648\r\n": 413,
        "Transfer-Encoding: chunked\r\n": 400,
    }.items():
        assert raw(f"{head}{line}\r\n" + ("zz\r\n\r\n" if "chunked" in line else ""))[0] == status, line


def test_a_cut_body_is_not_taken(wire: Callable[..., Any], target: Any, operator: Any) -> None:
    """B7: a connection that ends in the middle of a request leaves nothing behind."""
    run = new_id()
    one = wire()
    one.send(
        (
            f"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {target.token}\r\n"
            f"Idempotency-Key: {run}:1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
            '{"events": [{"metrics": {"a": 1}}'
        ).encode()
    )
    one.socket.shutdown(1)
    assert one.answer()[0] == 400
    assert operator.call("GET", f"/runs/{run}").status_code == 404


def test_a_run_that_is_not_there_says_nothing_more(operator: Any, new_run: Callable[..., str]) -> None:
    """B8: unknown and deleted runs answer alike, for reading and for logging."""
    gone, never = new_run(name="gone"), new_id()
    assert operator.call("DELETE", f"/runs/{gone}").status_code == 204
    read = [operator.call("GET", f"/runs/{run}") for run in (gone, never)]
    assert [answer.status_code for answer in read] == [404, 404]
    assert read[0].text.replace(gone, "") == read[1].text.replace(never, "")
    log = [operator.events(EVENT, run=run) for run in (gone, never)]
    assert [answer.status_code for answer in log] == [404, 404]
    assert log[0].text.replace(gone, "") == log[1].text.replace(never, "")


@pytest.mark.parametrize(
    "text",
    [
        b'{"name": "a", "name": "b"}',
        b'\xef\xbb\xbf{"name": "a"}',
        '{"name": "a"}'.encode("utf-16"),
        b'{"name": "\\ud800"}',
        b'{"name": "a\\u0000b"}',
        b'{"config": {"a\\u0000b": 1}}',
        b'{"name": "\xff"}',
        b'{"name": "a"',
        b"{'name': 'a'}",
        b'{"name": "a"} {}',
        b"[" * 100_000,
        b'{"config": ' + b'{"a": ' * 33 + b"1" + b"}" * 33 + b"}",
    ],
    ids=lambda text: str(text[:18]),
)
def test_json_is_read_strictly(operator: Any, text: bytes) -> None:
    """B9: a key twice, other encodings, half surrogates, NUL, a cut, and deep nesting are a 400."""
    answer = operator.call("POST", "/runs", data=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
@pytest.mark.parametrize("path", ["/runs", "/events", "/ingest", "/curves", "/jobs"])
def test_what_a_form_can_send_is_not_json(operator: Any, kind: str, path: str) -> None:
    """B12: only application/json is read as JSON, so no foreign page's form makes a request that counts."""
    answer = operator.call("POST", path, data=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415, answer.text
