"""The cascade's nets learn, their targets lie on the faces, and mining never takes a face."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from deepevent_trainer import box_cascade
from deepevent_trainer.boxes import iou, squared
from deepevent_trainer.cascade_training import faces_of, judges_of
from deepevent_trainer.data import crops
from deepevent_trainer.data.box_crops import BoxCrops
from deepevent_trainer.data.bundled import bundled_photographs
from deepevent_trainer.data.crops import NEGATIVE_IOU
from deepevent_trainer.data.folder import read_folder
from deepevent_trainer.data.mining import mine
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.losses import loss_of
from deepevent_trainer.networks import build_network
from deepevent_trainer.runtime import Detector
from deepevent_trainer.thresholds import LOWEST, WINDOW_IOU, choose_threshold


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small nets gain nothing from threads that wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def scenes() -> list[Photograph]:
    """Two composed scenes, and a third whose faces are not all annotated."""
    first, second, third = bundled_photographs()[:3]
    partly = Photograph("partly", faces=third.faces, pixels=third.read(), complete=False)
    return [first, second, partly]


def source(
    photographs: list[Photograph], size_px: int, context: float, crops_per_epoch: int = 128
) -> BoxCrops:
    pair = (
        faces_of(photographs, size_px, 0),
        crops.negatives(photographs, size_px, 200, 0, planes=1),
    )
    return BoxCrops(pair, pair, context=context, batch_size=128, crops_per_epoch=crops_per_epoch, seed=1)


def test_det24_learns_a_handful_by_heart(scenes: list[Photograph]) -> None:
    """64 windows near faces and 64 of background that stay as they are, are told apart within 50 steps."""
    network = build_network("det24", "best")
    batch = next(source(scenes, 24, network.plan.context).epoch(0))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for _ in range(50):
        loss = loss_of(network.plan, network(batch.pixels).flatten(1), batch)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    network.eval()
    judged = batch.targets >= 0
    with torch.no_grad():
        told = network(batch.pixels).flatten(1)[judged, :2].argmax(1)
    assert (told == batch.targets[judged]).float().mean() > 0.98


@pytest.mark.parametrize("size_px", [12, 24, 48])
def test_targets_lie_on_the_faces(size_px: int) -> None:
    """The box that a net is to answer is where the face is in the pixels that it sees."""
    image = np.zeros((200, 200, 3), dtype=np.uint8)
    face = np.array([[70, 60, 118, 124]], dtype=np.float32)
    cv2.rectangle(image, (70, 60), (117, 123), (255, 255, 255), -1)
    photograph = Photograph("square", faces=face, pixels=image)
    context = 1.5
    batch = next(iter(source([photograph], size_px, context).validation()))
    assert batch.boxes is not None
    whole = [index for index in range(len(batch.boxes)) if torch.isfinite(batch.boxes[index, 0])]
    assert whole
    for index in whole:
        target = batch.boxes[index].numpy() + np.array([0, 0, 1, 1])
        expected = ((target - 0.5) / context + 0.5) * size_px
        white = batch.pixels[index, 0].numpy() > 127
        rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
        seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        np.testing.assert_allclose(seen, np.clip(expected, 0, size_px), atol=1.01)


def test_as_many_windows_are_faces_as_a_net_needs(scenes: list[Photograph]) -> None:
    """More than a third of a batch are faces; the windows between face and background teach only the box."""
    batches = list(itertools.islice(source(scenes, 24, 1.2, 1024).epoch(0), 8))
    targets = torch.cat([batch.targets for batch in batches])
    assert (targets == 1).float().mean() > 0.35
    assert (targets == 0).float().mean() > 0.45


def test_mining_never_takes_a_face(scenes: list[Photograph]) -> None:
    """A net that takes everything for a face gives background only, and of complete scenes only."""
    judges = judges_of([build_network("det12", "best").eval()], {"det12": 0.0})
    found = mine(lambda images: box_cascade.pipeline(images, judges, 24), scenes, 24, 1000, planes=1)
    assert len(found) > 10
    assert set(found.photographs.tolist()) <= {0, 1}
    for box, index in zip(found.boxes, found.photographs, strict=True):
        assert iou(box[None], scenes[index].faces).max() < NEGATIVE_IOU


def test_a_threshold_lets_the_faces_of_validation_pass(scenes: list[Photograph]) -> None:
    """At the threshold chosen on photographs, 95 % of their faces that had a window keep one."""
    (first, *_) = Detector().judges
    chosen = choose_threshold([replace(first, threshold=LOWEST)], scenes, 20, 0)
    assert LOWEST < chosen < 1
    reached = kept = 0
    for scene in scenes:
        for threshold in (LOWEST, chosen):
            found = next(box_cascade.pipeline([scene.read()], [replace(first, threshold=threshold)], 20))
            faces = scene.faces[scene.faces[:, 3] - scene.faces[:, 1] >= 20]
            hit = int((iou(squared(faces), squared(found.boxes)) >= WINDOW_IOU).any(axis=1).sum())
            reached, kept = (reached + hit, kept) if threshold == LOWEST else (reached, kept + hit)
    assert reached > 0
    assert kept >= 0.95 * reached


def test_heavily_covered_faces_can_be_spared(tmp_path) -> None:
    """A set that says which faces are heavily covered can have them counted neither way."""
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.zeros((50, 50, 3), dtype=np.uint8))
    rows = ["image,x,y,w,h,label,occlusion", "a.png,1,1,9,9,face,2", "a.png,20,20,9,9,face,1"]
    (tmp_path / "annotations.csv").write_text("\n".join(rows) + "\n")
    (spared,), (taken,) = read_folder(tmp_path, spare_covered=True), read_folder(tmp_path)
    assert (len(spared.faces), len(spared.ignored)) == (1, 1)
    assert (len(taken.faces), len(taken.ignored)) == (2, 0)
