"""What charts promise: no spike is lost at any zoom, the cursor reads all, nothing is left out silently."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Locator, Page, expect

N_POINTS = 1_000_000
SPIKE_AT = 637_421
SPIKE = 9.0


@pytest.fixture(scope="module")
def long_run(shared_home: None) -> str:
    """A run of a million points, one of which is far above all others."""
    import deepevent

    with deepevent.start(name="long", project="long") as run:
        for step in range(N_POINTS):
            run.log({"signal": SPIKE if step == SPIKE_AT else math.sin(step / 70_000)}, step=step)
        run.flush(60)
    return run.id


@pytest.fixture(scope="module")
def pair(shared_home: None) -> list[str]:
    """Two runs with the same metrics, whose values are easily told apart."""
    import deepevent

    ids = []
    for number, name in enumerate(("first", "second")):
        with deepevent.start(name=name, project="pair") as run:
            for step in range(100):
                run.log(
                    {
                        "val/loss": 2.0 - step / 100 - number / 2,
                        "val/accuracy": step / 200 + number / 4,
                        "train/noise": 1000.0 if step == 50 and number == 0 else step % 7,
                    },
                    step=step,
                    epoch=step // 10,
                )
            run.flush(30)
        ids.append(run.id)
    return ids


def card(page: Page, title: str) -> Locator:
    """The card of a chart."""
    return page.locator("article.card").filter(has=page.locator(f"h3 bdi[title='{title}']"))


def drag(page: Page, place: Locator, start: float, stop: float) -> None:
    """Drag over a part of a chart's width, at half of its height."""
    frame = place.locator(".nsewdrag").bounding_box()
    assert frame is not None
    y = frame["y"] + frame["height"] / 2
    page.mouse.move(frame["x"] + frame["width"] * start, y)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * stop, y, steps=3)
    page.mouse.up()


def setting(page: Page, name: str) -> str | None:
    """What the URL says of a setting."""
    return parse_qs(urlparse(page.url).query).get(name, [None])[0]


SEEN = """([key, high]) => {
  const chart = window.deepevent.charts().find((one) => one.key === key);
  const most = Math.max(...(chart?.traces ?? []).flatMap((trace) => trace.y.filter(Number.isFinite)));
  const roles = chart?.traces.map((trace) => trace.role);
  return most === high ? { range: chart.range, roles, top: chart.heights[1] } : null;
}"""


def test_one_point_of_a_million_is_seen_at_every_zoom(
    long_run: str, open_shared: Callable[..., Page]
) -> None:
    """The spike stands at its full height in all of the curve and in each zoom down to single points."""
    page = open_shared(f"/runs/{long_run}")
    place = card(page, "signal")
    seen = page.wait_for_function(SEEN, arg=["signal", SPIKE]).json_value()
    assert "envelope" in seen["roles"]
    assert seen["top"] >= SPIKE
    width = float(N_POINTS)
    while width > 1000:
        low, high = seen["range"]
        at = (SPIKE_AT - low) / (high - low)
        with page.expect_request(lambda request: request.url.endswith("/curves")):
            drag(page, place, max(0.02, at - 0.12), min(0.98, at + 0.12))
        narrower = (
            f"(a) => {{ const s = ({SEEN})(a); return s && s.range[1] - s.range[0] < {width / 2} && s; }}"
        )
        seen = page.wait_for_function(narrower, arg=["signal", SPIKE]).json_value()
        width = seen["range"][1] - seen["range"][0]
    page.wait_for_function("() => !window.deepevent.charts()[0].traces.some((t) => t.role === 'envelope')")
    page.reload()  # the zoom is in the URL
    again = page.wait_for_function(SEEN, arg=["signal", SPIKE]).json_value()
    assert again["range"] == pytest.approx(seen["range"], rel=1e-9)


