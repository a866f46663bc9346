"""What a script logs is what the chart holds, without a reload, also through a killed server."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect


def test_a_logged_value_appears_without_a_reload(
    open_page: Callable[..., Page], script: Callable[..., Any], wait_for_points: Callable[..., None]
) -> None:
    """Points that are logged while the page is open are drawn, each once and in order."""
    page = open_page("/")
    expect(page.get_by_role("heading", name="No run yet")).to_be_visible()
    page.evaluate("window.notReloaded = true")
    logger = script(name="first")
    expected = []
    for step in range(5):
        logger.log(step, train__loss=1 / (step + 1))
        expected.append([step, 1 / (step + 1)])
        if step == 0:
            wait_for_points(page, "loss", "train/loss", expected)
    wait_for_points(page, "loss", "train/loss", expected)
    expect(page.get_by_role("table").get_by_text("running")).to_be_visible()
    logger.end()
    expect(page.get_by_role("table").get_by_text("completed")).to_be_visible()
    assert page.evaluate("window.notReloaded")


# What a busy browser does: one call tells of leaving the screen and of coming back.
SEVERAL_CHANGES = """
const Observer = IntersectionObserver;
globalThis.IntersectionObserver = class extends Observer {
  constructor(listener, options) {
    const before = { isIntersecting: false };
    super((entries, me) => listener([before, ...entries], me), options);
  }
};
"""


def test_a_chart_that_left_and_came_back_at_once_is_drawn(
    open_page: Callable[..., Page], script: Callable[..., Any], wait_for_points: Callable[..., None]
) -> None:
    """Of several changes that come together the last one holds, and what is on screen is drawn."""
    logger = script(name="busy")
    logger.log(0, val__loss=0.5)
    logger.flush()
    page = open_page("/")
    page.add_init_script(SEVERAL_CHANGES)
    page.reload()
    wait_for_points(page, "loss", "val/loss", [[0, 0.5]])


def test_train_and_validation_share_a_chart(
    open_page: Callable[..., Page], script: Callable[..., Any], wait_for_points: Callable[..., None]
) -> None:
    """`train/x` and `val/x` share a chart, other prefixes have sections; a switch parts the two."""
    logger = script(name="pair")
    logger.log(0, train__loss=0.5, val__loss=0.6)
    logger.flush()
    page = open_page("/")
    wait_for_points(page, "loss", "train/loss", [[0, 0.5]])
    wait_for_points(page, "loss", "val/loss", [[0, 0.6]])
    traces = {t["metric"]: t for t in page.evaluate("window.deepevent.charts()")[0]["traces"]}
    assert (traces["train/loss"]["role"], traces["val/loss"]["role"]) == ("train", "validation")
    logger.log(1, net__gradient=1.0, lr=0.1)
    sections = page.locator(".chart-section > h2").filter(has_not_text="system")
    expect(sections).to_have_text([re.compile("^training"), "net", "other"])
    page.get_by_label("train with val").uncheck()
    wait_for_points(page, "train/loss", "train/loss", [[0, 0.5]])
    wait_for_points(page, "val/loss", "val/loss", [[0, 0.6]])


def test_nan_is_marked_where_it_happened(open_page: Callable[..., Page], script: Callable[..., Any]) -> None:
    """A NaN leaves a gap in the line and a mark at its step, and is counted under the chart."""
    logger = script(name="diverges")
    for step, value in enumerate([0.5, float("nan"), 0.4, float("inf")]):
        logger.log(step, val__loss=value)
    logger.flush()
    page = open_page("/")
    page.wait_for_function(
        "() => window.deepevent.charts()[0]?.traces.some((t) => t.role === 'nonfinite' && `${t.x}` === '1,3')"
    )
    note = page.get_by_text("2 non-finite values")
    expect(note).to_be_visible()
    picture = page.locator(".nsewdrag").bounding_box()
    words = note.bounding_box()
    assert picture is not None
    assert words is not None
    assert words["y"] + words["height"] <= picture["y"] + 1  # it covers no curve


def test_two_curves_that_end_together_share_their_word(
    open_page: Callable[..., Page], script: Callable[..., Any]
) -> None:
    """Where one curve is NaN and another infinite at the same step, both words can be read."""
    logger = script(name="diverges")
    logger.log(0, train__loss=0.4, val__loss=0.5)
    logger.log(1, train__loss=float("nan"), val__loss=float("inf"))
    logger.flush()
    page = open_page("/")
    expect(page.locator(".annotation-text")).to_have_text(["NaN, +Inf"])


def test_large_and_small_numbers_stay_within_their_card(
    open_page: Callable[..., Page], script: Callable[..., Any]
) -> None:
    """The words along the y axis are short enough for their place, of bytes as of the smallest values."""
    logger = script(name="extremes")
    for step in range(3):
        logger.log(step, large=4.8e8 + step * 1e6, small=2e-12 * (1 + step / 10), negative=-3e5 * step)
    logger.flush()
    page = open_page("/")
    expect(page.locator(".ytick text")).not_to_have_count(0)
    page.wait_for_function("() => window.deepevent.charts().filter((one) => one.traces.length).length === 3")
    beyond = page.evaluate(
        "() => [...document.querySelectorAll('.ytick text')].filter((text) =>"
        " text.getBoundingClientRect().left < text.closest('.card').getBoundingClientRect().left)"
        ".map((text) => text.textContent)"
    )
    assert beyond == []


def test_a_killed_server_leaves_no_gap_and_no_double(
    open_page: Callable[..., Page],
    script: Callable[..., Any],
    server: Any,
    wait_for_points: Callable[..., None],
) -> None:
    """The page says that it reconnects, and then holds every point once, also those logged meanwhile."""
    logger = script(name="survivor")
    page = open_page("/")
    expected = []
    for step in range(3):
        logger.log(step, val__loss=float(step))
        expected.append([step, step])
    wait_for_points(page, "loss", "val/loss", expected)
    logger.log(3, val__loss=3.0)
    expected.append([3, 3])
    wait_for_points(page, "loss", "val/loss", expected)  # this one came by the socket
    server.kill()
    away = page.get_by_role("status").get_by_text(re.compile(r"^reconnecting, last point \d+ s ago$"))
    expect(away).to_be_visible()
    for step in range(4, 8):
        logger.log(step, val__loss=float(step))
        expected.append([step, step])
    server.start()
    wait_for_points(page, "loss", "val/loss", expected)
    expect(page.get_by_role("status").get_by_text("live")).to_be_visible()
    logger.log(8, val__loss=8.0)
    wait_for_points(page, "loss", "val/loss", [*expected, [8, 8]])


def test_smoothing_keeps_the_raw_curve_behind(
    open_page: Callable[..., Page], script: Callable[..., Any]
) -> None:
    """The smoothed curve comes from the server, and the raw one stays on the chart."""
    logger = script(name="noisy")
    for step in range(20):
        logger.log(step, val__loss=float(step % 2))
    logger.flush()
    page = open_page("/?smooth=0.9")
    page.wait_for_function(
        "() => window.deepevent.charts()[0]?.traces.some((t) => t.role === 'raw' && t.y.length === 20)"
    )
    traces = page.evaluate("window.deepevent.charts()")[0]["traces"]
    raw = next(t["y"] for t in traces if t["role"] == "raw")
    smooth = next(t["y"] for t in traces if t["role"] == "validation")
    assert raw == [step % 2 for step in range(20)]
    assert max(smooth[5:]) - min(smooth[5:]) < 0.5
    drawn = page.locator(".plot .trace").evaluate_all(
        "all => all.map((one) => getComputedStyle(one).opacity)"
    )
    assert sorted(map(float, drawn))[0] < 0.5
    assert sorted(map(float, drawn))[-1] == 1


def test_zooming_reads_the_range_again(open_page: Callable[..., Page], script: Callable[..., Any]) -> None:
    """A dragged range is fetched at its own resolution, stays while points arrive, and can be undone."""
    logger = script(name="long")
    for step in range(200):
        logger.log(step, val__loss=1 / (step + 1))
    logger.flush()
    page = open_page("/")
    page.wait_for_function("() => window.deepevent.charts()[0]?.traces[0]?.x.length === 200")
    frame = page.locator(".plot .nsewdrag").first.bounding_box()
    assert frame is not None
    y = frame["y"] + frame["height"] / 2
    page.mouse.move(frame["x"] + frame["width"] * 0.25, y)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.5, y, steps=4)
    with page.expect_request(lambda request: request.url.endswith("/curves")) as asked:
        page.mouse.up()
    question = asked.value.post_data_json
    assert 40 < question["from"] < 60
    assert 90 < question["to"] < 110
    page.wait_for_function("() => window.deepevent.charts()[0].traces[0]?.x.length < 70")
    page.get_by_role("button", name="whole range").click()
    page.wait_for_function("() => window.deepevent.charts()[0].traces[0]?.x.length === 200")


def test_axes_are_written_short_and_stay_close_to_a_constant(
    open_page: Callable[..., Page], script: Callable[..., Any]
) -> None:
    """Steps read as 2k, level and without exponents; a constant has a tenth of room around it."""
    logger = script(name="constant")
    for step in (0, 2000, 4000):
        logger.log(step, val__rate=0.6)
    logger.flush()
    page = open_page("/")
    ticks = page.locator(".xtick text")
    expect(ticks.filter(has_text="2k").first).to_be_visible()
    assert not [text for text in ticks.all_text_contents() if "e" in text]
    assert "rotate" not in "".join(t.get_attribute("transform") or "" for t in ticks.all())
    heights = [float(text) for text in page.locator(".ytick text").all_text_contents()]
    assert heights
    assert min(heights) >= 0.54
    assert max(heights) <= 0.66
