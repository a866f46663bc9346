"""An evening on the Jobs page: real trainings, one stopped, one whose agent is killed and comes back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

PATIENCE_MS = 150_000
COMMAND = [str(Path(sys.executable).with_name("deepevent")), "agent", "--name", "desk", "--slots", "2"]


@pytest.fixture
def start_server(start_server: Callable[..., Any]) -> Callable[..., Any]:
    """Servers whose leases are short, so that nobody waits for them."""
    return lambda *arguments, **options: start_server("--lease", "3", *arguments, **options)


@pytest.fixture
def start_agent(server: Any) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start agents with the recipes that ship."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def queue(page: Page, name: str, **values: object) -> None:
    """Fill in the form of a new job and send it."""
    page.get_by_role("button", name="New job").click()
    form = page.get_by_role("form", name="New job")
    form.get_by_label("Recipe", exact=True).select_option("train-det12")
    for label, value in {**values, "Name": name}.items():
        form.get_by_label(label, exact=True).fill(str(value))
    form.get_by_role("button", name="Queue job").click()
    expect(form).to_have_count(0)


def row(page: Page, name: str) -> Locator:
    return page.locator("table.jobs tbody tr").filter(has_text=name)


@pytest.mark.timeout(500)
def test_three_trainings_in_the_browser_alone(
    server: Any, start_agent: Callable[[], subprocess.Popen[bytes]], open_page: Callable[..., Page]
) -> None:
    """Queue three, stop one, see one resumed after its agent was killed, compare the best with the first."""
    agent = start_agent()
    page = open_page("/jobs")
    page.set_default_timeout(PATIENCE_MS)
    queue(page, "first", learning_rate=0.001, epochs=1, crops_per_epoch=256, Retries=2)
    queue(page, "best", learning_rate=0.05, epochs=3, crops_per_epoch=8192, Retries=2)
    best = row(page, "best")
    expect(best).to_contain_text("running", timeout=PATIENCE_MS)
    best.get_by_role("link", name="run").click()
    page.wait_for_function("() => window.deepevent.charts().some((chart) => chart.key.includes('loss'))")
    agent.kill()
    page.go_back()
    start_agent()

    queue(page, "wild", learning_rate=0.1, epochs=1000)
    wild = row(page, "wild")
    expect(wild).to_contain_text("running", timeout=PATIENCE_MS)
    wild.get_by_role("button", name="Stop job").click()
    expect(wild).to_contain_text("stopped", timeout=PATIENCE_MS)

    expect(best).to_contain_text("completed", timeout=PATIENCE_MS)
    expect(best.locator("td").nth(5)).to_have_text("2")
    expect(row(page, "first")).to_contain_text("completed", timeout=PATIENCE_MS)

    page.get_by_role("link", name="Runs", exact=True).click()
    for name in ("first", "best"):
        page.get_by_label(f"Select {name}").check()
    page.get_by_role("group", name="Selected runs").get_by_role("link", name="Compare").click()
    compared = page.get_by_role("row").filter(
        has=page.get_by_role("rowheader", name="learning_rate", exact=True)
    )
    expect(compared).to_contain_text("0.001")
    expect(compared).to_contain_text("0.05")
