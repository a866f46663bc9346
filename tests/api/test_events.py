"""Logging with plain JSON: exactly once, whatever is sent again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pytest

from deepevent.media import encode_png

WRITER = "01j0000000000000000000000b"


def _send(server: Any, number: int, *events: dict[str, Any], writer: str = WRITER, **more: Any) -> Any:
    return server.call(
        "POST",
        "/api/v1/events",
        json={"events": list(events), **more},
        headers={"Idempotency-Key": f"{writer}:{number}"},
    )


def _points(server: Any, run: str, metric: str) -> list[list[float]]:
    answer = server.call(
        "POST", "/api/v1/curves", json={"queries": [{"run": run, "metric": metric}]}, headers={}
    ).json()
    curve = answer["curves"][0]
    return [list(pair) for pair in zip(curve["step"], curve["value"], strict=True)]


def test_events_make_a_run_with_its_points(server: Any) -> None:
    """Without a run the first request makes one; steps count by themselves."""
    answer = _send(server, 1, {"metrics": {"loss": 0.5}}, {"metrics": {"loss": 0.25}}, name="from curl")
    assert answer.status_code == 200
    run = answer.json()["run"]
    assert answer.json()["acknowledged"] == 2
    assert _points(server, run, "loss") == [[0, 0.5], [1, 0.25]]
    assert server.call("GET", f"/api/v1/runs/{run}").json()["name"] == "from curl"


def test_a_request_sent_again_counts_once(server: Any) -> None:
    """The same key again, and a key whose request overlaps: every event is there once."""
    for _ in range(3):
        answer = _send(server, 1, *({"metrics": {"loss": float(n)}} for n in range(3)))
        assert answer.json()["acknowledged"] == 3
    run = answer.json()["run"]
    answer = _send(server, 2, *({"metrics": {"loss": float(n)}} for n in range(1, 5)), run=run)
    assert answer.json()["acknowledged"] == 5
    assert [value for _, value in _points(server, run, "loss")] == [0, 1, 2, 3, 4]


def test_a_gap_is_told(server: Any) -> None:
    """A lost request in between: 409 says from where to send again."""
    _send(server, 1, {"metrics": {"loss": 0.0}})
    answer = _send(server, 3, {"metrics": {"loss": 2.0}})
    assert (answer.status_code, answer.json()["expected"]) == (409, 2)


def test_other_events_land_where_they_belong(server: Any) -> None:
    """Config, summary, tags, alerts, texts and the end, out of one request."""
    answer = _send(
        server,
        1,
        {"type": "config", "values": {"lr": 0.1}},
        {"type": "summary", "values": {"best": 0.9}},
        {"type": "tags", "tags": ["lfw"]},
        {"type": "alert", "title": "plateau", "text": "no progress", "level": "warning"},
        {"type": "media", "kind": "text", "name": "note", "step": 1, "data": {"text": "<b>hi</b>"}},
        {"type": "log", "stream": "stdout", "text": "epoch 1"},
        {"metrics": {"acc": 1}, "epoch": 2},
        {"type": "finish", "status": "completed"},
    )
    assert answer.status_code == 200, answer.text
    run = server.call("GET", f"/api/v1/runs/{answer.json()['run']}").json()
    assert run["config"] == {"lr": 0.1}
    assert run["summary"]["best"] == 0.9
    assert run["tags"] == ["lfw"]
    assert run["status"] == "completed"
    assert run["metrics"]["epoch"]["last"] == 2
    media = server.call("GET", f"/api/v1/runs/{run['id']}/media").json()["media"]
    assert media[0]["data"]["text"] == "<b>hi</b>"
    lines = server.call("GET", f"/api/v1/runs/{run['id']}/logs").json()["lines"]
    assert [line["text"] for line in lines] == ["epoch 1"]


def test_nonfinite_and_huge_numbers_survive_the_way(server: Any) -> None:
    """NaN and infinities travel as strings, integers beyond 2**53 too, and nothing is rounded."""
    step = 2**53 + 1
    values = ["NaN", "Infinity", "-Infinity", 5e-324, 1e308, -0.0]
    answer = _send(server, 1, *({"metrics": {"x": value}, "step": step} for value in values))
    run = answer.json()["run"]
    metric = server.call("GET", f"/api/v1/runs/{run}/metrics").json()["metrics"][0]
    assert (metric["n_nan"], metric["n_positive_infinity"], metric["n_negative_infinity"]) == (1, 1, 1)
    assert metric["first_step"] == str(step)
    assert (metric["min"], metric["max"]) == (-0.0, 1e308)


@pytest.mark.parametrize("accept", ["application/json", "application/octet-stream"])
def test_curves_come_as_text_or_as_columns(server: Any, accept: str) -> None:
    """Both forms hold the same numbers."""
    import struct

    run = _send(server, 1, *({"metrics": {"x": n / 3}, "step": n} for n in range(50))).json()["run"]
    answer = server.call(
        "POST",
        "/api/v1/curves",
        json={"queries": [{"run": run, "metric": "x"}, {"run": run, "metric": "absent"}]},
        headers={"Accept": accept},
    )
    assert answer.headers["Content-Type"] == accept
    wanted = [n / 3 for n in range(50)]
    if accept == "application/json":
        curve = answer.json()["curves"][0]
        assert (curve["value"], curve["n_points"], curve["thinned"]) == (wanted, 50, False)
        return
    (size,) = struct.unpack_from("<I", answer.content)
    head = json.loads(answer.content[4 : 4 + size])
    assert [curve["length"] for curve in head["curves"]] == [50, 0]
    offset = 4 + size + (-(4 + size) % 8)
    columns = struct.unpack_from("<150d", answer.content, offset)
    assert list(columns[100:]) == wanted
    assert len(answer.content) == offset + 8 * 150


def test_a_blob_is_stored_once_and_served_safely(server: Any) -> None:
    """An image by its type, everything else as an attachment that no browser opens."""
    content = b"<script>alert(1)</script>"
    digest = hashlib.sha256(content).hexdigest()
    address = f"/api/v1/blobs/{digest}"
    assert [server.call("PUT", address, data=content).status_code for _ in range(2)] == [201, 200]
    answer = server.call("GET", address)
    assert answer.content == content
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "immutable" in answer.headers["Cache-Control"]
    assert server.call("GET", address + "?type=image/png").status_code == 422
    image = encode_png(np.zeros((4, 6, 3), np.uint8))
    address = f"/api/v1/blobs/{hashlib.sha256(image).hexdigest()}"
    server.call("PUT", address, data=image)
    shown = server.call("GET", address + "?type=image/png")
    assert shown.content == image
    assert shown.headers["Content-Type"] == "image/png"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    part = server.call("GET", address + "?type=image/png", headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    known = server.call("GET", address, headers={"If-None-Match": shown.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_a_compared_config_shows_only_what_differs(server: Any) -> None:
    """Equal keys are left out, absent ones show as absent, and what nobody recorded differs in nothing."""
    made = [
        server.call("POST", "/api/v1/runs", json={"name": name, "config": config}).json()["id"]
        for name, config in (
            ("a", {"lr": 0.1, "seed": 1, "net": {"size": 12}}),
            ("b", {"lr": 0.1, "seed": 2, "net": {"size": 12}, "dropout": 0.5}),
        )
    ]
    answer = server.call("GET", f"/api/v1/compare?runs={','.join(made)}").json()
    assert answer["differences"] == {
        "config": {"seed": {made[0]: 1, made[1]: 2}, "dropout": {made[1]: 0.5}},
        "packages": {},
        "git": {},
        "command": {},
    }
    assert [run["id"] for run in answer["runs"]] == made


def test_a_run_can_be_changed_stopped_and_deleted(server: Any) -> None:
    """PATCH, stop and DELETE, each seen by the next request."""
    run = _send(server, 1, {"metrics": {"x": 1}}).json()["run"]
    changed = server.call(
        "PATCH", f"/api/v1/runs/{run}", json={"name": "renamed", "tags": ["a"], "archived": True}
    ).json()
    assert (changed["name"], changed["tags"], changed["archived"]) == ("renamed", ["a"], True)
    assert server.call("POST", f"/api/v1/runs/{run}/stop").status_code == 202
    assert _send(server, 2, {"metrics": {"x": 2}}, run=run).json()["should_stop"] is True
    assert server.call("DELETE", f"/api/v1/runs/{run}").status_code == 204
    assert server.call("GET", f"/api/v1/runs/{run}").status_code == 404
    assert _send(server, 3, {"metrics": {"x": 3}}, run=run).status_code == 404
