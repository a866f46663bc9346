"""What a net's scores are worth: the ROC curve, and how single losses become one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deepevent_trainer.losses import class_loss
from deepevent_trainer.roc import MOST_POINTS, roc

SCORES = st.lists(st.integers(0, 8).map(lambda n: n / 8), min_size=1, max_size=30).map(np.array)


@given(SCORES, SCORES)
def test_the_area_is_how_often_a_face_scores_higher(faces: np.ndarray, background: np.ndarray) -> None:
    """Against all pairs one by one, ties counted as half; both rates rise from 0 to 1."""
    curve = roc(faces, background)
    assert curve is not None
    pairs = np.sign(faces[:, None] - background[None]) / 2 + 0.5
    assert curve.area == pytest.approx(pairs.mean())
    for rate in (curve.false_positive_rate, curve.true_positive_rate):
        assert (rate[0], rate[-1]) == (0, 1)
        assert (np.diff(rate) >= 0).all()
    assert (np.diff(curve.thresholds) < 0).all()


def test_a_curve_needs_faces_and_background() -> None:
    """Without either there is none; a long one is drawn with few points and keeps its ends."""
    some = np.linspace(0, 1, 5)
    assert roc(some, some[:0]) is None
    assert roc(some[:0], some) is None
    random = np.random.default_rng(0)
    curve = roc(random.random(3_000), random.random(3_000))
    assert curve is not None
    figure = curve.figure()
    assert len(figure.thresholds) <= MOST_POINTS
    assert (figure.false_positive_rate[0], figure.true_positive_rate[-1]) == (0, 1)


def test_hard_windows_count_more_by_rule() -> None:
    """ohem leaves out the easiest three of ten; focal takes next to nothing from what is sure."""
    logits = torch.zeros(10, 2)
    logits[:, 1] = torch.linspace(-3, 6, 10)
    targets = torch.ones(10, dtype=torch.int64)
    each = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    assert class_loss(logits, targets, "plain").item() == pytest.approx(each.mean().item())
    assert class_loss(logits, targets, "ohem").item() == pytest.approx(each[:7].mean().item())
    p = torch.exp(-each)
    assert class_loss(logits, targets, "focal").item() == pytest.approx(((1 - p) ** 2 * each).mean().item())