def test_the_cursor_reads_all_charts(pair: list[str], open_shared: Callable[..., Page]) -> None:
    """Values, differences and run names at one step, in the chart pointed at; values in the others."""
    page = open_shared(f"/compare?runs={','.join(pair)}&base={pair[0]}")
    page.wait_for_function(
        "() => window.deepevent.charts().filter((c) => c.draws > 0 && c.traces.length > 1).length >= 3"
    )
    place = card(page, "loss")
    place.scroll_into_view_if_needed()
    frame = place.locator(".nsewdrag").bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    readout = place.locator(".readout")
    expect(readout).to_contain_text("step 5")
    rows = readout.locator("tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("first")
    expect(rows.nth(1)).to_contain_text("second")
    expect(rows.nth(1)).to_contain_text("−0.5000")
    other = card(page, "accuracy").locator(".readout")
    expect(other.locator("tr")).to_have_count(2)
    expect(card(page, "accuracy").locator(".cursor-line")).to_be_visible()
    page.mouse.move(5, 5)
    expect(page.locator(".readout")).to_have_count(0)


def test_a_rolling_median_comes_from_the_server(pair: list[str], open_shared: Callable[..., Page]) -> None:
    """The window is asked of the server, an outlier leaves the line and stays in the raw curve."""
    page = open_shared(f"/runs/{pair[0]}")
    page.get_by_role("combobox", name="smoothing").select_option("median")
    asked = {"kind": "median", "window": 11}
    with page.expect_request(
        lambda request: request.url.endswith("/curves") and request.post_data_json.get("smoothing") == asked
    ):
        page.get_by_label("points in the window").select_option("11")
    page.wait_for_function(
        """() => {
          const traces = window.deepevent.charts().find((c) => c.key === "noise")?.traces ?? [];
          const top = (role) => Math.max(...(traces.find((t) => t.role === role)?.y ?? []));
          return top("raw") === 1000 && top("train") <= 6;
        }"""
    )
    assert setting(page, "smooth") == "median:11"


def test_clipping_says_what_it_leaves_out(pair: list[str], open_shared: Callable[..., Page]) -> None:
    """An outlier no longer spoils the range, is marked at the edge, and is counted in words."""
    page = open_shared(f"/runs/{pair[0]}")
    page.wait_for_function(
        "() => window.deepevent.charts().find((c) => c.key === 'noise')?.heights?.[1] > 900"
    )
    page.get_by_label("clip outliers").check()
    expect(card(page, "noise").get_by_text("1 point above the picture")).to_be_visible()
    chart = page.evaluate("window.deepevent.charts().find((c) => c.key === 'noise')")
    assert chart["heights"][1] < 20
    assert [t["x"] for t in chart["traces"] if t["role"] == "clipped"] == [[50]]
    expect(card(page, "loss").locator(".chart-notes")).to_have_count(0)


def test_charts_keep_their_place_and_size(pair: list[str], open_shared: Callable[..., Page]) -> None:
    """Pinned, moved, resized and filling the window: all of it comes back with the link."""
    page = open_shared(f"/runs/{pair[0]}")

    def choose(title: str, what: str) -> None:
        page.get_by_role("button", name=f"More for {title}").click()
        page.get_by_role("button", name=what, exact=True).click()

    titles = page.locator("article.card h3 bdi")
    expect(titles).to_have_count(3)
    assert [t.get_attribute("title") for t in titles.all()] == ["loss", "accuracy", "noise"]
    choose("loss", "Move later")
    expect(titles.nth(1)).to_have_attribute("title", "loss")
    card(page, "noise").locator("h3").drag_to(card(page, "accuracy"))
    expect(titles.nth(0)).to_have_attribute("title", "noise")
    choose("loss", "Pin above all charts")
    choose("loss", "Whole width")
    choose("loss", "Taller")
    page.reload()
    expect(page.get_by_role("heading", name="pinned")).to_be_visible()
    assert [t.get_attribute("title") for t in titles.all()] == ["loss", "noise", "accuracy"]
    plot = card(page, "loss").locator(".plot").bounding_box()
    assert plot is not None
    assert plot["height"] == 264
    choose("loss", "Full screen")
    full = page.locator("article.card.full")
    expect(full.get_by_role("row", name="first")).to_contain_text("1.0100")
    page.reload()
    expect(full.get_by_role("row", name="first")).to_contain_text("1.0100")
    page.keyboard.press("Escape")
    expect(full).to_have_count(0)
    assert setting(page, "full") is None


def test_one_zoom_can_hold_for_all_charts(pair: list[str], open_shared: Callable[..., Page]) -> None:
    """With `zoom together` a dragged range moves every chart, and one press shows all again."""
    page = open_shared(f"/runs/{pair[0]}?link=1")
    page.wait_for_function(
        "() => window.deepevent.charts().filter((c) => c.draws > 0 && c.traces.length).length >= 3"
    )
    drag(page, card(page, "loss"), 0.3, 0.6)
    page.wait_for_function("() => window.deepevent.charts().every((c) => c.range[0] > 20 && c.range[1] < 70)")
    assert json.loads(setting(page, "zoom") or "")["*"]
    card(page, "accuracy").get_by_role("button", name="whole range").click()
    page.wait_for_function("() => window.deepevent.charts().every((c) => c.range[0] < 1 && c.range[1] > 98)")


def test_a_chart_can_be_taken_away(pair: list[str], open_shared: Callable[..., Page], tmp_path: Path) -> None:
    """As PNG, as SVG with the runs' names, and as CSV with every point as it was logged."""
    page = open_shared(f"/compare?runs={','.join(pair)}")
    page.wait_for_function(
        "() => window.deepevent.charts().find((c) => c.key === 'loss')?.traces.length === 2"
    )
    kept: dict[str, bytes] = {}
    for what, format in (("Save as PNG", "png"), ("Save as SVG", "svg"), ("Save points as CSV", "csv")):
        page.get_by_role("button", name="More for loss").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=what).click()
        assert download.value.suggested_filename == f"loss.{format}"
        download.value.save_as(tmp_path / format)
        kept[format] = (tmp_path / format).read_bytes()
    assert kept["png"].startswith(b"\x89PNG")
    assert b"<svg" in kept["svg"]
    assert b"second" in kept["svg"]
    rows = [line.split(",") for line in kept["csv"].decode().splitlines()]
    assert rows[0] == ["run", "name", "metric", "rank", "step", "time", "value"]
    first: list[Any] = [(int(row[4]), float(row[6])) for row in rows[1:] if row[0] == pair[0]]
    assert first == [(step, 2.0 - step / 100) for step in range(100)]
    assert len(rows) == 201


