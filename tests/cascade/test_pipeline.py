"""The pipeline: many images at once give what one at a time gives."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from deepevent_trainer import cascade
from deepevent_trainer.boxes import as_boxes, iou
from deepevent_trainer.networks import Network, build_network
from deepevent_trainer.records import detections


@pytest.fixture
def nets() -> tuple[Network, Network]:
    torch.manual_seed(5)
    return build_network("det12").eval(), build_network("cal12").eval()


@pytest.fixture
def images() -> list[np.ndarray]:
    """Five pictures of different sizes; one too small for any window."""
    random = np.random.default_rng(6)
    shapes = [(60, 80), (10, 10), (50, 50), (90, 40), (64, 64)]
    return [random.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in shapes]


def twelve(
    nets: tuple[Network, Network], images: list[np.ndarray], batch: int
) -> Iterator[cascade.Candidates]:
    """det12, cal12 and suppression, as they are trained."""
    detector, calibrator = nets
    threshold = float(np.median(cascade.face_map(detector, images[0])))
    return cascade.run(
        cascade.scan(images, detector, threshold, min_face_px=14),
        cascade.calibrate("cal12", cascade.classifier(calibrator), 12, batch),
        cascade.suppression("suppress12", 0.4, within_scales=True),
    )


@pytest.mark.parametrize("batch", [1, 7, 64, 100_000])
def test_many_images_give_what_each_alone_gives(
    nets: tuple[Network, Network], images: list[np.ndarray], batch: int
) -> None:
    """Order, boxes, scores and parents do not depend on the batch, nor on the neighbours."""
    together = list(twelve(nets, images, batch))
    assert len(together) == len(images)
    for image, found in zip(images, together, strict=True):
        # One threshold for all, so the first image sets it.
        alone = list(twelve(nets, [images[0], image], 64))[1]
        assert found.image is image
        for one, two in zip(found.stages, alone.stages, strict=True):
            assert (one.name, one.kind, one.n_seen) == (two.name, two.kind, two.n_seen)
            np.testing.assert_allclose(one.boxes, two.boxes, rtol=1e-4, atol=1e-3)
            np.testing.assert_array_equal(one.parents, two.parents)


def test_scanning_equals_judging_every_window(nets: tuple[Network, Network]) -> None:
    """On the finest level, where no pixel is resampled, both first stages accept the same windows."""
    detector, _ = nets
    image = np.random.default_rng(8).integers(0, 256, (52, 44, 3)).astype(np.uint8)
    threshold = float(np.median(cascade.face_map(detector, image)))
    [scanned] = cascade.scan([image], detector, threshold, min_face_px=12, scale_step=10)
    judge = cascade.classifier(detector)
    [judged] = cascade.classify("det12", judge, 12, threshold, 16)(
        cascade.all_windows([image], 12, min_face_px=12, scale_step=10)
    )
    np.testing.assert_allclose(scanned.boxes, judged.boxes)
    np.testing.assert_allclose(scanned.scores, judged.scores, rtol=1e-4)
    assert (judged.stages[0].parents == -1).all()
    assert judged.stages[0].n_seen == scanned.stages[0].n_seen


def test_the_nets_see_full_batches(nets: tuple[Network, Network], images: list[np.ndarray]) -> None:
    """Windows of many images fill each batch; only the last is smaller."""
    sizes: list[int] = []

    def judge(crops: np.ndarray) -> np.ndarray:
        sizes.append(len(crops))
        return np.full((len(crops), 45), 1 / 45, dtype=np.float32)

    windows = list(cascade.all_windows(images, 12, min_face_px=14))
    total = sum(len(found.boxes) for found in windows)
    list(cascade.calibrate("cal12", judge, 12, 50)(iter(windows)))
    assert sizes == [50] * (total // 50) + [total % 50] * (total % 50 > 0)


def test_no_images_give_nothing(nets: tuple[Network, Network]) -> None:
    """An empty stream stays empty through every stage, and an image without windows comes out without any."""
    assert list(cascade.run(iter([]), cascade.suppression("s", 0.5, within_scales=True))) == []
    tiny = np.zeros((5, 5, 3), dtype=np.uint8)
    judge = cascade.classifier(nets[1])
    [found] = cascade.run(
        cascade.scan([tiny], nets[0], 0.5, min_face_px=12), cascade.calibrate("cal12", judge, 12, 8)
    )
    assert found.boxes.shape == (0, 4)
    assert [stage.name for stage in found.stages] == ["det12", "cal12"]


def test_logged_detections_keep_every_ancestor(
    nets: tuple[Network, Network], images: list[np.ndarray]
) -> None:
    """Cut down to a few windows, each still points to its own ancestor, and the totals are told."""
    found = next(twelve(nets, images, 64))
    logged = detections(found.stages, as_boxes([[1, 2, 3, 4]]), train=False, max_windows=5)
    assert logged["truth"] == [[1, 2, 3, 4]]
    first, second, third = logged["stages"]
    assert [stage["kind"] for stage in logged["stages"]] == ["classify", "calibrate", "suppress"]
    assert set(first["parents"]) == {-1}
    assert len(third["boxes"]) == 5
    for stage, record in zip(logged["stages"], found.stages, strict=True):
        assert stage["total"] == len(record.boxes)
        assert len(stage["boxes"]) == len(stage["scores"]) == len(stage["parents"])
    for stage, before in ((second, first), (third, second)):
        assert all(0 <= parent < len(before["boxes"]) for parent in stage["parents"])
    # Suppression moves nothing: child and parent are the same box.
    assert [second["boxes"][parent] for parent in third["parents"]] == third["boxes"]
    assert [first["scores"][parent] for parent in second["parents"]] == second["scores"]


def test_a_turned_down_window_leaves_its_score_on_the_face(
    nets: tuple[Network, Network], images: list[np.ndarray]
) -> None:
    """What a later net gave to the best window on a face is told, though it accepted none."""

    def judge(crops: np.ndarray) -> np.ndarray:
        faces = np.linspace(0.1, 0.4, len(crops), dtype=np.float32)
        return np.stack([1 - faces, faces], axis=1)

    first = cascade.scan(images[:1], nets[0], 0.0, min_face_px=14)
    [found] = cascade.run(first, cascade.classify("det24", judge, 24, 0.5, 4096))
    windows = found.stages[0].boxes
    far = [10_000, 10_000, 10_010, 10_010]
    logged = detections(found.stages, as_boxes([windows[-1], far]), train=False, max_windows=5)
    assert logged["stages"][0]["face_scores"] is None
    assert logged["stages"][1]["boxes"] == []
    covering = iou(windows[-1:], windows)[0] >= 0.5
    expected = np.linspace(0.1, 0.4, len(windows), dtype=np.float32)[covering].max()
    assert logged["stages"][1]["face_scores"] == [pytest.approx(expected, abs=1e-4), None]


def test_detections_of_an_image_without_windows_are_empty() -> None:
    """No windows at any stage is an event like any other."""
    [found] = cascade.scan([np.zeros((5, 5, 3), np.uint8)], build_network("det12").eval(), 0.5, 12)
    logged = detections(found.stages, as_boxes([]), train=True)
    assert logged["truth"] == []
    assert logged["stages"][0]["boxes"] == []


@pytest.mark.parametrize("shape", [(52, 44, 3), (12, 12, 3), (30, 61, 3)])
def test_one_pass_over_a_level_is_window_by_window(
    nets: tuple[Network, Network], shape: tuple[int, int, int]
) -> None:
    """Scanning gives every window the answer that it gets when it is cut out and judged by itself."""
    detector, _ = nets
    pixels = np.random.default_rng(9).integers(0, 256, shape).astype(np.uint8)
    scanned = cascade.mapper(detector)(pixels)
    for batch in (1, 7, 1000):
        judged = cascade.windowed(cascade.classifier(detector), 12, detector.stride_px, batch)(pixels)
        np.testing.assert_allclose(judged, scanned, rtol=1e-4, atol=1e-6)
