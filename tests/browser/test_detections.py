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
            "threshold": 0.6,
            "face_scores": [0.8 if kept else 0.41],
        },
    ]


@pytest.fixture
def run(server: Any) -> str:
    """A run with three epochs of detections on one photograph."""
    import numpy as np

    import deepevent

    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    second = np.random.default_rng(1).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    with deepevent.start(name="cascade") as run:
        for epoch in range(EPOCHS):
            run.log({"val/loss": 1.0 / (epoch + 1)}, step=epoch, epoch=epoch)
            run.log_detections(
                "samples", image, {"truth": [FACE], "train": False, "stages": _stages(epoch)}, step=epoch
            )
            stages = _stages(0 if epoch else 1)  # found at first, lost later
            run.log_detections(
                "samples", second, {"truth": [FACE], "train": True, "stages": stages}, step=epoch
            )
        run.flush(30)
    return run.id


@pytest.fixture
def other(run: str) -> str:
    """Another run with the first photograph, whose cascade loses the face."""
    import numpy as np

    import deepevent

    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    with deepevent.start(name="worse") as worse:
        worse.log_detections(
            "samples", image, {"truth": [FACE], "train": False, "stages": _stages(0)}, step=2
        )
        worse.flush(30)
    return worse.id


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


def test_the_chosen_stage_of_a_long_cascade_is_in_view(server: Any, open_page: Callable[..., Page]) -> None:
    """Of ten stages on a telephone the last, which is chosen at first, can be seen, and so can the first."""
    import numpy as np

    import deepevent

    image = np.zeros((96, 128, 3), np.uint8)
    stage = {"kind": "classify", "boxes": [FACE], "scores": [0.9]}
    stages = [stage | {"name": f"stage{i}"} | ({"parents": [0]} if i else {}) for i in range(10)]
    with deepevent.start(name="long cascade") as run:
        run.log_detections("samples", image, {"truth": [FACE], "train": False, "stages": stages}, step=0)
        run.flush(30)
    page = open_page(f"/detections?run={run.id}&stage=0", viewport={"width": 390, "height": 844})
    first, last = page.get_by_role("tab", name="stage0"), page.get_by_role("tab", name="stage9")
    expect(first).to_have_attribute("aria-selected", "true")
    page.goto(f"{server.url}/detections?run={run.id}")
    expect(last).to_have_attribute("aria-selected", "true")
    page.wait_for_function(
        "() => { const all = document.querySelector('.funnel'); const last = all.lastElementChild;"
        " return all.scrollLeft + all.clientWidth >= last.offsetLeft + last.offsetWidth; }"
    )
    for _ in range(9):
        page.keyboard.press("ArrowLeft")
    expect(first).to_have_attribute("aria-selected", "true")
    page.wait_for_function("() => document.querySelector('.funnel').scrollLeft < 2")


def _press(page: Page, x: float, y: float) -> None:
    """Press a place of the photograph, in its own pixels."""
    page.wait_for_function("() => document.querySelector('.stage-pane canvas')?.width > 200")
    canvas = page.locator(".stage-pane canvas").first
    frame = canvas.bounding_box()
    assert frame is not None
    canvas.click(position={"x": frame["width"] * x / 128, "y": frame["height"] * y / 96})


def test_a_pressed_face_tells_its_story(run: str, open_page: Callable[..., Page]) -> None:
    """A press on a missed face shows the stage that lost it and what its best window scored there."""
    page = open_page(f"/runs/{run}?tab=detections&epoch=0")
    _press(page, 60, 30.5)
    face = page.locator(".face[aria-current=true]")
    expect(face).to_contain_text("Lost at det24")
    expect(face).to_contain_text("Its best window scored 0.41 there, and 0.60 is needed")
    expect(face.get_by_role("button", name="det24")).to_contain_text("0.41")
    _press(page, 5, 90)
    expect(face).to_have_count(0)


def test_faces_of_the_training_set_are_white(run: str, open_page: Callable[..., Page]) -> None:
    """The legend says so, and the dashed line is white, as in the article."""
    page = open_page(f"/runs/{run}?tab=detections&photo=1&epoch=0")
    expect(page.get_by_text("truth, in the training set")).to_be_visible()
    white = """() => {
      const canvas = document.querySelector(".stage-pane canvas");
      if (!canvas?.width) return false;
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      for (let i = 0; i < data.length; i += 4) {
        if ([0, 1, 2, 3].every((part) => data[i + part] === 255)) return true;
      }
      return false;
    }"""
    expect(page.locator(".face.found")).to_have_count(1)
    page.wait_for_function(white)
    page.locator("#epoch").fill("2")
    expect(page.locator(".face.missed")).to_have_count(1)
    page.wait_for_function(f"() => !({white})()")  # a missed one is red


def test_counts_are_summed_over_all_photographs(run: str, open_page: Callable[..., Page]) -> None:
    """Windows and recall of each stage over every photograph of a step, in the tabs and in words."""
    page = open_page(f"/detections?run={run}")
    last = page.get_by_role("tab", name="det24")
    expect(last).to_contain_text("100 %")
    expect(page.get_by_role("tab", name="det12").locator("b")).to_have_text("4")
    page.get_by_label("count over all 2 photographs").check()
    expect(last).to_contain_text("50 %")
    expect(page.get_by_role("tab", name="det12").locator("b")).to_have_text("6")
    assert "over=all" in page.url


def test_two_epochs_or_two_runs_stand_side_by_side(
    run: str, other: str, open_page: Callable[..., Page]
) -> None:
    """Another epoch, then another run, beside the photograph: same stage, and why its face was lost."""
    page = open_page(f"/detections?run={run}&stage=2")
    page.get_by_label("beside it").select_option(label="step 0")
    beside = page.get_by_role("region", name="Beside: step 0")
    expect(beside).to_contain_text("Lost at det24")
    expect(beside.get_by_role("tab", name="det24")).to_contain_text("0 %")
    mine = page.get_by_role("tablist", name="Stages", exact=True)
    expect(mine.get_by_role("tab", name="det24")).to_contain_text("100 %")
    page.get_by_label("beside it").select_option(label="worse")
    beside = page.get_by_role("region", name="Beside: worse")
    expect(beside).to_contain_text("Lost at det24")
    beside.get_by_role("tab", name="det12").click()
    expect(mine.get_by_role("tab", name="det12")).to_have_attribute("aria-selected", "true")
    page.reload()
    expect(beside).to_contain_text("step 2")


def test_the_grid_shows_all_photographs(run: str, open_page: Callable[..., Page]) -> None:
    """Each with what the stage left on it; a press opens one."""
    page = open_page(f"/detections?run={run}&grid=1")
    tiles = page.locator(".grid-tile")
    expect(tiles).to_have_count(2)
    expect(tiles.nth(0)).to_contain_text("1 of 1 faces")
    expect(tiles.nth(1)).to_contain_text("0 of 1 faces")
    tiles.nth(1).click()
    expect(tiles).to_have_count(0)
    expect(page.get_by_text("truth, in the training set")).to_be_visible()


def test_play_goes_through_the_epochs(run: str, open_page: Callable[..., Page]) -> None:
    """Play starts again from the first epoch, and Space ends it."""
    page = open_page(f"/detections?run={run}&stage=0")
    count = page.get_by_role("tab", name="det12").locator("b")
    expect(count).to_have_text("4")
    page.keyboard.press(" ")
    expect(count).to_have_text("2")
    expect(count).to_have_text("3")
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
