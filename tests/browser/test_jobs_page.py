"""The Jobs page on a real server with a real agent: a job from its form to its run, live, no reload."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

PATIENCE_MS = 30_000
RECIPES = """
[recipes.wait]
help = "Wait for so many seconds"
command = ["python", "-c", "import sys, time; time.sleep(float(sys.argv[1].partition('=')[2]))"]

[recipes.wait.parameters]
seconds = { type = "float", default = 0.0, min = 0, max = 600, help = "how long" }
"""


@pytest.fixture
def start_agent(server: Any, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Start an agent that offers the recipe `wait`; it ends with the test."""
    started: list[subprocess.Popen[bytes]] = []
    recipes = tmp_path / "deepevent.toml"
    recipes.write_text(RECIPES)

    def start() -> None:
        program = str(Path(sys.executable).with_name("deepevent"))
        command = [program, "agent", "--recipes", str(recipes)]
        options = ["--no-own-recipes", "--name", "desk", "--slots", "2", "--grace", "1"]
        started.append(
            subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )

    yield start
    for process in started:
        process.terminate()
        process.wait(60)


def test_a_job_goes_from_the_form_to_its_run(
    start_agent: Callable[[], None], open_page: Callable[..., Page]
) -> None:
    """Form, mistake, stop, requeue, clone and the link to its run, on a page that is never reloaded."""
    page = open_page("/jobs")
    expect(page.get_by_role("heading", name="No agent is there")).to_be_visible()
    expect(page.get_by_text("deepevent agent --slots 2")).to_be_visible()
    start_agent()
    agents = page.get_by_role("region", name="Agents")
    expect(agents.get_by_text("ready")).to_be_visible(timeout=PATIENCE_MS)
    expect(agents.get_by_text("0 of 2 taken")).to_be_visible()

    page.get_by_role("button", name="New job").click()
    form = page.get_by_role("form", name="New job")
    expect(form.get_by_text("0 to 600")).to_be_visible()
    form.get_by_label("seconds").fill("601")
    form.get_by_role("button", name="Queue job").click()
    expect(form.get_by_role("alert")).to_contain_text("600")
    expect(form.get_by_label("seconds")).to_have_attribute("aria-invalid", "true")
    form.get_by_label("seconds").fill("500")
    form.get_by_role("button", name="Queue job").click()
    expect(form).to_have_count(0)

    row = page.locator("table.jobs tbody tr")
    expect(row).to_contain_text("running", timeout=PATIENCE_MS)
    expect(row).to_contain_text("seconds=500")
    expect(row).to_contain_text("desk")
    expect(agents.get_by_text("1 of 2 taken")).to_be_visible()
    page.get_by_role("button", name="Drain desk").click()
    expect(agents.get_by_text("draining")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Let take jobs desk").click()
    expect(agents.get_by_text("ready")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Details of job 1").click()
    expect(page.get_by_role("table", name="Attempts").locator("tbody tr")).to_contain_text("running")
    page.get_by_label("priority", exact=True).fill("7")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_role("list", name="History")).to_contain_text("priority 7", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Details of job 1").click()

    page.get_by_role("button", name="Stop job 1").click()
    expect(row).to_contain_text("stopped", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Requeue job 1").click()
    expect(row).to_contain_text("running", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Stop job 1").click()
    expect(row).to_contain_text("stopped", timeout=PATIENCE_MS)

    page.get_by_role("button", name="Clone job 1").click()
    expect(form.get_by_label("seconds")).to_have_value("500")
    row.get_by_role("link", name="run").click()
    expect(page.get_by_role("tab", name="Overview")).to_be_visible()


def test_a_run_leads_to_its_job_and_to_another_one_like_it(
    server: Any, start_agent: Callable[[], None], open_page: Callable[..., Page]
) -> None:
    """From a run to its attempts, and to the form with its parameters; the new job waits for the first."""
    start_agent()
    page = open_page("/jobs")
    expect(page.get_by_role("region", name="Agents").get_by_text("ready")).to_be_visible(timeout=PATIENCE_MS)
    body = {"recipe": "wait", "parameters": {"seconds": 500}, "project": "night"}
    run = server.call("POST", "/api/v1/jobs", json=body).json()["run"]
    row = page.locator("table.jobs > tbody > tr")
    expect(row).to_contain_text("running", timeout=PATIENCE_MS)
    row.get_by_role("link", name="run").click()
    expect(page).to_have_url(re.compile(f"/runs/{run}"))
    page.get_by_role("link", name="Job 1", exact=True).click()
    expect(page.get_by_role("table", name="Attempts")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Clone and change…").click()
    form = page.get_by_role("form", name="New job")
    expect(form.get_by_label("seconds")).to_have_value("500")
    expect(form.get_by_label("Project")).to_have_value("night")
    form.get_by_label("seconds").fill("0")
    form.get_by_label("After", exact=True).fill("1, soon")
    form.get_by_role("button", name="Queue job").click()
    expect(form.get_by_role("alert")).to_contain_text("must be numbers of jobs")
    form.get_by_label("After", exact=True).fill("#1")
    form.get_by_role("button", name="Queue job").click()
    expect(form).to_have_count(0)
    expect(row.first).to_contain_text("after #1")
    expect(row.first).to_contain_text("seconds=0")


def test_a_paused_queue_says_so_on_every_page(server: Any, open_page: Callable[..., Page]) -> None:
    """Pausing in one browser shows in another, and so does going on."""
    one, other = open_page("/jobs"), open_page("/jobs")
    expect(other.get_by_role("button", name="Pause queue")).to_be_visible()
    one.get_by_role("button", name="Pause queue").click()
    expect(other.get_by_text("queue paused")).to_be_visible(timeout=PATIENCE_MS)
    one.get_by_role("button", name="Go on").click()
    expect(other.get_by_text("queue paused")).to_have_count(0, timeout=PATIENCE_MS)


def test_a_hostile_command_is_shown_as_text(server: Any, open_page: Callable[..., Page]) -> None:
    """Names and commands of jobs make no element of the page, which stays within a telephone's width."""
    attack = '<img src=x onerror="window.hacked=1">'
    answer = server.call("POST", "/api/v1/jobs", json={"command": [attack, attack], "name": attack})
    assert answer.status_code == 201, answer.text
    page = open_page("/jobs")
    expect(page.locator("table.jobs tbody tr")).to_contain_text("<img src=x")
    assert page.locator("img[src=x]").count() == 0
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_happens_before_the_socket_opens_is_shown(server: Any, open_page: Callable[..., Page]) -> None:
    """A job queued between the page's first reading and its first connection was told to no socket."""
    offer = {"name": "away", "recipes": {"wait": {"command": ["wait"], "parameters": {}}}}
    server.call("POST", "/api/v1/agents", json=offer)
    page = open_page("/jobs")
    is_shut = True

    def gate(socket: WebSocketRoute) -> None:
        if is_shut:
            socket.close()
        else:
            socket.connect_to_server()

    page.route_web_socket(re.compile("socket.io"), gate)
    with page.expect_response(re.compile("/api/v1/jobs")):
        page.reload()
    expect(page.get_by_text("away")).to_be_visible()
    assert server.call("POST", "/api/v1/jobs", json={"recipe": "wait", "name": "unheard"}).status_code == 201
    is_shut = False
    expect(page.get_by_text("unheard")).to_be_visible()
