"""The run table at size: sorted and paged by the server, with only the rows in view in the document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

N_RUNS = 230


def test_rows_are_loaded_while_scrolling(open_page: Callable[..., Page], server: Any) -> None:
    """The second page comes by itself, and the document stays small."""
    for i in range(N_RUNS):
        answer = server.call("POST", "/api/v1/runs", json={"name": f"run {i:03}", "project": "many"})
        assert answer.status_code == 201, answer.text
    page = open_page("/")
    expect(page.locator(".table-foot")).to_contain_text(f"of {N_RUNS} runs")
    names = page.locator("table.runs .run-name")
    expect(names.first).to_contain_text(f"run {N_RUNS - 1:03}")
    to_the_end = "document.querySelector('.table-scroll').scrollTo(0, 1e6)"
    for loaded in (200, N_RUNS):
        page.evaluate(to_the_end)
        expect(page.locator(".table-foot")).to_contain_text(f"{loaded} of {N_RUNS} runs")
    page.evaluate(to_the_end)
    expect(names.last).to_contain_text("run 000")
    assert names.count() < 100
    page.get_by_role("button", name="Run", exact=True).click()
    expect(names.first).to_contain_text("run 000")
    assert "sort=name" in page.url
