"""The article's cascade: its stages in order, its thresholds, and what is mined for the next net."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepevent.errors import SettingsError
from deepevent_trainer.boxes import iou
from deepevent_trainer.calibrated_cascade import CascadeLevel, pipeline
from deepevent_trainer.cascade import Candidates
from deepevent_trainer.data.crops import NEGATIVE_IOU
from deepevent_trainer.data.mining import MOST_A_PHOTOGRAPH, mine
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.networks import build_network
from deepevent_trainer.thresholds import passing_threshold

IMAGE = np.random.default_rng(5).integers(0, 255, (60, 80, 3), dtype=np.uint8)
FACE = np.array([[20, 10, 50, 40]], dtype=np.float32)


@pytest.fixture(scope="module")
def levels():
    """Three levels of untrained nets that let about half of the windows pass."""
    torch.manual_seed(2)
    found: list[CascadeLevel] = []
    for size in (12, 24, 48):
        judge, mover = (build_network(f"{kind}{size}").eval() for kind in ("det", "cal"))
        seen = next(pipeline([IMAGE], [*found, CascadeLevel(judge, 0.0)], 24, final=False)).scores
        found.append(CascadeLevel(judge, float(np.median(seen)), mover))
    return found


def test_stages_follow_each_other_as_in_the_article(levels):
    """det, cal and filter at 12 and 24 px; det, cal and the filter over all scales at 48 px."""
    found = next(pipeline([IMAGE], levels, 24))
    names = [stage.name for stage in found.stages]
    assert names == [
        "det12",
        "cal12",
        "suppress12",
        "det24",
        "cal24",
        "suppress24",
        "det48",
        "cal48",
        "final",
    ]
    kinds = [stage.kind for stage in found.stages]
    assert kinds == ["classify", "calibrate", "suppress"] * 2 + ["classify", "calibrate", "final"]


def test_order_of_images_and_answers_do_not_depend_on_the_batch(levels):
    """Windows of several images in one batch come back to their own image."""
    images = [IMAGE, np.zeros((50, 50, 3), dtype=np.uint8), IMAGE[:, ::-1].copy()]
    alone = [next(pipeline([image], levels, 24, batch_size=7)) for image in images]
    for one, other in zip(alone, pipeline(images, levels, 24, batch_size=64), strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)


def test_wider_step_looks_at_fewer_windows(levels):
    """A step of 8 px sees every second window in both directions."""
    near = next(pipeline([IMAGE], levels[:1], 24)).stages[0].n_seen
    far = next(pipeline([IMAGE], levels[:1], 24, step_px=8)).stages[0].n_seen
    assert near / 6 < far < near / 2


def test_step_between_windows_of_the_net_is_refused(levels):
    """A step that the net cannot take is named."""
    with pytest.raises(SettingsError, match="multiple of the net's 4 px, got 6"):
        next(pipeline([IMAGE], levels, 24, step_px=6))


def fixed(boxes: np.ndarray, scores: np.ndarray):
    """A cascade that finds the same on every image."""

    def find(images):
        for image in images:
            yield Candidates(image, boxes.astype(np.float32), scores.astype(np.float32))

    return find


def test_threshold_keeps_the_share_of_faces_that_arrive():
    """Of four faces found with scores .2 to .8, three quarters stay; a face never found changes nothing."""
    photographs = [Photograph(f"{n}", None, FACE, pixels=IMAGE) for n in range(4)]
    scores = iter([0.2, 0.4, 0.6, 0.8])

    def find(images):
        for image in images:
            yield Candidates(image, FACE, np.array([next(scores)], dtype=np.float32))

    threshold = passing_threshold(find, photographs, 0.75, 24)
    assert 0.2 < threshold <= 0.4
    elsewhere = fixed(FACE + 100, np.array([0.9]))
    assert passing_threshold(elsewhere, photographs, 0.75, 24) == 0.5


def test_mining_never_takes_a_face():
    """Windows near a face, in an ignored region or of a photograph not fully annotated are left alone."""
    random = np.random.default_rng(8)
    corners = random.uniform(0, 40, (400, 2))
    windows = np.concatenate([corners, corners + random.uniform(14, 40, (400, 1))], axis=1)
    find = fixed(windows, np.full(400, 0.9))
    ignored = np.array([[60, 0, 80, 60]], dtype=np.float32)
    whole = Photograph("a", None, FACE, ignored, pixels=IMAGE)
    unknown = Photograph("b", None, FACE, pixels=IMAGE, complete=False)
    mined = mine(find, [unknown, whole], 24, 1000)
    assert 0 < len(mined) <= MOST_A_PHOTOGRAPH
    assert set(mined.photographs.tolist()) == {1}
    assert (iou(mined.boxes, FACE) < NEGATIVE_IOU).all()
    common = np.minimum(mined.boxes[:, 2], 80) - np.maximum(mined.boxes[:, 0], 60)
    assert (np.maximum(common, 0) < 0.5 * (mined.boxes[:, 2] - mined.boxes[:, 0])).all()


def test_mining_stops_when_there_is_enough():
    """Later photographs are not searched once the pool is full."""
    windows = np.tile(np.array([[0.0, 0.0, 20.0, 20.0]]), (30, 1)) + np.arange(30)[:, None]
    find = fixed(windows, np.full(30, 0.9))
    photographs = [Photograph(str(n), None, pixels=IMAGE) for n in range(5)]
    assert set(mine(find, photographs, 24, 40).photographs.tolist()) == {0, 1}
