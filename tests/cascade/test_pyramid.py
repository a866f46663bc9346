"""Levels, windows and crops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepevent.errors import SettingsError
from deepevent_trainer.boxes import as_boxes
from deepevent_trainer.pyramid import crop_windows, levels, window_corners


def test_the_papers_picture_has_the_papers_number_of_windows() -> None:
    """800x600 and 40 px faces: 2,494 windows on the first level (Li et al., section 3.1)."""
    first = next(levels(np.zeros((600, 800, 3), dtype=np.uint8), 12, 40))
    height, width = first.pixels.shape[:2]
    assert len(window_corners(height, width, 12)) == 2494


@given(st.integers(1, 90), st.integers(1, 90), st.floats(10, 80))
def test_windows_lie_inside_the_image_and_grow_from_the_smallest_face(
    height: int, width: int, min_face_px: float
) -> None:
    """Every window, mapped back, is inside the image to half a pixel of its level."""
    side_before = 0.0
    for level in levels(np.zeros((height, width, 3), dtype=np.uint8), 12, min_face_px):
        rows, columns = level.pixels.shape[:2]
        boxes = level.boxes(window_corners(rows, columns, 12), 12)
        assert (boxes >= -1e-3).all()
        assert (boxes[:, 2] <= width + 1e-3).all()
        assert (boxes[:, 3] <= height + 1e-3).all()
        side = float(12 / level.scale.mean())
        assert side > side_before
        side_before = side


def test_an_image_smaller_than_the_smallest_face_has_no_level() -> None:
    """Nothing to find is no error."""
    assert list(levels(np.zeros((30, 30, 3), dtype=np.uint8), 12, 40)) == []


def test_settings_that_would_never_end_are_refused() -> None:
    """A step of 1 or a face of 0 pixels is told."""
    image = np.zeros((30, 30, 3), dtype=np.uint8)
    with pytest.raises(SettingsError, match="scale_step must be > 1"):
        next(levels(image, 12, 12, 1.0))
    with pytest.raises(SettingsError, match="min_face_px must be > 0"):
        next(levels(image, 12, 0))


def test_a_window_of_the_nets_size_is_cut_unchanged() -> None:
    """No resampling where none is needed."""
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    crops = crop_windows(image, as_boxes([[3, 5, 15, 17]]), 12)
    np.testing.assert_array_equal(crops[0], image[5:17, 3:15])


@pytest.mark.parametrize("side", [6, 12, 17, 30, 100])
def test_a_ramp_stays_a_ramp_at_every_scale(side: int) -> None:
    """The mean of a crop of a gradient is the gradient at its middle, between pixels too.

    A mean that ends in a half is rounded up each time a photograph is halved and a crop averaged.
    """
    image = np.repeat(np.tile(np.arange(200, dtype=np.uint8), (200, 1))[..., None], 3, axis=2)
    box = as_boxes([[40.5, 20.25, 40.5 + side, 20.25 + side]])
    crop = crop_windows(image, box, 12)[0].astype(float)
    assert abs(crop.mean() - (40.5 + side / 2 - 0.5)) <= 1.0


def test_outside_of_the_image_its_border_goes_on() -> None:
    """A box beyond the corner shows the corner; a large one, cut from the halved image, too."""
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    image[:16, :16] = (10, 20, 30)
    for box in ([-40, -40, -28, -28], [-400, -400, -200, -200]):
        assert (crop_windows(image, as_boxes([box]), 12) == (10, 20, 30)).all()


def test_no_boxes_give_no_crops() -> None:
    """Empty input is answered with empty output, and a box without area with one pixel."""
    image = np.full((20, 20, 3), 7, dtype=np.uint8)
    assert crop_windows(image, as_boxes([]), 12).shape == (0, 12, 12, 3)
    assert (crop_windows(image, as_boxes([[5, 5, 5, 5]]), 12) == 7).all()
