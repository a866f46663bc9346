"""The run table at size: 10,000 real runs, sorted, filtered, grouped and changed by the server."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

N_RUNS = 10_000
LIBRARY = '/?filter=project = "library"'


@pytest.fixture(scope="module")
def server(
    fresh_home: Path,
    serve_home: Callable[[Path], Any],
    fill_library: Callable[[Path, int], list[str]],
) -> Any:
    """A server on a home with 10,000 runs, for all tests of this file."""
    fill_library(fresh_home, N_RUNS)
    return serve_home(fresh_home)


def make(server: Any, project: str, *names: str) -> list[str]:
    """Make runs in a project of their own, so that no other test's figures change."""
    made = []
    for name in names:
        answer = server.call("POST", "/api/v1/runs", json={"name": name, "project": project, "tags": ["own"]})
        made.append(answer.json()["id"])
    return made


def rows(page: Page) -> Any:
    return page.locator("table.runs .run-name a")


def list_ids(server: Any, **query: str) -> list[str]:
    answer = server.call("GET", "/api/v1/runs", params=query)
    assert answer.status_code == 200, answer.text
    return [run["id"] for run in answer.json()["runs"]]


def test_ten_thousand_runs_are_scrolled_like_ten(open_page: Callable[..., Page]) -> None:
    """Any place of the list is one movement away, and the document holds only the rows in view."""
    page = open_page(LIBRARY)
    expect(page.locator(".bar-count")).to_have_text("10,000 runs")
    expect(rows(page).first).to_have_text("run 009999")
    page.evaluate("document.querySelector('.table-scroll').scrollTop = 5000 * 34")
    expect(page.locator("table.runs").get_by_text("run 004999", exact=True)).to_be_visible()
    page.evaluate("document.querySelector('.table-scroll').scrollTo(0, 1e9)")
    expect(rows(page).last).to_have_text("run 000000")
    assert page.locator("table.runs tr").count() < 100
    page.get_by_role("button", name="Run", exact=True).click()
    expect(rows(page).first).to_have_text("run 000000")
    assert "sort=name" in page.url


def test_chosen_columns_show_config_metrics_and_courses(open_page: Callable[..., Page]) -> None:
    """A column is added from the choice, stands in the URL, sorts by its value, and draws a course."""
    page = open_page(LIBRARY)
    expect(page.locator(".spark path").first).to_be_attached()
    expect(page.get_by_role("columnheader", name="val/accuracy best")).to_be_visible()
    expect(
        page.locator("tr[data-run]").first.get_by_text("@19").first
    ).to_be_visible()  # the step of its best
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("Find a column").fill("lr")
    page.get_by_role("button", name="config lr").click()
    page.get_by_label("Find a column").fill("train/loss")
    page.get_by_role("button", name="train/loss, min").click()
    page.keyboard.press("Escape")
    assert "cols=" in page.url
    page.get_by_role("columnheader", name="train/loss min").get_by_role("button").click()
    expect(rows(page).first).to_have_text("run 009999")
    page.get_by_role("columnheader", name="train/loss min").get_by_role("button").click()
    expect(rows(page).first).to_have_text("run 000000")
    cells = page.locator("tr[data-run]").first.locator("td")
    expect(cells.filter(has_text="0.1")).to_have_count(1)
    page.reload()
    expect(page.get_by_role("columnheader", name="lr", exact=True)).to_be_visible()


def test_the_filter_is_completed_while_it_is_typed(open_page: Callable[..., Page]) -> None:
    """Names, operators and a field's values are offered where they can stand; keys and Enter take them."""
    page = open_page("/")
    field = page.get_by_label("Filter runs")
    expect(rows(page).first).to_be_visible()
    page.keyboard.press("/")
    expect(field).to_be_focused()
    page.keyboard.type("config.n")
    options = page.get_by_role("listbox").get_by_role("option")
    expect(options.first).to_contain_text("config.net")
    page.keyboard.press("Tab")
    expect(field).to_have_value("config.net ")
    expect(options.first).to_contain_text("=")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field).to_have_value("config.net = ")
    expect(options.filter(has_text='"net2"')).to_have_count(1)
    options.filter(has_text='"net2"').click()
    expect(field).to_have_value('config.net = "net2" ')
    expect(page.locator(".bar-count")).to_have_text("3,333 runs")
    page.keyboard.type("and metrics")
    options.filter(has_text='metrics["val/accuracy"].max').click()
    page.keyboard.type("> 0.9")
    expect(page.locator(".bar-count")).to_have_text("333 runs")


def test_groups_show_mean_and_spread(open_page: Callable[..., Page], server: Any) -> None:
    """Grouped by a config key, each line has the mean over its runs, and opens to exactly these."""
    page = open_page(LIBRARY)
    page.get_by_label("Group runs by").select_option('config["lr"]')
    table = page.locator("table.groups")
    expect(table.locator(".group-row")).to_have_count(4)
    expect(table.locator(".group-row").first).to_contain_text("0.003")
    expect(table.locator(".group-row").first).to_contain_text("2,500")
    asked = {"by": "config.lr", "metrics": '["metrics[\\"val/accuracy\\"].max"]'}
    found = server.call("GET", "/api/v1/groups", params=asked).json()["groups"][0]["metrics"][0]
    expect(table.locator(".group-row").first).to_contain_text(
        f"{found['mean']:.4f} ± {found['deviation']:.4f}"
    )
    table.get_by_role("button", name="0.003", exact=True).click()
    expect(rows(page).first).to_have_text("run 009999")
    assert page.url.endswith("group=config%5B%22lr%22%5D")


