"""Suppression against a slow and obvious one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from deepevent_trainer.boxes import area, as_boxes, intersection, iou
from deepevent_trainer.suppression import Overlap, suppress


def slow(
    boxes: np.ndarray, scores: np.ndarray, threshold: float, groups: np.ndarray, overlap: Overlap
) -> list[int]:
    """Suppress one pair at a time."""
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        one = boxes[index : index + 1]
        for other in kept:
            two = boxes[other : other + 1]
            if overlap == "iou":
                share = iou(one, two)[0, 0]
            else:
                smaller = min(area(one)[0], area(two)[0])
                share = intersection(one, two)[0, 0] / smaller if smaller else 0.0
            if groups[index] == groups[other] and share > threshold:
                break
        else:
            kept.append(index)
    return kept


@settings(max_examples=60)
@given(
    st.integers(0, 40),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    st.integers(1, 3),
    st.sampled_from(["iou", "smaller"]),
)
def test_suppression_equals_the_slow_one(
    n: int, seed: int, threshold: float, n_groups: int, overlap: Overlap
) -> None:
    """The same boxes in the same order, equal scores and touching boxes included."""
    random = np.random.default_rng(seed)
    first = random.integers(0, 20, (n, 2))
    boxes = as_boxes(np.concatenate([first, first + random.integers(1, 15, (n, 2))], axis=1))
    scores = random.integers(0, 5, n) / 4
    groups = random.integers(0, n_groups, n)
    found = suppress(boxes, scores, threshold, groups=groups, overlap=overlap)
    assert found.tolist() == slow(boxes, scores, threshold, groups, overlap)


def test_more_boxes_than_a_block_of_rows_are_the_same() -> None:
    """600 boxes are worked on in two blocks; the answer does not show it."""
    random = np.random.default_rng(3)
    first = random.uniform(0, 300, (600, 2))
    boxes = as_boxes(np.concatenate([first, first + random.uniform(10, 40, (600, 2))], axis=1))
    scores = random.random(600)
    one_group = np.zeros(600, dtype=np.int64)
    assert suppress(boxes, scores, 0.4).tolist() == slow(boxes, scores, 0.4, one_group, "iou")


def test_no_boxes_leave_none() -> None:
    """Empty input is answered with empty output."""
    assert suppress(as_boxes([]), np.zeros(0), 0.5).shape == (0,)
