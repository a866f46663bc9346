"""A sweep in the browser alone, with a real agent: from the form to the best beside the first."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

PATIENCE_MS = 60_000
SCRIPT = """
import argparse, deepevent
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
parser.add_argument("--width", type=int)
arguments = parser.parse_args()
run = deepevent.start()
for epoch in range(3):
    run.log({"val/accuracy": arguments.rate * (epoch + 1) / 3}, step=epoch, epoch=epoch)
"""
RECIPES = """
[recipes.learn]
help = "Learn in miniature"
command = ["python", "{folder}/learn.py"]
metric = "val/accuracy:max"

[recipes.learn.parameters]
rate = { type = "float", default = 0.1, min = 0, max = 1, help = "what it reaches" }
width = { type = "choice", choices = [8, 16], default = 8 }
"""


@pytest.fixture
def agent(server: Any, tmp_path: Path) -> Iterator[None]:
    """An agent that offers the recipe `learn`; it ends with the test."""
    (tmp_path / "learn.py").write_text(SCRIPT)
    (tmp_path / "deepevent.toml").write_text(RECIPES)
    command = [str(Path(sys.executable).with_name("deepevent")), "agent", "--recipes", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--no-own-recipes", "--slots", "3", "--grace", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield
    process.terminate()
    process.wait(60)


def test_a_sweep_from_its_form_to_the_comparison(agent: None, open_page: Any) -> None:
    """Form, mistake, live trials, choosing one, adding and extending, and the best beside the first."""
    page: Page = open_page("/jobs")
    page.get_by_role("button", name="New sweep").click(timeout=PATIENCE_MS)
    form = page.get_by_role("form", name="New sweep")
    expect(form.get_by_label("Metric")).to_have_value("val/accuracy")
    form.get_by_role("button", name="Begin sweep").click()
    expect(form.get_by_role("alert")).to_contain_text("at least one parameter")
    form.get_by_label("how rate is set").select_option("range")
    form.get_by_label("how width is set").select_option("list")
    expect(form.get_by_label("values, separated by commas")).to_have_value("8, 16")
    form.get_by_label("highest").fill("2")
    form.get_by_label("Trials").fill("5")
    form.get_by_label("At once").fill("3")
    form.get_by_label("Pruner").select_option("none")
    form.get_by_role("button", name="Begin sweep").click()
    expect(form.get_by_role("alert")).to_contain_text("must be <= 1")
    form.get_by_label("highest").fill("1")
    form.get_by_role("button", name="Begin sweep").click()

    expect(page).to_have_url(re.compile("/sweeps/1$"))
    trials = page.get_by_role("table", name="Trials").locator("tbody tr")
    expect(trials).to_have_count(5, timeout=PATIENCE_MS)
    expect(page.locator(".bar")).to_contain_text("5 of 5 trials ended", timeout=PATIENCE_MS)
    expect(page.locator("polyline.line")).to_have_count(5)
    expect(page.locator(".history circle")).to_have_count(5)
    expect(page.locator(".importance")).to_contain_text("rate")

    page.get_by_role("button", name="Choose trial 3").click()
    expect(page).to_have_url(re.compile("trial=3"))
    expect(page.locator("polyline.selected")).to_have_count(1)
    expect(page.locator(".trial-lines-note")).to_contain_text("trial 3, completed")

    page.get_by_role("button", name="Add a trial").click()
    mine = page.get_by_role("form", name="Add a trial")
    mine.get_by_label("rate").fill("7")
    mine.get_by_role("button", name="Queue trial").click()
    expect(mine.get_by_role("alert")).to_contain_text("must be <= 1")
    mine.get_by_label("rate").fill("1")
    mine.get_by_role("button", name="Queue trial").click()
    expect(page.locator(".best")).to_contain_text("Best: 1", timeout=PATIENCE_MS)
    expect(trials.first).to_contain_text("added")

    page.get_by_role("button", name="Extend the sweep").click()
    more = page.get_by_role("form", name="Extend the sweep")
    more.get_by_label("Trials in all").fill("7")
    more.get_by_role("button", name="Extend").click()
    expect(page.locator(".bar")).to_contain_text("7 of 7 trials ended", timeout=PATIENCE_MS)

    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("link", name="Compare best with first").click()
    expect(page.locator("table.compare thead a")).to_have_count(2)
    expect(page.locator("table.compare")).to_contain_text("rate")


def test_a_drag_along_an_axis_keeps_what_passes(server: Any, open_page: Any) -> None:
    """Brushing, and letting all pass again, on trials that were just queued; and a stop of the sweep."""
    table = {"command": ["learn"], "parameters": {"rate": {"type": "float", "min": 0, "max": 1}}}
    server.call("POST", "/api/v1/agents", json={"name": "away", "recipes": {"learn": table}})
    space = {"rate": {"low": 0, "high": 1}, "<b>": {}}
    assert server.call("POST", "/api/v1/sweeps", json={"recipe": "learn", "space": space}).status_code == 422
    body = {"recipe": "learn", "space": {"rate": {"low": 0, "high": 1}}, "name": "<img src=x>"}
    begun = server.call(
        "POST",
        "/api/v1/sweeps",
        json={**body, "metric": "<b>m</b>", "direction": "min", "n_trials": 4, "concurrency": 4, "seed": 1},
    )
    assert begun.status_code == 201, begun.text
    page: Page = open_page(f"/sweeps/{begun.json()['id']}")
    expect(page.locator("polyline.line")).to_have_count(4, timeout=PATIENCE_MS)
    assert page.locator("img[src=x]").count() == 0
    for width in (390, 1024):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1440, "height": 900})
    grip = page.locator(".trial-lines .grip").bounding_box()
    assert grip is not None
    middle = grip["x"] + grip["width"] / 2
    page.mouse.move(middle, grip["y"] + 4)
    page.mouse.down()
    page.mouse.move(middle, grip["y"] + 12, steps=3)
    page.mouse.up()
    expect(page.locator(".trial-lines-note")).to_contain_text("of 4 pass")
    page.mouse.click(middle, grip["y"] + grip["height"] / 2)
    expect(page.locator("polyline.off")).to_have_count(0)
    page.get_by_role("button", name="Stop sweep").click()
    expect(page.locator(".bar")).to_contain_text("stopped")
    expect(page.locator(".bar")).to_contain_text("4 of 4 trials ended", timeout=PATIENCE_MS)
