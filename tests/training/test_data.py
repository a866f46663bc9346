"""Photographs to crops: readers, the split, windows of background, augmentation."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepevent.errors import SettingsError
from deepevent_trainer.boxes import as_boxes, iou
from deepevent_trainer.calibration import CLASSES, IDENTITY, encode
from deepevent_trainer.data import crops
from deepevent_trainer.data.augment import FOR_DETECTION, UNCHANGED, Augmentation, sample
from deepevent_trainer.data.bundled import bundled_photographs
from deepevent_trainer.data.folder import read_folder
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.split import divide
from deepevent_trainer.pyramid import crop_windows


def write_set(folder: Path, rows: list[str], images: list[str], details: list[str] | None = None) -> Path:
    """Write a set of small pictures in the layout of docs/data.md."""
    (folder / "images").mkdir(parents=True)
    for name in images:
        cv2.imwrite(str(folder / "images" / name), np.zeros((40, 50, 3), np.uint8))
    (folder / "annotations.csv").write_text("\n".join(["image,x,y,w,h,label", *rows]) + "\n")
    if details is not None:
        (folder / "images.csv").write_text("\n".join(["image,split,group", *details]) + "\n")
    return folder


def test_a_set_is_read_with_its_boxes_splits_and_groups(tmp_path: Path) -> None:
    """Faces, ignored regions, the division and groups of images.csv; an image without boxes is face-free."""
    folder = write_set(
        tmp_path / "set",
        ["a.png,1,2,10,20,face", "a.png,5,5,4,4,ignore", "b.png,0,0,30.5,12,face", "b.png,1,1,0,5,face"],
        ["a.png", "b.png", "c.png"],
        ["a.png,train,g1", "b.png,validation,", "gone.png,train,"],
    )
    (folder / "images" / "notes.txt").write_text("no picture")
    a, b, c = read_folder(folder)
    assert (a.name, a.group, a.split) == ("a.png", "g1", "train")
    np.testing.assert_array_equal(a.faces, [[1, 2, 11, 22]])
    np.testing.assert_array_equal(a.ignored, [[5, 5, 9, 9]])
    assert (b.split, b.group) == ("val", "b")
    np.testing.assert_array_equal(b.faces, [[0, 0, 30.5, 12]])
    assert len(c.faces) == 0
    assert c.read().shape == (40, 50, 3)


def test_a_folder_of_sets_is_read_as_one(tmp_path: Path) -> None:
    """Names carry their set, a set without boxes is face-free, and a set can be barred as background."""
    write_set(tmp_path / "faces", ["a.png,1,2,10,20,face"], ["a.png"])
    write_set(tmp_path / "rooms", [], ["a.png"])
    (tmp_path / "elsewhere").mkdir()
    photographs = read_folder(tmp_path, positives_only=["faces"])
    assert [(p.name, len(p.faces), p.complete) for p in photographs] == [
        ("faces/a.png", 1, False),
        ("rooms/a.png", 0, True),
    ]
    assert len({p.group for p in photographs}) == 2


@pytest.mark.parametrize(
    ("names", "n_groups"),
    [
        (["test__walk_mp4-1_jpg_ab.png", "train__walk_mp4-22_jpg_cd.png", "x.png"], 2),
        (["Ann_Lee_0001.png", "Ann_Lee_0002.png", "Bo_Li_0001.png"], 2),
        (["img_1.png", "img_2.png", "img_3.png", "img_4.png", "img_5.png"], 5),
    ],
)
def test_frames_of_a_film_and_pictures_of_a_person_are_one_group(
    tmp_path: Path, names: list[str], n_groups: int
) -> None:
    """Names tell series; a set that is simply numbered has none."""
    photographs = read_folder(write_set(tmp_path / "set", [], names))
    assert len({photograph.group for photograph in photographs}) == n_groups


def test_what_cannot_be_read_is_told_in_a_sentence(tmp_path: Path) -> None:
    """No folder, no set, no column, no number, no image, no such set: each names what and where."""
    with pytest.raises(SettingsError, match="is not a folder"):
        read_folder(tmp_path / "none")
    with pytest.raises(SettingsError, match=r"has annotations\.csv beside images/"):
        read_folder(tmp_path)
    folder = write_set(tmp_path / "set", ["a.png,1,two,3,4,face"], ["a.png"])
    with pytest.raises(SettingsError, match="line 2: x, y, w, h must be numbers"):
        read_folder(folder)
    (folder / "annotations.csv").write_text("image,x,y\na.png,1,2\n")
    with pytest.raises(SettingsError, match="has no column 'w'"):
        read_folder(folder)
    (folder / "annotations.csv").write_text("image,x,y,w,h\nb.png,1,2,3,4\n")
    with pytest.raises(SettingsError, match=r"names 'b.png' \(1 such\), which is not in images/"):
        read_folder(folder)
    with pytest.raises(SettingsError, match="no set is named 'other'"):
        read_folder(folder, positives_only=["other"])


groups = st.lists(
    st.tuples(st.integers(0, 12), st.booleans(), st.sampled_from([None, None, None, "train", "val", "test"])),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60)
@given(groups, st.integers(0, 1000))
def test_no_group_is_on_both_sides(rows: list[tuple[int, bool, str | None]], seed: int) -> None:
    """Whatever the marks: both sides share no group, nothing is lost, a seed divides alike."""
    photographs = [
        Photograph(f"{i}", faces=as_boxes([[0, 0, 9, 9]] if face else []), group=f"g{group}", split=split)
        for i, (group, face, split) in enumerate(rows)
    ]
    try:
        division = divide(photographs, seed)
    except SettingsError:
        return
    sides = [{p.group for p in side} for side in (division.training, division.validation)]
    assert not sides[0] & sides[1]
    names = {p.name for p in division.training} | {p.name for p in division.validation}
    assert names == {p.name for p in photographs if p.split != "test"}
    again = divide(photographs, seed)
    assert [p.name for p in again.validation] == [p.name for p in division.validation]


def test_a_split_holds_its_share_and_says_when_it_cannot() -> None:
    """A fifth of the groups is held out; one group with faces cannot be divided."""
    photographs = [Photograph(f"{i}", faces=as_boxes([[0, 0, 9, 9]]), group=f"{i}") for i in range(50)]
    assert len(divide(photographs, 1).validation) == 10
    with pytest.raises(SettingsError, match="no face is left for"):
        divide(photographs[:1], 1)


def test_windows_of_background_keep_away_from_faces() -> None:
    """Every window is inside, at least as large as the net's, and overlaps little with faces."""
    photograph = Photograph("p", faces=as_boxes([[20, 20, 60, 60]]), ignored=as_boxes([[70, 0, 100, 100]]))
    windows = crops.background_windows(photograph, (100, 100), 12, 300, np.random.default_rng(0))
    assert len(windows) > 100
    assert (windows[:, 2] - windows[:, 0] >= 11.99).all()
    assert (windows >= 0).all()
    assert (windows <= 100).all()
    assert (iou(windows, photograph.faces) < 0.3).all()
    assert (np.abs(windows - photograph.faces).max(1) < 40).any()