def test_a_deleted_run_comes_back_with_undo(open_page: Callable[..., Page], server: Any) -> None:
    """Delete takes ticked runs off the page and into the trash; undo brings them back as they were."""
    page = open_page(LIBRARY)
    expect(rows(page).first).to_have_text("run 009999")
    page.get_by_label("Select run 009999").check()
    page.get_by_label("Select run 009997").click(modifiers=["Shift"])
    expect(page.get_by_text("3 runs selected")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("Deleted 3 runs")
    expect(rows(page).first).to_have_text("run 009996")
    expect(page.locator(".bar-count")).to_have_text("9,997 runs")
    assert len(list_ids(server, among="trash")) == 3
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast")).to_contain_text("Undone")
    expect(rows(page).first).to_have_text("run 009999")
    assert list_ids(server, among="trash") == []


def test_the_trash_outlives_the_page(open_page: Callable[..., Page], server: Any) -> None:
    """What was deleted is restored from the trash after a reload, or deleted for good after a question."""
    gone, kept = make(server, "trashed", "gone", "kept")
    where = 'filter=project = "trashed"'
    page = open_page(f"/?{where}")
    expect(rows(page)).to_have_text(["kept", "gone"])
    page.keyboard.press("j")
    page.keyboard.press("Delete")
    expect(rows(page)).to_have_text(["gone"])
    page.goto(f"{server.url}/?among=trash&{where}")
    expect(rows(page)).to_have_text(["kept"])
    page.get_by_label("Select kept").check()
    page.get_by_role("button", name="Restore").click()
    expect(page.locator(".toast")).to_contain_text("Restored 1 run")
    assert server.call("PATCH", f"/api/v1/runs/{gone}", json={"trashed": True}).status_code == 200
    page.reload()
    expect(rows(page)).to_have_text(["gone"])
    page.get_by_label("Select gone").check()
    page.get_by_role("button", name="Delete for good").click()
    page.get_by_role("button", name="Really delete").click()
    expect(page.locator(".toast")).to_contain_text("for good")
    assert server.call("GET", f"/api/v1/runs/{gone}").status_code == 404
    assert list_ids(server, filter='project = "trashed"') == [kept]


def test_runs_are_renamed_tagged_grouped_and_archived(open_page: Callable[..., Page], server: Any) -> None:
    """Each change shows at once, is on the server, and is undone by the key u."""
    first, _ = make(server, "changed", "first", "second")
    page = open_page('/?filter=project = "changed"&sort=name')
    page.get_by_label("Select first").check()
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Name").fill("the best one")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("Renamed")
    assert server.call("GET", f"/api/v1/runs/{first}").json()["name"] == "the best one"
    page.keyboard.press("u")
    expect(page.locator(".toast")).to_contain_text("Undone")
    expect(rows(page)).to_have_text(["first", "second"])
    page.get_by_role("button", name="Tags").click()
    page.get_by_label("Tag", exact=True).fill("keep")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("Tagged")
    assert sorted(server.call("GET", f"/api/v1/runs/{first}").json()["tags"]) == ["keep", "own"]
    page.get_by_role("button", name="Group", exact=True).click()
    page.get_by_label("Group", exact=True).fill("chosen")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("chosen")
    page.get_by_role("button", name="Archive").click()
    expect(page.locator(".toast")).to_contain_text("Archived 1 run")
    expect(rows(page)).to_have_text(["second"])
    page.get_by_label("Which runs").select_option("archived")
    expect(rows(page)).to_have_text(["first"])
    assert server.call("GET", f"/api/v1/runs/{first}").json()["group"] == "chosen"


def test_nothing_moves_under_the_pointer(open_page: Callable[..., Page], server: Any) -> None:
    """A run that is made while somebody points at the table waits, and says so; a status changes at once."""
    page = open_page(LIBRARY)
    first = rows(page).first
    expect(first).to_have_text("run 009999")
    first.hover()
    where = page.locator("tr[data-run]").first.bounding_box()
    made = server.call("POST", "/api/v1/runs", json={"name": "new one", "project": "library"}).json()["id"]
    waiting = page.get_by_role("button", name="1 new run")
    expect(waiting).to_be_visible()
    expect(rows(page).first).to_have_text("run 009999")
    assert page.locator("tr[data-run]").first.bounding_box() == where
    waiting.click()
    expect(rows(page).first).to_have_text("new one")
    status = page.locator(f"tr[data-run='{made}'] .status")
    expect(status).to_have_text("running")
    sent = {"run": made, "events": [{"type": "finish", "status": "failed"}]}
    assert server.call("POST", "/api/v1/events", json=sent).status_code == 200
    expect(status).to_have_text("failed")
    assert server.call("DELETE", f"/api/v1/runs/{made}").status_code == 204


def test_a_viewer_is_offered_no_changes(browser: Any, open_page: Callable[..., Page], server: Any) -> None:
    """Whose role only reads sees neither ticks nor buttons that would be refused."""
    page = open_page(LIBRARY)
    page.route(
        re.compile(r"/api/v1/session$"),
        lambda route: route.fulfill(json={"role": "viewer", "name": "v", "expires": 2e9}),
    )
    page.reload()
    expect(rows(page).first).to_be_visible()
    expect(page.get_by_role("checkbox", name=re.compile("Select"))).to_have_count(0)
