"""FDDB's protocol: overlaps with ellipses, the assignment, and both curves."""

from __future__ import annotations

import numpy as np
import pytest

from deepevent_trainer.boxes import as_boxes
from deepevent_trainer.data.readers.fddb import FddbPhotograph, ellipse_boxes
from deepevent_trainer.evaluate import measure_fddb
from deepevent_trainer.evaluation.fddb import EllipseScene, ellipse_iou, roc, roc_by_fold
from deepevent_trainer.evaluation.matching import Detections

UPRIGHT = np.array([[50.0, 30.0, np.pi / 2, 100.0, 100.0]])


def test_the_box_around_an_upright_ellipse_overlaps_by_a_quarter_of_pi() -> None:
    """Area pi a b in a box of 4 a b."""
    assert ellipse_iou(ellipse_boxes(UPRIGHT), UPRIGHT)[0, 0] == pytest.approx(np.pi / 4, abs=1e-3)


def test_overlaps_agree_with_counted_pixels() -> None:
    """Turned ellipses and shifted boxes, against a fine raster."""
    generator = np.random.default_rng(3)
    for _ in range(20):
        ellipse = np.array(
            [*generator.uniform(15, 60, 2), generator.uniform(-3, 3), *generator.uniform(80, 120, 2)]
        )
        corner = generator.uniform(20, 110, 2)
        box = np.array([[*corner, *(corner + generator.uniform(20, 90, 2))]])
        y, x = np.mgrid[0:220:0.25, 0:220:0.25]
        dx, dy, turn = x - ellipse[3], y - ellipse[4], ellipse[2]
        along, across = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
        in_ellipse = (along / ellipse[0]) ** 2 + (across / ellipse[1]) ** 2 <= 1
        in_box = (x >= box[0, 0]) & (x < box[0, 2]) & (y >= box[0, 1]) & (y < box[0, 3])
        expected = (in_ellipse & in_box).sum() / (in_ellipse | in_box).sum()
        assert ellipse_iou(box, ellipse[None])[0, 0] == pytest.approx(expected, abs=0.01)


def test_overlap_far_from_the_origin_keeps_its_precision() -> None:
    """A shift of ellipse and box together changes nothing."""
    far = UPRIGHT + np.array([0, 0, 0, 50_000, 70_000])
    assert ellipse_iou(ellipse_boxes(far), far)[0, 0] == pytest.approx(np.pi / 4, abs=1e-3)
    assert ellipse_iou(as_boxes([[0, 0, 0, 0]]), UPRIGHT)[0, 0] == 0.0


def test_curves_count_by_hand() -> None:
    """One hit, then a false positive, then a second box on the same face, which is one as well."""
    box = ellipse_boxes(UPRIGHT)[0]
    boxes = as_boxes([box, [300, 300, 340, 340], box - np.array([0, 4, 0, 0])])
    curves = roc([EllipseScene(UPRIGHT, Detections(boxes, np.array([0.9, 0.8, 0.7])))])
    assert curves.false_positives.tolist() == [0, 1, 2]
    assert curves.discrete.tolist() == [1, 1, 1]
    np.testing.assert_allclose(curves.continuous, np.pi / 4, atol=1e-3)


def test_a_later_detection_may_take_a_face_over() -> None:
    """The assignment is the best at each threshold, not the first come: two faces, two boxes, both found."""
    first = UPRIGHT[0]
    second = first + np.array([0, 0, 0, 22, 0])
    box_between = ellipse_boxes(np.array([first + np.array([0, 0, 0, 8, 0])]))[0]
    box_first = ellipse_boxes(np.array([first + np.array([0, 0, 0, -4, 0])]))[0]
    scene = EllipseScene(
        np.array([first, second]), Detections(as_boxes([box_between, box_first]), np.array([2.0, 1.0]))
    )
    curves = roc([scene])
    assert curves.discrete.tolist() == [0.5, 1.0]
    assert curves.false_positives.tolist() == [0, 0]


def test_truth_as_detections_finds_every_face_without_a_false_positive() -> None:
    """The boxes of all ellipses, of any angle: true-positive rate 1, per fold and in all."""
    generator = np.random.default_rng(5)
    photographs = []
    for index in range(40):
        minor = generator.uniform(15, 40, 3)
        ellipses = np.stack(
            [
                minor * generator.uniform(1.2, 1.5, 3),
                minor,
                generator.uniform(1.2, 1.9, 3),
                [80, 300, 520],
                generator.uniform(90, 200, 3),
            ],
            axis=1,
        )
        photographs.append(
            FddbPhotograph(
                name=str(index), faces=ellipse_boxes(ellipses), ellipses=ellipses, fold=index % 10 + 1
            )
        )
    found = {photograph.name: Detections(photograph.faces, np.ones(3)) for photograph in photographs}
    figures = measure_fddb(photographs, found)
    assert figures["discrete"] == {"1000": 1.0, "2000": 1.0}
    assert figures["n_faces"] == 120
    assert 0.7 < figures["continuous"]["1000"] < 0.8
    assert [fold["discrete"] for fold in figures["folds"].values()] == [1.0] * 10


def test_rates_are_read_under_the_limit_and_folds_apart() -> None:
    """A true positive that costs more false positives than allowed does not count."""
    box = ellipse_boxes(UPRIGHT)[0]
    clutter = np.arange(1200)[:, None] * 50.0 + [1000, 0, 1040, 40]
    clutter[:, 1], clutter[:, 3] = 0, 40
    boxes = as_boxes(np.concatenate([clutter, box[None]]))
    late = EllipseScene(UPRIGHT, Detections(boxes, np.append(np.linspace(1, 0.5, 1200), 0.1)), fold=2)
    early = EllipseScene(UPRIGHT, Detections(as_boxes([box]), np.ones(1)), fold=1)
    curves = roc([late, early])
    assert (curves.rate_at(1000), curves.rate_at(2000)) == (0.5, 1.0)
    by_fold = roc_by_fold([late, early])
    assert (by_fold[1].rate_at(0), by_fold[2].rate_at(0)) == (1.0, 0.0)
    assert roc([]).rate_at(1000) == 0.0
