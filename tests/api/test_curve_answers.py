"""`POST /curves` and `GET /runs/{id}/points`: the binary answers are as docs/api.md says, to the bit."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest

import deepevent

VALUES = [0.1, float("nan"), 1e308, -0.0, 5e-324, float("inf")]


@pytest.fixture
def run_id(server: Any) -> str:
    """A run with a few awkward values."""
    run = deepevent.start(name="answers")
    for step, value in enumerate(VALUES):
        run.log({"loss": value}, step=step)
    assert run.flush(30)
    run.finish()
    return str(run.id)


def unframe(content: bytes) -> tuple[dict[str, Any], bytes]:
    (size,) = struct.unpack_from("<I", content)
    return json.loads(content[4 : 4 + size]), content[(4 + size + 7) // 8 * 8 :]


def test_binary_curves(server: Any, run_id: str) -> None:
    """The header names the columns and does not hold them; smoothing adds one."""
    body = {
        "queries": [{"run": run_id, "metric": "loss"}],
        "smoothing": {"kind": "ema", "weight": 0.5},
    }
    answer = server.call("POST", "/api/v1/curves", json=body, headers={"Accept": "application/octet-stream"})
    assert answer.status_code == 200, answer.text
    head, rest = unframe(answer.content)
    (curve,) = head["curves"]
    assert curve["columns"] == ["x", "step", "value", "smooth"]
    assert len(rest) == 8 * len(curve["columns"]) * curve["length"]


def test_json_curves(server: Any, run_id: str) -> None:
    """As JSON each curve holds its columns beside its header."""
    body = {"queries": [{"run": run_id, "metric": "loss"}]}
    (curve,) = server.call("POST", "/api/v1/curves", json=body).json()["curves"]
    assert curve["columns"] == ["x", "step", "value"]
    assert len(curve["value"]) == curve["length"]


def test_raw_points(server: Any, run_id: str) -> None:
    """Raw points come bit for bit, and `after` leaves out the first ones."""
    path = f"/api/v1/runs/{run_id}/points"
    head, rest = unframe(server.call("GET", path, params={"metric": "loss"}).content)
    n = head["length"]
    assert head["columns"] == ["step", "time", "value"]
    assert np.frombuffer(rest[: 8 * n], "<i8").tolist() == list(range(len(VALUES)))
    assert rest[16 * n :] == np.array(VALUES, "<f8").tobytes()
    head, _ = unframe(server.call("GET", path, params={"metric": "loss", "after": "4"}).content)
    assert (head["first_index"], head["length"]) == (4, 2)


def test_points_of_no_metric(server: Any, run_id: str) -> None:
    """A metric that is not there is a 404."""
    path = f"/api/v1/runs/{run_id}/points"
    assert server.call("GET", path, params={"metric": "nothing"}).status_code == 404