def test_a_card_says_where_it_stands(pair: list[str], open_shared: Callable[..., Page]) -> None:
    """The latest and the best value, the best by the metric's own direction and with its run."""
    page = open_shared(f"/compare?runs={','.join(pair)}")
    stands = card(page, "loss").locator(".stands")
    expect(stands.locator(".last")).to_contain_text("0.5100")
    expect(stands.locator(".last .name")).to_be_visible()
    for width in (390, 1024, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        for whose in stands.locator(".whose").all():
            assert whose.evaluate("node => node.scrollWidth <= node.clientWidth"), width
    expect(stands.locator(".best")).to_contain_text("0.5100")
    expect(stands.locator(".best")).to_contain_text("second")


def test_every_axis_shows_the_same_points(pair: list[str], open_shared: Callable[..., Page]) -> None:
    """Over steps, epochs, the clock and the time since the start, 100 points stand at their places."""
    page = open_shared(f"/runs/{pair[0]}")
    span = """(axis) => {
      const chart = window.deepevent.charts().find((one) => one.key === "loss");
      const xs = chart?.traces[0]?.x ?? [];
      return xs.length === 100 && chart.axis === axis ? [xs[0], xs[99]] : null;
    }"""
    spans = {}
    for axis in ("step", "epoch", "time", "relative"):
        page.get_by_role("combobox", name="x", exact=True).select_option(axis)
        spans[axis] = page.wait_for_function(span, arg=axis).json_value()
    assert spans["step"] == [0, 99]
    assert spans["epoch"] == [0, 9]
    lasted = (spans["time"][1] - spans["time"][0]) / 1000  # Plotly counts dates in milliseconds
    assert lasted == pytest.approx(spans["relative"][1] - spans["relative"][0], abs=2e-3)
    assert 0 <= spans["relative"][0] < spans["relative"][1] < 60


def test_a_log_scale_says_what_it_cannot_show(pair: list[str], open_shared: Callable[..., Page]) -> None:
    """The chart's own switch turns its scale, and values that are not positive are counted in words."""
    page = open_shared(f"/runs/{pair[0]}")
    noise = card(page, "noise")
    noise.get_by_role("button", name="log").click()
    expect(noise.get_by_text("15 values ≤ 0 have no place on a log scale")).to_be_visible()
    expect(card(page, "loss").locator(".chart-notes")).to_have_count(0)
    assert setting(page, "flip") == "noise"


def test_only_charts_on_screen_are_redrawn(shared_server: Any, open_shared: Callable[..., Page]) -> None:
    """Live points redraw what is seen; a chart below the fold is drawn once it is scrolled to."""
    names = [f"part/{letter}" for letter in "abcdefghijkl"]

    def log(first: int) -> None:
        events = [
            {"metrics": {name: float(step) for name in names}, "step": step}
            for step in range(first, first + 5)
        ]
        body = {"run": run, "events": events}
        assert shared_server.call("POST", "/api/v1/events", json=body).status_code == 200

    run = shared_server.call("POST", "/api/v1/runs", json={"name": "tall", "project": "tall"}).json()["id"]
    log(0)
    page = open_shared(f"/runs/{run}")
    page.set_viewport_size({"width": 900, "height": 500})
    seen = """(n) => {
      const charts = window.deepevent.charts();
      return charts.length === 12 && charts[0].traces[0]?.x.length === n ? charts : null;
    }"""
    page.wait_for_function(seen, arg=5)
    log(5)
    charts = page.wait_for_function(seen, arg=10).json_value()
    assert charts[0]["draws"] >= 2
    assert charts[-1]["visible"] is False
    assert charts[-1]["draws"] == 0
    card(page, names[-1]).scroll_into_view_if_needed()
    page.wait_for_function("() => window.deepevent.charts().at(-1).traces[0]?.x.length === 10")
