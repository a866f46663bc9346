"""WIDER's protocol: the official files, what is ignored, and what is a false alarm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from deepevent.errors import DataSetError
from deepevent_trainer.boxes import as_boxes
from deepevent_trainer.evaluation.matching import Detections
from deepevent_trainer.evaluation.wider import (
    WiderTruth,
    read_wider_truth,
    wider_average_precision,
    wider_precision_recall,
)

FACES = as_boxes([[0, 0, 40, 50], [100, 0, 112, 15], [200, 0, 204, 5]])
KEPT = {
    "easy": np.array([True, False, False]),
    "medium": np.array([True, True, False]),
    "hard": np.array([True, True, True]),
}


def cells(values: list[object]) -> np.ndarray:
    """Return values as a column of cells, as in the official files."""
    column = np.empty((len(values), 1), dtype=object)
    for index, value in enumerate(values):
        column[index, 0] = value
    return column


def write_official(folder: Path) -> None:
    boxes = cells([cells([np.array([[1, 2, 10, 20], [30, 40, 5, 6]]), np.array([[7, 8, 9, 10]])])])
    common = {
        "event_list": cells(["0--Parade"]),
        "file_list": cells([cells(["0_Parade_jpg.jpgj", "0_Parade_2"])]),
        "face_bbx_list": boxes,
    }
    savemat(folder / "wider_face_val.mat", common)
    for name, kept in (("easy", [[1]]), ("medium", [[2]]), ("hard", [[1], [2]])):
        lists = cells([cells([np.array(kept), np.zeros((0, 1))])])
        savemat(folder / f"wider_{name}_val.mat", common | {"gt_list": lists})


def test_official_files_are_read(tmp_path: Path) -> None:
    """Numbers in the lists count from one; names keep their letters whatever they end in."""
    write_official(tmp_path)
    truths = read_wider_truth(tmp_path)
    assert list(truths) == ["0--Parade/0_Parade_jpg.jpgj.jpg", "0--Parade/0_Parade_2.jpg"]
    first, second = truths.values()
    np.testing.assert_array_equal(first.faces, [[1, 2, 11, 22], [30, 40, 35, 46]])
    assert {name: kept.tolist() for name, kept in first.kept.items()} == {
        "easy": [True, False],
        "medium": [False, True],
        "hard": [True, True],
    }
    assert second.kept["hard"].tolist() == [False]
    with pytest.raises(DataSetError, match="evaluation files"):
        read_wider_truth(tmp_path / "nowhere")


def test_truth_as_detections_is_perfect_at_every_difficulty() -> None:
    """All annotated faces, given back: precision 1 at easy, medium and hard."""
    truths = {"a": WiderTruth(FACES, KEPT)}
    assert wider_average_precision(truths, {"a": Detections(FACES, np.array([0.1, 5.0, -3.0]))}) == {
        "easy": 1.0,
        "medium": 1.0,
        "hard": 1.0,
    }


def test_an_ignored_face_counts_neither_way_and_a_second_find_is_a_false_alarm() -> None:
    """At easy, the small faces cost nothing; a doubled detection of the large one costs precision."""
    boxes = as_boxes([FACES[1], FACES[0], FACES[0] + 1, FACES[2]])
    truths = {"a": WiderTruth(FACES, KEPT), "unseen": WiderTruth(FACES, KEPT)}
    result = wider_precision_recall(truths, {"a": Detections(boxes, np.array([4.0, 3.0, 2.0, 1.0]))}, "easy")
    assert result.n_faces == 2
    np.testing.assert_allclose(result.precision, [0, 1, 0.5, 0.5])
    np.testing.assert_allclose(result.recall, [0, 0.5, 0.5, 0.5])


def test_one_outlier_among_the_scores_moves_nothing() -> None:
    """Scores are compared, not squeezed into a range: a huge one leaves the others apart."""
    truths = {"a": WiderTruth(FACES, KEPT)}
    boxes = as_boxes([*FACES, [500, 500, 520, 520]])
    plain = wider_average_precision(truths, {"a": Detections(boxes, np.array([0.9, 0.8, 0.7, 0.6]))})
    outlier = wider_average_precision(truths, {"a": Detections(boxes, np.array([1e9, 0.8, 0.7, 0.6]))})
    assert plain == outlier == {"easy": 1.0, "medium": 1.0, "hard": 1.0}


def test_corners_are_inclusive_pixels() -> None:
    """A 4 by 5 face found 3 by 4 overlaps by 4 * 5 of 5 * 6 pixels here, 12 of 20 by plain areas."""
    truths = {"a": WiderTruth(as_boxes([[0, 0, 4, 5]]), {"hard": np.array([True])})}
    found = {"a": Detections(as_boxes([[0, 0, 2, 4]]), np.ones(1))}
    assert wider_precision_recall(truths, found, "hard").average_precision == 1.0
