"""An evening with `deepevent demo` in the browser alone: trainings, a stop, a killed agent, a sweep."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

PATIENCE_MS = 240_000
COMMAND = str(Path(sys.executable).with_name("deepevent"))
STOP_S = 60


class Demo:
    """A running `deepevent demo`, whose own trainings are short."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._process = subprocess.Popen(
            [COMMAND, "demo", "--home", home, "--port", "0", "--epochs", "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        said = ""
        while not (found := re.search(r"Open\s+((http://\S+?)/signin#(\S+))\n", said)):
            line = self._process.stdout.readline()
            assert line, said
            said += line
        self.url, self._code = found[2], found[3]

    def sign_in(self) -> requests.Session:
        """A browser's session, by the link that the demo prints."""
        session = requests.Session()
        answer = session.post(f"{self.url}/api/v1/session", json={"code": self._code}, timeout=30)
        assert answer.status_code == 204, answer.text
        return session

    def kill_agent(self) -> None:
        """kill -9 of its agent; the demo starts another one."""
        wanted = f"DEEPEVENT_HOME={self.home}".encode()
        for folder in Path("/proc").iterdir():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdigit() else []
                if b"agent" in words and wanted in (folder / "environ").read_bytes().split(b"\0"):
                    os.kill(int(folder.name), signal.SIGKILL)
                    return
            except OSError:
                continue
        raise AssertionError("the demo has no agent")

    def stop(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.communicate(timeout=STOP_S)
        finally:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def server(home: Path) -> Iterator[Demo]:
    """The demo, in whose server `open_page` opens pages."""
    demo = Demo(home)
    yield demo
    demo.stop()


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
    named = page.locator("td.job-what").get_by_text(name, exact=True)
    return page.locator("table.jobs tbody tr").filter(has=named)


def compared_learning_rates(page: Page) -> Locator:
    """The learning rates on the page that compares two runs."""
    expect(page.locator("table.compare thead a")).to_have_count(2)
    name = page.get_by_role("rowheader", name="learning_rate", exact=True)
    return page.get_by_role("row").filter(has=name).first


@pytest.mark.timeout(900)
def test_an_evening_with_the_demo(server: Demo, open_page: Callable[..., Page]) -> None:
    """Three trainings, one stopped, one resumed after a kill; a sweep of ten, pruned; best beside first."""
    page = open_page("/jobs")
    page.set_default_timeout(PATIENCE_MS)
    queue(page, "first", learning_rate=0.001, epochs=1, crops_per_epoch=256, Priority=1, Retries=2)
    queue(page, "best", learning_rate=0.05, epochs=3, crops_per_epoch=16384, Priority=2, Retries=2)
    best = row(page, "best")
    expect(best).to_contain_text("running", timeout=PATIENCE_MS)
    best.get_by_role("link", name="run").click()
    page.wait_for_function("() => window.deepevent.charts().some((chart) => chart.key.includes('loss'))")
    server.kill_agent()
    page.go_back()

    queue(page, "wild", learning_rate=0.1, epochs=1000, Priority=3)
    wild = row(page, "wild")
    expect(wild).to_contain_text("running", timeout=PATIENCE_MS)
    wild.get_by_role("button", name="Stop job").click()
    expect(wild).to_contain_text("stopped", timeout=PATIENCE_MS)

    expect(best).to_contain_text("completed", timeout=PATIENCE_MS)
    expect(best.locator("td").nth(5)).to_have_text(re.compile("^[23]$"))
    expect(row(page, "first")).to_contain_text("completed", timeout=PATIENCE_MS)

    page.get_by_role("link", name="Runs", exact=True).click()
    for name in ("first", "best"):
        page.get_by_label(f"Select {name}").check()
    page.get_by_role("group", name="Selected runs").get_by_role("link", name="Compare").click()
    expect(compared_learning_rates(page)).to_contain_text("0.001")
    expect(compared_learning_rates(page)).to_contain_text("0.05")

    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("button", name="New sweep").click()
    form = page.get_by_role("form", name="New sweep")
    form.get_by_label("Recipe", exact=True).select_option("train-det12")
    form.get_by_label("how learning_rate is set").select_option("log")
    # Few windows to look through, so that a trial is over in seconds.
    brief = {"epochs": 8, "crops_per_epoch": 128, "min_face": 40}
    for label, value in {"lowest": 0.01, "highest": 0.3, **brief}.items():
        form.get_by_label(label, exact=True).fill(str(value))
    form.get_by_label("Trials", exact=True).fill("10")
    form.get_by_label("At once").fill("2")
    expect(form.get_by_label("Pruner")).to_have_value("asha")
    form.get_by_role("button", name="Begin sweep").click()
    expect(page.locator(".bar")).to_contain_text("10 of 10 trials ended", timeout=PATIENCE_MS)
    expect(page.locator(".bar")).to_contain_text("pruned")
    expect(page.locator(".bar")).not_to_contain_text("failed")
    page.get_by_role("link", name=re.compile("Compare best with (first|second)")).click()
    expect(compared_learning_rates(page)).to_be_visible()
