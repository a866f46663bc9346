"""The detections viewer: boxes are data, so sliders move them and no picture is fetched again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

FACE = [40.0, 30.0, 80.0, 70.0]
EPOCHS = 3


def _stages(epoch: int) -> list[dict[str, Any]]:
    """Three stages whose first has one window more with each epoch; the last loses the face at epoch 0."""
    windows = [[38.0 + i, 30.0, 78.0 + i, 70.0] for i in range(epoch + 2)]
    moved = [[40.0, 30.0, 80.0, 70.0]] * len(windows)
    kept = moved[:1] if epoch else []
    return [
        {
            "name": "det12",
            "kind": "classify",
            "boxes": windows,
            "scores": [0.9 - 0.2 * i for i in range(len(windows))],
        },
        {"name": "cal12", "kind": "calibrate", "boxes": moved, "parents": list(range(len(windows)))},
        {
            "name": "det24",
            "kind": "classify",
            "boxes": kept,
            "scores": [0.8] * len(kept),
            "parents": [0] * len(kept),
        },
    ]


@pytest.fixture
def run(server: Any) -> str:
    """A run with three epochs of detections on one photograph."""
    import numpy as np

    import deepevent

    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    with deepevent.start(name="cascade") as run:
        for epoch in range(EPOCHS):
            run.log({"val/loss": 1.0 / (epoch + 1)}, step=epoch, epoch=epoch)
            run.log_detections(
                "samples", image, {"truth": [FACE], "train": False, "stages": _stages(epoch)}, step=epoch
            )
        run.flush(30)
    return run.id


def test_the_epoch_slider_moves_the_boxes(run: str, open_page: Callable[..., Page]) -> None:
    """Another epoch shows other windows, and the image is not asked for again."""
    page = open_page(f"/runs/{run}?tab=detections&stage=0")
    slider = page.locator("#epoch")
    expect(page.get_by_role("tab", name="det12").locator("b")).to_have_text("4")
    page.wait_for_function("() => document.querySelector('.stage-pane canvas')?.width > 300")
    shown = page.evaluate("document.querySelector('.stage-pane canvas').toDataURL()")
    fetched: list[str] = []
    page.on("request", lambda request: "/api/" in request.url and fetched.append(request.url))
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="det12").locator("b")).to_have_text("3")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="det12").locator("b")).to_have_text("2")
    page.wait_for_function(
        "(old) => document.querySelector('.stage-pane canvas').toDataURL() !== old", arg=shown
    )
    assert fetched == []
    assert "epoch=0" in page.url


def test_the_score_threshold_hides_windows(run: str, open_page: Callable[..., Page]) -> None:
    """Windows under the threshold go, with those that came from them."""
    page = open_page(f"/runs/{run}?tab=detections&stage=0&score=0.6")
    expect(page.get_by_role("tab", name="det12").locator("b")).to_have_text("2")
    expect(page.get_by_role("tab", name="cal12").locator("b")).to_have_text("2")


def test_a_missed_face_names_the_stage_that_lost_it(run: str, open_page: Callable[..., Page]) -> None:
    """In words: the stage, and how good the windows were before it."""
    page = open_page(f"/runs/{run}?tab=detections&epoch=0")
    expect(page.get_by_text("0 of 1 found").first).to_be_visible()
    expect(page.locator(".face.missed")).to_contain_text("Lost at det24")


def test_a_window_is_followed_through_the_stages(run: str, open_page: Callable[..., Page]) -> None:
    """Pointing at a window shows its score, and what calibration did to it."""
    page = open_page(f"/runs/{run}?tab=detections&stage=1")
    canvas = page.locator(".stage-pane canvas")
    page.wait_for_function("() => document.querySelector('.stage-pane canvas')?.width > 300")
    frame = canvas.bounding_box()
    assert frame is not None
    canvas.hover(position={"x": frame["width"] * 60 / 128, "y": frame["height"] * 31 / 96})
    expect(page.locator(".panel")).to_contain_text("cal12 moved it by")
    expect(page.locator(".panel")).to_contain_text("IoU with the truth")


def test_arrow_keys_step_through_the_stages(run: str, open_page: Callable[..., Page]) -> None:
    """Left and right move along the funnel, up and down through the epochs."""
    page = open_page(f"/detections?run={run}")
    expect(page.get_by_role("tab", name="det24")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="cal12")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("tab", name="det12").locator("b")).to_have_text("3")
