"""Everybody can use the pages: contrast and names by axe-core in both themes, and the keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

N_RUNS = 40


@pytest.fixture(scope="module")
def server(
    fresh_home: Path,
    serve_home: Callable[[Path], Any],
    fill_library: Callable[[Path, int], list[str]],
) -> Any:
    """A server on a home with some runs; the tests only read."""
    fill_library(fresh_home, N_RUNS)
    return serve_home(fresh_home)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_shuts_anybody_out(
    open_page: Callable[..., Page], server: Any, barriers: Callable[[Page], list[str]], theme: str
) -> None:
    """axe-core finds nothing serious on any page, empty and full, with menus and dialogs open."""
    listed = server.call("GET", "/api/v1/runs", params={"limit": 2}).json()["runs"]
    pair = ",".join(run["id"] for run in listed)
    page = open_page("/", color_scheme=theme)
    found = []
    others = (f"/compare?runs={pair}", "/compare", "/detections", "/jobs", "/settings", "/?among=trash")
    for path in ("/", "/?group=group", *others):
        page.goto(server.url + path)
        page.wait_for_load_state("networkidle")
        found += barriers(page)
    page.goto(f"{server.url}/")
    page.get_by_label("Select run 000039").check()
    page.get_by_role("button", name="Tags").click()
    found += barriers(page)
    page.get_by_role("button", name="Columns").click()
    found += barriers(page)
    page.keyboard.press("Escape")
    page.get_by_label("Filter runs").fill("config.")
    expect(page.get_by_role("option").first).to_be_visible()
    found += barriers(page)
    page.get_by_label("Filter runs").fill("nonsense = 1")
    page.keyboard.press("Enter")
    expect(page.locator("#filter-problem")).to_be_visible()
    found += barriers(page)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    found += barriers(page)
    assert found == []


def test_the_sign_in_page_shuts_nobody_out(
    open_page: Callable[..., Page], barriers: Callable[[Page], list[str]]
) -> None:
    """Who is not signed in can read and use the page that asks for the code."""
    page = open_page("/signin", signed_in=False)
    expect(page.get_by_label("Link or code")).to_be_visible()
    assert barriers(page) == []


def test_the_keyboard_goes_through_the_page_in_its_order(open_page: Callable[..., Page]) -> None:
    """The first stop leads to the content, then come pages, filter and table; every stop can be seen."""
    page = open_page("/")
    expect(page.locator("table.runs .run-name").first).to_be_visible()
    stops = []
    for _ in range(14):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "() => { const e = document.activeElement; const s = getComputedStyle(e);"
            " return [e.id || e.getAttribute('aria-label') || e.textContent.trim(),"
            " s.outlineStyle !== 'none' || e.closest('.filter-box') !== null]; }"
        )
        stops.append(seen)
    names = [name for name, _ in stops]
    assert names[0] == "Skip to the content"
    wanted = ["DeepEvent", "Compare", "Settings", "filter", "Group runs by", "Which runs"]
    places = [names.index(name) for name in wanted]
    assert places == sorted(places), names
    assert [name for name, visible in stops if not visible] == []


def test_a_run_keeps_its_colour_and_is_not_told_by_it_alone(
    open_page: Callable[..., Page], server: Any
) -> None:
    """A run has one colour on every page; of more runs than colours, no two have the same mark."""
    listed = server.call("GET", "/api/v1/runs", params={"limit": 20}).json()["runs"]
    ids = [run["id"] for run in listed]
    page = open_page(f"/?show={ids[0]}")
    row = page.locator(f'tr[data-run="{ids[0]}"]')
    expect(row.locator(".swatch:not(.off)")).to_be_visible()
    style = row.locator(".swatch").get_attribute("style")
    assert style
    page.goto(f"{server.url}/compare?runs={ids[0]}")
    head = page.locator(".compare thead .swatch")
    expect(head).to_have_attribute("style", style)
    page.goto(f"{server.url}/compare?runs={','.join(ids)}")
    expect(head).to_have_count(len(ids))
    marks = head.evaluate_all("all => all.map((one) => `${one.className} ${one.getAttribute('style')}`)")
    assert len(set(marks)) == len(ids)


def test_what_happens_is_announced(open_page: Callable[..., Page]) -> None:
    """A change that moves no focus is told to a screen reader, with the way to undo it."""
    page = open_page("/")
    page.get_by_label("Select run 000039").check()
    page.get_by_role("button", name="Archive").click()
    expect(page.locator("p[aria-live=polite]")).to_have_text("Archived 1 run. Press u to undo.")
    page.keyboard.press("u")
    expect(page.locator("p[aria-live=polite]")).to_have_text("Undone: Archived 1 run")


def test_a_server_that_is_away_is_said_and_nothing_is_lost(
    open_page: Callable[..., Page], server: Any
) -> None:
    """The page keeps what it shows, says since when points are missing, and goes on by itself."""
    page = open_page("/")
    expect(page.locator("table.runs .run-name").first).to_be_visible()
    server.stop()
    expect(page.get_by_role("status").get_by_text("reconnecting")).to_be_visible()
    expect(page.locator("table.runs .run-name").first).to_be_visible()
    page.get_by_label("Select run 000038").check()
    page.get_by_role("button", name="Archive").click()
    expect(page.locator(".toast[role=alert]")).to_contain_text("Not done: The server does not answer")
    expect(page.get_by_label("Select run 000038")).to_be_visible()
    server.start()
    expect(page.get_by_role("status").get_by_text("live")).to_be_visible()
    assert server.call("GET", "/api/v1/runs", params={"among": "archived"}).json()["total"] == 0
