"""Average precision: cases counted by hand, and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepevent_trainer.boxes import as_boxes
from deepevent_trainer.evaluation.average_precision import (
    PrecisionRecall,
    Scene,
    curve,
    mean_average_precision,
    precision_recall,
)
from deepevent_trainer.evaluation.matching import Detections, SizeRange

NOTHING = as_boxes([])


def counted(hits: list[int], scores: list[float], n_faces: int) -> PrecisionRecall:
    found = np.array(hits, dtype=float)
    return curve(found, 1 - found, np.array(scores, dtype=float), n_faces)


def test_the_area_is_that_of_the_envelope() -> None:
    """Hit, miss, hit of three faces: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3."""
    result = counted([1, 0, 1], [0.9, 0.8, 0.7], 3)
    assert result.average_precision == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)
    assert result.recall_at_precision(0.9) == pytest.approx(1 / 3)
    assert result.recall_at_precision(0.6) == pytest.approx(2 / 3)


def test_a_published_example() -> None:
    """The 24 detections and 15 faces of Padilla's worked example (2020): AP 24.56 % by all points."""
    # R. Padilla, A Survey on Performance Metrics for Object-Detection Algorithms, IWSSIP 2020, repository's
    # example.
    scores = [95, 95, 91, 88, 84, 80, 78, 74, 71, 70, 67, 62, 54, 48, 45, 45, 44, 44, 43, 38, 35, 23, 18, 14]
    hits = [1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    distinct = np.array(scores) - np.arange(24) * 1e-6  # the example counts equal scores one after the other
    assert counted(hits, list(distinct), 15).average_precision == pytest.approx(0.2456, abs=1e-4)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=12), st.randoms())
def test_order_of_equal_scores_and_scale_of_scores_change_nothing(
    answers: list[tuple[bool, int]], random: object
) -> None:
    """Detections of one score enter together; squeezing or stretching scores keeps the area."""
    n_faces = sum(hit for hit, _ in answers) + 1
    hits, scores = [int(hit) for hit, _ in answers], [float(score) for _, score in answers]
    expected = counted(hits, scores, n_faces).average_precision
    assert 0 <= expected <= 1
    backwards = counted(hits[::-1], scores[::-1], n_faces).average_precision
    stretched = counted(hits, [score**3 * 1e6 - 5 for score in scores], n_faces).average_precision
    assert backwards == pytest.approx(expected)
    assert stretched == pytest.approx(expected)


def test_truth_as_detections_is_perfect() -> None:
    """What is annotated, given back, has precision 1 at all thresholds, sizes and with ignored regions."""
    faces = as_boxes([[0, 0, 30, 40], [100, 100, 190, 190]])
    scenes = [
        Scene(faces, as_boxes([[300, 300, 400, 400]]), Detections(faces, np.array([0.3, 0.2]))),
        Scene(NOTHING, NOTHING, Detections()),
    ]
    for sizes in (None, SizeRange(24), SizeRange(40, 80)):
        assert mean_average_precision(scenes, sizes) == pytest.approx(1.0)
    assert np.isnan(mean_average_precision(scenes, SizeRange(500)))


def test_stricter_overlap_costs() -> None:
    """A box with IoU 0.8 is a hit up to 0.8 and none above: 7 of COCO's 10 thresholds."""
    scenes = [Scene(as_boxes([[0, 0, 10, 10]]), NOTHING, Detections(as_boxes([[0, 0, 10, 8]]), np.ones(1)))]
    assert precision_recall(scenes).average_precision == 1.0
    assert mean_average_precision(scenes) == pytest.approx(0.7)


def test_nothing_found_is_zero() -> None:
    """Without a detection the area is 0, and without a face there is no figure."""
    scene = Scene(as_boxes([[0, 0, 10, 10]]), NOTHING, Detections())
    assert precision_recall([scene]).average_precision == 0.0
    assert np.isnan(precision_recall([]).average_precision)
