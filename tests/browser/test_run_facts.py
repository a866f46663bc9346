"""The run page's overview says what a reader of curves must know of the script."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from deepevent import wire
from deepevent.ids import new_id


def send(server: Any, behind_s: float, *events: dict[str, Any]) -> str:
    """Log a run as a script does whose clock is so far behind; its id."""
    run, then = new_id(), time.time() - behind_s
    started = {"type": "run", "name": "facts", "created": then, "host": "lab"}
    records = [wire.build_event(number, event) for number, event in enumerate((started, *events), 1)]
    batch = wire.build_batch(run, new_id(), 1, records, sent_at=then)
    headers = {"Content-Type": wire.CONTENT_TYPE}
    answer = server.call("POST", "/api/v1/ingest", data=wire.encode(batch), headers=headers)
    assert answer.status_code == 200, answer.text
    return run


def test_a_clock_that_is_wrong_and_values_that_were_lost(server: Any, open_page: Callable[..., Page]) -> None:
    """Both stand among the facts of a run; one without them says nothing."""
    lost = {"type": "dropped", "count": 1234, "reason": "No space left on device", "time": 1.0}
    odd, sound = send(server, 3 * 3600 + 60, lost), send(server, 0.0)
    page = open_page(f"/runs/{odd}?tab=overview")
    facts = page.locator(".facts")
    expect(facts).to_contain_text("3 h 01 m behind the server's")
    expect(facts).to_contain_text("1,234 values: no room on the script's disk")
    page.goto(f"{server.url}/runs/{sound}?tab=overview")
    expect(facts).to_contain_text(sound)
    expect(facts).not_to_contain_text("Clock")
    expect(facts).not_to_contain_text("Not kept")
