"""The check of a set: what it finds, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from deepevent_trainer.boxes import as_boxes
from deepevent_trainer.data.check import check
from deepevent_trainer.data.duplicates import picture_hash, similar_pairs
from deepevent_trainer.data.photographs import Photograph


def scenery(seed: int, width: int = 160, height: int = 120) -> np.ndarray:
    """Return smooth random clouds: a picture with large shapes, like a photograph."""
    small = np.random.default_rng(seed).integers(0, 255, (8, 10, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))


def hashes_differ(first: np.ndarray, second: np.ndarray) -> bool:
    return not list(similar_pairs([picture_hash(first), picture_hash(second)]))


def test_copies_are_found_through_size_compression_and_brightness(tmp_path: Path) -> None:
    """The same picture, smaller, recompressed or brighter, is the same to the eye; another one is not."""
    original = scenery(1)
    cv2.imwrite(str(tmp_path / "poor.jpg"), original, [cv2.IMWRITE_JPEG_QUALITY, 40])
    recompressed = cv2.imread(str(tmp_path / "poor.jpg"))
    smaller = cv2.resize(original, (96, 72), interpolation=cv2.INTER_AREA)
    brighter = np.clip(original.astype(int) * 0.8 + 40, 0, 255).astype(np.uint8)
    for copy in (recompressed, smaller, brighter):
        assert not hashes_differ(original, copy)
    assert hashes_differ(original, scenery(2))
    assert hashes_differ(original, original[:, ::-1])


def test_all_pairs_are_compared_and_flat_pictures_left_out() -> None:
    """Pairs far apart in a long list are found; two grey walls are no pair."""
    pictures = [scenery(seed, 40, 30) for seed in range(700)]
    pictures[690] = pictures[3].copy()
    pictures += [np.full((30, 40, 3), 90, dtype=np.uint8)] * 2
    assert [pair[:2] for pair in similar_pairs([picture_hash(picture) for picture in pictures])] == [(3, 690)]
    assert list(similar_pairs([])) == []


def test_impossible_boxes_and_broken_images_are_reported(tmp_path: Path) -> None:
    """Each kind once, with its box; a box that sticks out a little is fine."""
    boxes = as_boxes(
        [
            [10, 10, 40, 40],
            [-5, 10, 40, 40],
            [200, 10, 240, 40],
            [10, 10, 10, 40],
            [-30, 10, 20, 40],
            [0, 0, np.nan, 9],
        ]
    )
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 not much of a picture")
    report = check(
        [
            Photograph(name="fine", pixels=scenery(1), faces=boxes),
            Photograph(name="broken", path=broken),
            Photograph(name="missing", path=tmp_path / "missing.jpg"),
        ]
    )
    assert report.counts() == {"leak": 0, "broken": 2, "empty": 2, "outside": 1, "duplicate": 0, "beyond": 1}
    assert [finding.box for finding in report.findings if finding.kind == "outside"] == [[200, 10, 240, 40]]
    assert (report.n_photographs, report.n_faces) == (3, 6)


def test_a_picture_in_training_and_test_is_a_leak_and_within_one_a_duplicate() -> None:
    """The worst finding comes first; each names both pictures."""
    done: list[tuple[int, int]] = []
    report = check(
        [
            Photograph(name="a", pixels=scenery(1), split="train"),
            Photograph(name="b", pixels=scenery(1), split="train"),
            Photograph(name="c", pixels=scenery(3), split="train"),
            Photograph(name="d", pixels=scenery(3), split="test"),
            Photograph(name="e", pixels=scenery(5)),
        ],
        lambda count, total: done.append((count, total)),
    )
    assert [(found.kind, found.photograph, found.other) for found in report.findings] == [
        ("leak", "c", "d"),
        ("duplicate", "a", "b"),
    ]
    assert done[-1] == (5, 5)
    assert report.as_json()["counts"]["leak"] == 1
