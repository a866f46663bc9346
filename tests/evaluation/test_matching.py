"""Matching: who found whom, and what counts neither way."""

from __future__ import annotations

import numpy as np
import pytest

from deepevent_trainer.boxes import as_boxes
from deepevent_trainer.evaluation.matching import FALSE_ALARM, HIT, UNCOUNTED, Detections, SizeRange, match

FACE = [0.0, 0.0, 10.0, 10.0]
NOTHING = as_boxes([])


def test_a_face_is_found_once_by_the_surest_detection() -> None:
    """The second detection of a face is a false alarm, whatever the order in which they are given."""
    detections = Detections(as_boxes([[0, 0, 10, 9], FACE]), np.array([0.4, 0.9]))
    matches = match(detections, as_boxes([FACE]), NOTHING)
    assert matches.outcomes.tolist() == [FALSE_ALARM, HIT]
    assert matches.faces.tolist() == [-1, 0]


def test_a_detection_turns_to_the_next_face_when_its_best_is_taken() -> None:
    """Two close faces are both found by two detections that prefer the same one."""
    faces = as_boxes([FACE, [2, 0, 12, 10]])
    detections = Detections(as_boxes([FACE, [0.5, 0, 10.5, 10]]), np.array([0.9, 0.8]))
    assert match(detections, faces, NOTHING).outcomes.tolist() == [HIT, HIT]


def test_ignored_regions_count_neither_way() -> None:
    """A detection on an ignored region, or inside of a large one, is not a false alarm; beside it, it is."""
    ignored = as_boxes([[100, 100, 110, 110], [200, 200, 400, 400]])
    detections = Detections(
        as_boxes([[100, 100, 110, 110], [250, 250, 260, 260], [195, 195, 203, 203]]),
        np.array([0.9, 0.8, 0.7]),
    )
    assert match(detections, NOTHING, ignored).outcomes.tolist() == [UNCOUNTED, UNCOUNTED, FALSE_ALARM]


def test_a_face_beats_an_ignored_region_around_it() -> None:
    """A face annotated within an ignored crowd can still be found."""
    detections = Detections(as_boxes([FACE]), np.array([0.9]))
    assert match(detections, as_boxes([FACE]), as_boxes([[-5, -5, 50, 50]])).outcomes.tolist() == [HIT]


def test_faces_of_other_sizes_count_neither_way() -> None:
    """With a range of sizes, finding a face outside of it is no hit and no alarm; missing it is no miss."""
    faces = as_boxes([FACE, [50, 50, 90, 90]])
    detections = Detections(
        as_boxes([FACE, [50, 50, 90, 90], [0, 200, 8, 208], [0, 300, 50, 350]]),
        np.array([0.9, 0.8, 0.7, 0.6]),
    )
    matches = match(detections, faces, NOTHING, sizes=SizeRange(24))
    assert matches.outcomes.tolist() == [UNCOUNTED, HIT, UNCOUNTED, FALSE_ALARM]
    assert matches.n_faces == 1


def test_the_ends_of_a_range_are_in_and_out() -> None:
    """Bands that follow each other take every face exactly once."""
    boxes = as_boxes([[0, 0, 5, 24], [0, 0, 5, 39.9], [0, 0, 5, 40]])
    assert SizeRange(24, 40).holds(boxes).tolist() == [True, True, False]
    assert SizeRange(40).holds(boxes).tolist() == [False, False, True]
    assert [str(SizeRange()), str(SizeRange(24)), str(SizeRange(24, 40))] == ["all", ">= 24 px", "24-40 px"]


def test_empty_photographs_are_fine() -> None:
    """No detection, no face, no region: nothing counts and nothing fails."""
    matches = match(Detections(), NOTHING, NOTHING)
    assert (len(matches.outcomes), matches.n_faces) == (0, 0)


@pytest.mark.parametrize(
    ("boxes", "scores", "message"),
    [
        ([FACE], [], "1 boxes and 0 scores"),
        ([FACE], [float("nan")], "finite"),
        ([[0, 0, np.inf, 1]], [1], "finite"),
    ],
)
def test_detections_that_cannot_be_ranked_are_refused(
    boxes: list[list[float]], scores: list[float], message: str
) -> None:
    """A score that is missing or no number would be sorted anywhere."""
    with pytest.raises(ValueError, match=message):
        Detections(as_boxes(boxes), np.array(scores, dtype=float))
