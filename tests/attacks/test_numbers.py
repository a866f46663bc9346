"""A: numbers and times that break parsers, databases and charts."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest

from deepevent import wire
from deepevent.ids import new_id

pytestmark = pytest.mark.usefixtures("unharmed")

JSON = {"Content-Type": "application/json"}


def _raw_event(value: str, step: str = "0") -> str:
    return '{"events": [{"metrics": {"a": ' + value + '}, "step": ' + step + "}]}"


def _points(operator: Any, run: str, metric: str) -> tuple[list[int], list[float]]:
    answer = operator.call("GET", f"/runs/{run}/points?metric={metric}&limit=1000")
    (size,) = struct.unpack_from("<I", answer.content)
    n = json.loads(answer.content[4 : 4 + size])["length"]
    start = (4 + size + 7) // 8 * 8
    steps = struct.unpack_from(f"<{n}q", answer.content, start)
    values = struct.unpack_from(f"<{n}d", answer.content, start + 16 * n)
    return list(steps), list(values)


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9223372036854775808", str(10**30), "9" * 5000],
)
def test_what_is_no_json_number_is_refused(operator: Any, value: str) -> None:
    """A1, A2, A4: literals that JSON has not, and numbers beyond 64 bits, are a 400."""
    answer = operator.call("POST", "/events", data=_raw_event(value), headers=JSON)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("step", ["-1", "1.5", "true", '"1"', "null", "[1]"])
def test_a_step_is_a_whole_number_from_0(operator: Any, step: str) -> None:
    """A5, A6: a negative step, a fraction, a bool and a text are refused; null means the next one."""
    answer = operator.call("POST", "/events", data=_raw_event("1", step), headers=JSON)
    assert answer.status_code == (200 if step == "null" else 422), answer.text


def test_extreme_numbers_are_kept_to_the_last_bit(operator: Any) -> None:
    """A1, A3, A5: NaN, infinities, the largest, the smallest, -0.0 and steps beyond 2**53 come back exact."""
    values: list[Any] = ["NaN", "Infinity", "-Infinity", 1e308, -1e308, 5e-324, -0.0, 1.5]
    steps = [0, 1, 2, 3, 4, 2**53 + 1, 2**63 - 2, 2**63 - 1]
    made = operator.events(
        *({"metrics": {"a": value}, "step": step} for value, step in zip(values, steps, strict=True))
    )
    run = made.json()["run"]
    expected = [math.nan, math.inf, -math.inf, *values[3:]]
    got_steps, got = _points(operator, run, "a")
    assert got_steps == steps
    assert [struct.pack("<d", x) for x in got] == [struct.pack("<d", x) for x in expected]
    shown = operator.call("GET", f"/runs/{run}/metrics").json()["metrics"][0]
    assert shown["last_step"] == str(2**63 - 1)
    curve = operator.call("POST", "/curves", json={"queries": [{"run": run, "metric": "a"}]}).json()
    assert curve["curves"][0]["n_nonfinite"] == 3
    drawn = [value for value in curve["curves"][0]["value"] if value not in ("NaN", "Infinity", "-Infinity")]
    assert drawn == values[3:]


def test_steps_in_any_order_are_drawn_in_order(operator: Any) -> None:
    """A7, A8: steps that go back are sorted on the curve, and of a repeated step the newest value counts."""
    made = operator.events(
        *({"metrics": {"a": value}, "step": step} for step, value in [(10, 1), (5, 2), (7, 3), (5, 4)])
    )
    run = made.json()["run"]
    query = {"queries": [{"run": run, "metric": "a"}]}
    answers = [operator.call("POST", "/curves", json=query).json()["curves"][0] for _ in range(2)]
    assert answers[0]["step"] == [5, 7, 10]
    assert answers[0]["value"] == [4, 3, 1]
    assert answers[0] == answers[1]
    assert _points(operator, run, "a") == ([10, 5, 7, 5], [1, 2, 3, 4])


@pytest.mark.parametrize("when", [0.0, -1e9, 9_214_646_400.0, 1e15, 5e-324])
def test_a_clock_that_is_wrong_moves_nothing(operator: Any, when: float) -> None:
    """A9: times of any century are kept as given, and the order is that of the sequence numbers."""
    made = operator.events(
        {"metrics": {"a": 1}, "step": 0, "time": when},
        {"metrics": {"a": 2}, "step": 1, "time": when - 86_400},
    )
    assert made.status_code == 200, made.text
    run = made.json()["run"]
    assert _points(operator, run, "a") == ([0, 1], [1, 2])
    for axis in ("time", "relative"):
        query = {"queries": [{"run": run, "metric": "a"}], "x": axis}
        assert operator.call("POST", "/curves", json=query).status_code == 200


@pytest.mark.parametrize("when", [math.nan, math.inf, -math.inf, 1.7e308])
@pytest.mark.parametrize("step", [-1, -(2**63)])
def test_a_binary_batch_cannot_smuggle_them_in(operator: Any, when: float, step: int) -> None:
    """A5, A9: what JSON refuses, the binary way in refuses too, as a whole and with a sentence."""
    run, records = new_id(), [wire.build_event(1, {"type": "run", "name": "x", "created": 1.0})]
    records += [wire.build_shape(2, 7, ["a"]), wire.build_points(3, 7, step, when, [1.0])]
    body = wire.encode(wire.build_batch(run, run, 1, records))
    answer = operator.call("POST", "/ingest", data=body, headers={"Content-Type": wire.CONTENT_TYPE})
    assert answer.status_code == 422, answer.text
    assert operator.call("GET", f"/runs/{run}").status_code == 404
