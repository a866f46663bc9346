"""What a person sees on each page: names as text, filters with clear mistakes, both themes, the keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

HOSTILE = [
    '<img src=x onerror="window.hacked=1">',
    "<b>bold</b>",
    "%{x} <a href='https://evil.example'>x</a>",
]
TELEPHONE = {"width": 390, "height": 844}


@pytest.fixture
def hostile(server: Any) -> str:
    """A run whose every text is an attack; its id."""
    import deepevent

    with deepevent.start(
        name=HOSTILE[0], project=HOSTILE[1], notes=HOSTILE[2], tags=HOSTILE, config={HOSTILE[1]: HOSTILE[0]}
    ) as run:
        for step in range(3):
            run.log({f"val/{HOSTILE[0]}": step, HOSTILE[2]: step}, step=step)
        run.flush(30)
    return run.id


def test_hostile_names_are_shown_as_text(hostile: str, server: Any, open_page: Callable[..., Page]) -> None:
    """No page makes an element, a link or a bold word out of a name, in the charts' labels neither."""
    with_charts = ("/", f"/runs/{hostile}", f"/compare?runs={hostile}")
    tabs = [f"/runs/{hostile}?tab={tab}" for tab in ("overview", "detections", "media", "logs")]
    page = open_page("/")
    for path in (*with_charts, *tabs, f"/detections?run={hostile}", "/settings"):
        page.goto(server.url + path)
        page.wait_for_load_state("networkidle")
        if path in with_charts:
            page.wait_for_function("() => window.deepevent.charts()[0]?.traces.length > 0")
            page.locator(".plot").first.hover()
            page.wait_for_selector(".readout", state="attached")
        assert page.evaluate("window.hacked") is None, path
        assert page.locator("img[src=x]").count() == 0, path
        assert page.locator("a[href*='evil']").count() == 0, path
        bold = "[...document.querySelectorAll('.plot tspan')].filter((t) => t.style.fontWeight === 'bold')"
        assert page.evaluate(f"{bold}.length") == 0, path


def test_a_mistaken_filter_is_explained_at_its_place(
    server: Any, hostile: str, open_page: Callable[..., Page]
) -> None:
    """The server's sentence stands under the filter, and the field is marked as wrong."""
    page = open_page("/")
    expect(page.get_by_label("Filter runs")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Filter runs")).to_be_focused()
    page.keyboard.type('status = "running" and nonsense > 1')
    page.keyboard.press("Enter")
    expect(page.locator("#filter-problem")).to_be_visible()
    expect(page.locator("#filter-problem mark")).to_have_text("n")
    expect(page.get_by_label("Filter runs")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Filter runs").fill('status = "completed"')
    expect(page.locator("#filter-problem")).to_have_count(0)
    expect(page.locator("table.runs .run-name")).to_have_count(1)
    assert "filter=" in page.url


def test_keys_move_open_and_explain(server: Any, hostile: str, open_page: Callable[..., Page]) -> None:
    """`?` lists the keys; j marks a run, x hides it from the charts, Enter opens it."""
    page = open_page("/")
    expect(page.locator("table.runs .run-name")).to_have_count(1)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_text("No run is shown")).to_be_visible()
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="Overview")).to_be_visible()
    assert page.url.endswith(f"/runs/{hostile}")


def test_the_theme_is_chosen_and_kept(open_page: Callable[..., Page]) -> None:
    """Dark stays dark after a reload, and the system's choice rules until one is made."""
    page = open_page("/settings", color_scheme="light")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.get_by_text("dark", exact=True).click()
    expect(root).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")


def test_the_url_holds_the_view(server: Any, hostile: str, open_page: Callable[..., Page]) -> None:
    """Axis, scale and smoothing survive being sent as a link."""
    page = open_page("/?x=time&scale=log&smooth=0.5")
    expect(page.get_by_role("combobox", name="x")).to_have_value("time")
    expect(page.get_by_label("log scale")).to_be_checked()
    expect(page.get_by_label("weight of the past")).to_have_value("0.5")


def test_no_page_is_wider_than_the_window(server: Any, hostile: str, open_page: Callable[..., Page]) -> None:
    """On a telephone too, nothing has to be scrolled sideways but tables in their frames."""
    page = open_page("/")
    run = f"/runs/{hostile}"
    for width in (390, 1024, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        for path in ("/", run, f"{run}?tab=overview", f"/compare?runs={hostile}", "/settings"):
            page.goto(server.url + path)
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)


def test_the_longest_names_stay_within_a_telephone(server: Any, open_page: Callable[..., Page]) -> None:
    """The longest name, alert and metric widen no part of a run's page, and no open menu is cut off."""
    import deepevent

    with deepevent.start(name="Long" * 250, group="group" * 40, tags=["tag" * 30]) as run:
        run.log({"metric" * 30: 1.0, "val/accuracy": 0.5}, step=0)
        run.alert("title" * 40, "text" * 200)
        run.flush(30)
    page = open_page("/", viewport=TELEPHONE)
    for part in ("charts", "overview", "alerts", "media"):
        page.goto(f"{server.url}/runs/{run.id}?tab={part}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= TELEPHONE["width"], part
    page.goto(server.url)
    for menu in ("Columns", "Saved views", "Alerts"):
        page.get_by_role("button", name=menu).click()
        panel = page.locator(".popover")
        expect(panel).to_be_visible()
        box = panel.bounding_box()
        assert box is not None
        assert box["x"] >= 0, menu
        assert box["x"] + box["width"] <= TELEPHONE["width"], menu
        assert box["y"] + box["height"] <= TELEPHONE["height"], menu
        assert page.evaluate("document.documentElement.scrollWidth") <= TELEPHONE["width"], menu
        page.keyboard.press("Escape")
        expect(panel).to_have_count(0)


def test_a_name_without_anything_to_see_can_be_pressed(server: Any, open_page: Callable[..., Page]) -> None:
    """A run that is called by blanks still has a link to its page, and a heading there."""
    import deepevent

    with deepevent.start(name=" \u200b ") as run:
        run.log({"loss": 1.0}, step=0)
        run.flush(30)
    page = open_page("/")
    page.get_by_role("link", name="no name").click()
    expect(page).to_have_url(f"{server.url}/runs/{run.id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("no name")


def test_what_is_not_there_is_said_with_a_way_on(server: Any, open_page: Callable[..., Page]) -> None:
    """A run that was deleted and an address that never was lead back to the runs."""
    page = open_page("/runs/nobody")
    expect(page.get_by_role("heading", name="There is no such run")).to_be_visible()
    page.goto(f"{server.url}/nothing/of/this/name")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    page.get_by_role("link", name="All runs").click()
    expect(page).to_have_url(f"{server.url}/")
