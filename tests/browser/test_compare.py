"""Compare: what differs, differences from a baseline, seeds, brushing, photographs, views; all in the URL."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, expect

FACE = [20.0, 20.0, 60.0, 60.0]
RATES = (0.1, 0.01)
SEEDS = (0, 1, 2)


def _detections(found: bool) -> dict[str, Any]:
    windows = [[22.0, 20.0, 62.0, 60.0], [70.0, 10.0, 90.0, 30.0]]
    kept = windows[:1] if found else windows[1:]
    return {
        "truth": [FACE],
        "train": False,
        "stages": [
            {"name": "det12", "kind": "classify", "boxes": windows, "scores": [0.9, 0.4]},
            {
                "name": "nms",
                "kind": "final",
                "boxes": kept,
                "scores": [0.9 if found else 0.4],
                "parents": [0 if found else 1],
            },
        ],
    }


@pytest.fixture(scope="module")
def runs(shared_home: None) -> dict[tuple[float, int], str]:
    """Six runs: two learning rates with three seeds each; those with seed 0 log the same photograph."""
    import numpy as np

    import deepevent

    image = np.random.default_rng(1).integers(0, 255, (80, 100, 3), dtype=np.uint8)
    ids = {}
    for rate in RATES:
        for seed in SEEDS:
            config = {"lr": rate, "seed": seed, "net": "det12"}
            with deepevent.start(name=f"lr {rate} seed {seed}", config=config, group=f"lr {rate}") as run:
                for step in range(5):
                    run.log({"val/loss": rate * 10 - step / 100 + seed / 10}, step=step)
                if seed == 0:
                    run.log_detections("samples", image, _detections(rate == 0.1), step=4)
                run.flush(30)
            ids[rate, seed] = run.id
    return ids


@pytest.fixture
def everything(runs: dict[tuple[float, int], str]) -> str:
    """The address of a comparison of all of them."""
    return f"/compare?runs={','.join(runs.values())}"


def setting(page: Page, name: str) -> str | None:
    """What the URL says of a setting."""
    return parse_qs(urlparse(page.url).query).get(name, [None])[0]


def test_only_what_differs_with_differences_from_a_baseline(
    runs: dict[tuple[float, int], str], open_shared: Callable[..., Page]
) -> None:
    """Equal settings are left out; a chosen baseline gives every other run its difference."""
    pair = [runs[0.1, 0], runs[0.01, 0]]
    page = open_shared(f"/compare?runs={','.join(pair)}")
    table = page.get_by_role("table").first
    expect(table.get_by_role("row", name="lr 0.1 0.01")).to_be_visible()
    expect(table.get_by_role("rowheader", name="net")).to_have_count(0)
    expect(table.locator(".difference")).to_have_count(0)
    page.get_by_role("button", name="Baseline: lr 0.1 seed 0").click()
    difference = table.get_by_role("row", name="val/loss").locator(".difference")
    expect(difference).to_have_text("−0.9000 (−94 %)")
    expect(difference).to_have_class("difference ok")
    assert setting(page, "base") == pair[0]
    page.get_by_role("combobox", name="value", exact=True).select_option("max")
    expect(table.get_by_role("row", name="val/loss").locator(".difference")).to_have_text("−0.9000 (−90 %)")


def test_seeds_are_one_column_with_mean_and_spread(everything: str, open_shared: Callable[..., Page]) -> None:
    """Grouped by all but the seed, the three runs of a rate are one column: mean ± standard deviation."""
    page = open_shared(everything)
    page.get_by_label("group by").select_option("-seed")
    row = page.get_by_role("table").first.get_by_role("row", name="val/loss")
    expect(row.locator("td")).to_have_count(2)
    expect(row.locator("td").nth(0)).to_contain_text("1.0600 ± 0.1000")
    expect(row.locator("td").nth(1)).to_contain_text("0.1600 ± 0.1000")
    page.get_by_role("combobox", name="baseline", exact=True).select_option(label="lr 0.1")
    expect(row.locator("td").nth(1)).to_contain_text("−0.9000")
    page.reload()
    expect(row.locator("td").nth(1)).to_contain_text("−0.9000")
    # The charts too: one line for each group, the mean of its runs, before a band of one deviation.
    page.locator(".chart-section").scroll_into_view_if_needed()
    page.wait_for_function("() => window.deepevent.charts()[0]?.traces.length === 4")
    traces = page.evaluate("window.deepevent.charts()")[0]["traces"]
    means = {t["name"]: t["y"] for t in traces if t["role"] == "validation"}
    assert list(means) == ["lr 0.1", "lr 0.01"]
    assert means["lr 0.1"] == pytest.approx([1.1 - step / 100 for step in range(5)])
    band = next(t["y"] for t in traces if t["role"] == "envelope")
    assert max(band) == pytest.approx(1.2)


def test_a_brush_selects_runs_for_all_of_the_page(
    runs: dict[tuple[float, int], str], everything: str, open_shared: Callable[..., Page]
) -> None:
    """A stretch dragged on an axis leaves the runs in it, on both plots, in the charts, after a reload."""
    page = open_shared(f"{everything}&tab=relations")
    expect(page.locator(".parallel .line")).to_have_count(6)
    expect(page.locator(".scatter .dot")).to_have_count(6)
    axis = page.locator("[data-axis='config:lr']").bounding_box()
    assert axis is not None
    x = axis["x"] + axis["width"] / 2
    page.mouse.move(x, axis["y"] + axis["height"] * 0.7)
    page.mouse.down()
    page.mouse.move(x, axis["y"] + axis["height"], steps=3)
    page.mouse.up()
    slow = {runs[0.01, seed] for seed in SEEDS}
    for attempt in ("brushed", "reloaded"):
        expect(page.get_by_text("3 of 6 runs selected"), attempt).to_be_visible()
        expect(page.locator(".parallel .line:not(.out)")).to_have_count(3)
        left = page.locator(".scatter .dot:not(.out)")
        assert {dot.get_attribute("data-run") for dot in left.all()} == slow
        page.locator(".chart-section").scroll_into_view_if_needed()  # only what is on screen is drawn
        page.wait_for_function(
            "() => new Set(window.deepevent.charts()[0]?.traces.map((t) => t.run)).size === 3"
        )
        page.reload()
    page.get_by_role("button", name="keep only these").click()
    expect(page.locator(".parallel .line")).to_have_count(3)
    assert set((setting(page, "runs") or "").split(",")) == slow


def test_any_key_can_be_an_axis(everything: str, open_shared: Callable[..., Page]) -> None:
    """The scatter's axes and those of the parallel coordinates are chosen among config keys and metrics."""
    page = open_shared(f"{everything}&tab=relations")
    page.get_by_role("combobox", name="x", exact=True).first.select_option(label="seed")
    expect(page.get_by_role("img", name="val/loss min over seed")).to_be_visible()
    page.get_by_role("button", name="Axes of the parallel coordinates").click()
    page.get_by_role("checkbox", name="val/loss last").check()
    expect(page.locator("[data-axis='metric:val/loss:last']")).to_have_count(1)
    assert "metric:val/loss:last" in json.loads(setting(page, "axes") or "[]")
    # Over points: what is dragged out in the scatter holds for both of its axes.
    area = page.locator(".scatter .brush-area").bounding_box()
    assert area is not None
    page.keyboard.press("Escape")
    page.mouse.move(area["x"] + 5, area["y"] + 5)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.3, area["y"] + area["height"] - 5, steps=3)
    page.mouse.up()
    expect(page.get_by_text("2 of 6 runs selected")).to_be_visible()