def test_crops_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    """Deterministic windows; and a photograph whose faces are not all known gives none."""
    pixels = np.random.default_rng(1).integers(0, 256, (80, 90, 3)).astype(np.uint8)
    photographs = [Photograph("a", pixels=pixels), Photograph("b", pixels=pixels, complete=False)]
    first, again, other = (crops.negatives(photographs, 12, 20, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.boxes, other.boxes)
    assert set(first.photographs.tolist()) == {0}
    assert len(first) == 20


def test_nothing_to_cut_gives_no_crops() -> None:
    """No photographs, none with faces, none large enough."""
    small = Photograph("s", pixels=np.zeros((8, 8, 3), np.uint8), faces=as_boxes([[0, 0, 8, 8]]))
    for found in (
        crops.positives([], 12, 0),
        crops.positives([small], 12, 0),
        crops.negatives([], 12, 5, 0),
        crops.negatives([small], 12, 5, 0),
    ):
        assert found.pixels.shape == (0, 48, 48, 3)


def test_an_unvaried_crop_is_the_window() -> None:
    """What a net learns from is what the cascade will show it, under the 45 transforms too."""
    smooth = cv2.GaussianBlur(
        np.random.default_rng(2).integers(0, 256, (200, 200, 3)).astype(np.uint8), (0, 0), 6
    )
    face = as_boxes([[70, 60, 118, 108]])
    photograph = Photograph("p", faces=face, pixels=smooth.astype(np.uint8))
    stored = torch.from_numpy(crops.positives([photograph], 12, 0).pixels)
    for index in (IDENTITY, 0, 8, 36, 44):
        transforms = torch.from_numpy(CLASSES[[index]].astype(np.float32))
        seen = sample(stored, 12, UNCHANGED, None, transforms)[0].permute(1, 2, 0).numpy()
        window = crop_windows(photograph.read(), encode(face, np.array([index])), 12)[0]
        assert np.abs(seen - window).mean() < 3


def test_augmentation_follows_its_generator_and_its_limits() -> None:
    """Same state, same pixels; values stay within 0..255; mirror alone is the mirrored crop or the crop."""
    stored = torch.randint(0, 256, (6, 48, 48, 3), dtype=torch.uint8)
    one, two = (sample(stored, 12, FOR_DETECTION, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, two)
    assert float(one.min()) >= 0
    assert float(one.max()) <= 255
    plain = sample(stored, 12)
    mirrored = sample(stored, 12, Augmentation(mirror=True), torch.Generator().manual_seed(0))
    same = [torch.allclose(a, b, atol=0.01) for a, b in zip(mirrored, plain, strict=True)]
    turned = [torch.allclose(a, b.flip(2), atol=0.01) for a, b in zip(mirrored, plain, strict=True)]
    assert all(a or b for a, b in zip(same, turned, strict=True))
    assert any(same)
    assert any(turned)


def test_augmentation_takes_no_crops() -> None:
    """An empty batch stays empty."""
    assert sample(torch.zeros(0, 48, 48, 3, dtype=torch.uint8), 12, FOR_DETECTION).shape == (0, 3, 12, 12)


def test_the_bundled_data_is_the_same_each_time_and_held_apart() -> None:
    """Faces inside their scenes, two portraits only held out, grey scenes, and nothing random left."""
    first, again = bundled_photographs(), bundled_photographs()
    assert all(np.array_equal(a.read(), b.read()) for a, b in zip(first[:5], again[:5], strict=True))
    for photograph in first:
        height, width = photograph.read().shape[:2]
        assert (photograph.faces >= 0).all()
        assert (photograph.faces[:, 2] <= width).all()
        assert (photograph.faces[:, 3] <= height).all()
    division = divide(first, 0)
    assert {"eileen_collins", "grace_hopper"} <= {p.name for p in division.validation}
    assert sum(len(p.faces) for p in division.training) > 500
