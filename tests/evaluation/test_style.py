"""Annotation style: the fit finds a shift and stretch, and corrects nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from deepevent_trainer.boxes import as_boxes
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.evaluate import measure
from deepevent_trainer.evaluation.average_precision import Scene
from deepevent_trainer.evaluation.matching import Detections
from deepevent_trainer.evaluation.style import Style, fit_style, in_training_half

NOTHING = as_boxes([])


def faces(n: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    corner = generator.uniform(0, 500, (n, 2))
    size = generator.uniform(25, 90, (n, 1)) * [1.0, 1.25]
    return np.concatenate([corner, corner + size], axis=1).astype(np.float32)


def in_style(boxes: np.ndarray, style: Style) -> np.ndarray:
    return style.apply(boxes)


def test_a_known_style_is_found_again() -> None:
    """Detections made from the truth by a shift and stretch are brought back onto it."""
    truth = faces(200)
    made = in_style(truth, Style(0.05, -0.12, 0.8, 0.7))
    scenes = [
        Scene(truth[at : at + 1], NOTHING, Detections(made[at : at + 1], np.ones(1)))
        for at in range(len(truth))
    ]
    style = fit_style(scenes)
    assert style.n_pairs == 200
    np.testing.assert_allclose(style.apply(made), truth, atol=0.05)


def test_outliers_and_false_alarms_do_not_bend_the_fit() -> None:
    """Only pairs that overlap count; a far detection is no pair."""
    truth = faces(100)
    boxes = np.concatenate([truth, truth + 2000])
    style = fit_style([Scene(truth, NOTHING, Detections(boxes, np.ones(200)))])
    assert style.n_pairs >= 90
    assert style.stretch_x == pytest.approx(1.0, abs=0.02)


def test_chance_pairs_with_much_smaller_faces_do_not_bend_the_fit() -> None:
    """In a crowd some boxes of a low score lie across small faces; the good pairs alone tell the style."""
    truth = faces(100)
    size = truth[:, 2:] - truth[:, :2]
    over_small = np.concatenate([truth[:, :2], truth[:, 2:] + 0.6 * size], axis=1)[:30] + 1000
    annotated = np.concatenate([truth, truth[:30] + 1000])
    boxes = np.concatenate([truth, over_small])
    scenes = [
        Scene(annotated[at : at + 1], NOTHING, Detections(boxes[at : at + 1], np.ones(1)))
        for at in range(len(boxes))
    ]
    style = fit_style(scenes)
    assert style.n_pairs == 130
    np.testing.assert_allclose(style.apply(truth), truth, atol=0.05)


def test_too_few_pairs_leave_the_boxes_alone() -> None:
    """A handful of faces tells no style."""
    truth = faces(3)
    scene = Scene(truth, NOTHING, Detections(in_style(truth, Style(0, 0, 0.8, 0.8)), np.ones(3)))
    assert fit_style([scene]) == Style()
    assert fit_style([]) == Style()


def test_both_figures_are_reported_and_the_fit_uses_one_half() -> None:
    """A tight detector fails raw and is perfect once fitted, also on the half that the fit has not seen."""
    truth = faces(60)
    tight = in_style(truth, Style(0.0, 0.1, 0.62, 0.62))
    names = [f"{index}.jpg" for index in range(60)]
    photographs = [Photograph(name=name, faces=truth[at : at + 1]) for at, name in enumerate(names)]
    found = {name: Detections(tight[at : at + 1], np.ones(1)) for at, name in enumerate(names)}
    measured = measure(photographs, found)
    overall = measured.rows[0]
    assert overall.n_faces == 60
    assert overall.ap < 0.1
    assert overall.ap_fitted == overall.ap_fitted_unseen == pytest.approx(1.0)
    assert measured.style.n_pairs == sum(in_training_half(name) for name in names)
    assert 15 < measured.style.n_pairs < 45


def test_a_set_with_a_training_split_is_fitted_on_it() -> None:
    """The set's own division comes before a half by hash; groups are never divided."""
    truth = faces(40)
    photographs = [
        Photograph(name=str(at), faces=truth[at : at + 1], split="train" if at < 30 else "test")
        for at in range(40)
    ]
    found = {str(at): Detections(truth[at : at + 1], np.ones(1)) for at in range(40)}
    assert measure(photographs, found).style.n_pairs == 30
    assert in_training_half("a.jpg", "ann") == in_training_half("b.jpg", "ann")