def test_one_photograph_of_all_runs(
    runs: dict[tuple[float, int], str], everything: str, open_shared: Callable[..., Page]
) -> None:
    """Side by side with what each run's last stage made of it; a run without it says so."""
    page = open_shared(f"{everything}&tab=photographs")
    tiles = page.locator(".photo-tile")
    expect(tiles).to_have_count(2)
    good = page.locator(f".photo-tile[data-run='{runs[0.1, 0]}']")
    bad = page.locator(f".photo-tile[data-run='{runs[0.01, 0]}']")
    expect(good).to_contain_text("1 of 1 faces covered")
    expect(bad).to_contain_text("0 of 1 faces covered")
    expect(bad).to_contain_text("Lost at nms")
    page.get_by_label("stage").select_option("det12")
    expect(bad).to_contain_text("1 of 1 faces covered, 2 windows after det12")
    expect(page.get_by_text("Without any photograph")).to_contain_text("lr 0.1 seed 1")


def test_a_view_is_saved_and_found_again(everything: str, open_shared: Callable[..., Page]) -> None:
    """A name for all that the address holds: saved, opened from another page, deleted."""
    page = open_shared(f"{everything}&by=group&x=time&smooth=median%3A11")
    page.get_by_role("button", name="Saved views").click()
    page.get_by_label("Name of the view").fill("<b>seeds</b> by group")
    page.get_by_role("button", name="Save", exact=True).click()
    link = page.get_by_role("link", name="<b>seeds</b> by group")
    expect(link).to_have_attribute("aria-current", "page")
    saved = page.url
    page.goto(saved.split("/compare")[0] + "/")
    page.get_by_role("button", name="Saved views").click()
    link.click()
    expect(page.get_by_label("group by")).to_have_value("group")
    expect(page.get_by_label("points in the window")).to_have_value("11")
    assert page.url == saved
    page.get_by_role("button", name="Saved views").click()
    page.get_by_role("button", name="Delete <b>seeds</b> by group").click()
    expect(page.get_by_text("No view is saved yet")).to_be_visible()
