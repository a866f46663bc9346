"""The 45 calibration classes as Li et al. define them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deepevent_trainer import calibration
from deepevent_trainer.boxes import as_boxes

corners = st.floats(-1000, 1000, width=32)
sides = st.floats(1, 1000, width=32)
faces = st.lists(st.tuples(corners, corners, sides, sides), min_size=0, max_size=8).map(
    lambda rows: np.array([(x, y, x + w, y + h) for x, y, w, h in rows], dtype=np.float64).reshape(-1, 4)
)


def test_classes_are_numbered_scale_first_then_x_then_y() -> None:
    """Index = 9*i_s + 3*i_x + i_y."""
    for i_s, s in enumerate((0.83, 0.91, 1.0, 1.10, 1.21)):
        for i_x, x in enumerate((-0.17, 0.0, 0.17)):
            for i_y, y in enumerate((-0.17, 0.0, 0.17)):
                assert tuple(calibration.CLASSES[9 * i_s + 3 * i_x + i_y]) == (s, x, y)
    assert len(calibration.CLASSES) == 45
    assert tuple(calibration.CLASSES[calibration.IDENTITY]) == (1.0, 0.0, 0.0)


@given(faces, st.data())
def test_calibrating_a_moved_face_gives_the_face_back(boxes: np.ndarray, data: st.DataObject) -> None:
    """Encode, then a certain answer: the same box, for every class."""
    classes = data.draw(arrays(np.int64, len(boxes), elements=st.integers(0, 44)))
    moved = calibration.encode(boxes, classes)
    np.testing.assert_allclose(calibration.calibrate(moved, np.eye(45)[classes]), boxes, rtol=1e-9, atol=1e-6)


def test_a_crop_is_moved_by_its_corner_and_scaled_about_it() -> None:
    """x' = x + xn*w, w' = w*sn, by hand."""
    moved = calibration.encode(as_boxes([[100, 200, 200, 300]]), np.array([9 * 4 + 3 * 2 + 0]))
    np.testing.assert_allclose(moved, [[117, 183, 117 + 121, 183 + 121]], rtol=1e-6)


def test_classes_under_chance_are_dropped_and_the_rest_weighted() -> None:
    """Two classes share what counts: the mean is theirs alone."""
    probabilities = np.full((1, 45), 0.001)
    probabilities[0, [0, 44]] = 0.6, 0.357
    expected = (0.6 * calibration.CLASSES[0] + 0.357 * calibration.CLASSES[44]) / 0.957
    np.testing.assert_allclose(calibration.average(probabilities)[0], expected)


@given(arrays(np.float64, (3, 45), elements=st.floats(0, 1)))
def test_an_average_never_leaves_the_range_of_the_classes(raw: np.ndarray) -> None:
    """Whatever the probabilities, scale and shifts stay between the extremes, and nothing is NaN."""
    probabilities = raw / np.maximum(raw.sum(1, keepdims=True), 1e-12)
    average = calibration.average(probabilities)
    assert (average >= calibration.CLASSES.min(0) - 1e-9).all()
    assert (average <= calibration.CLASSES.max(0) + 1e-9).all()


def test_a_uniform_answer_counts_every_class() -> None:
    """1/45 each is not under 1/45, float32 rounding included."""
    uniform = np.full((1, 45), np.float32(1 / 45))
    np.testing.assert_allclose(calibration.average(uniform)[0], calibration.CLASSES.mean(0), atol=1e-9)


def test_when_every_class_is_dropped_the_box_stays() -> None:
    """A floor above all probabilities changes nothing."""
    boxes = as_boxes([[1, 2, 11, 12]])
    np.testing.assert_allclose(calibration.calibrate(boxes, np.full((1, 45), 1 / 45), floor=0.1), boxes)


def test_no_boxes_give_no_boxes() -> None:
    """Empty input is answered with empty output."""
    assert calibration.calibrate(as_boxes([]), np.zeros((0, 45))).shape == (0, 4)
    assert calibration.encode(as_boxes([]), np.zeros(0, dtype=np.int64)).shape == (0, 4)
