"""Readers: each format, read from small sets that the tests write in that format."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepevent.errors import DataSetError
from deepevent_trainer.data.readers import READERS, read, reader, recognise
from deepevent_trainer.data.readers.coco import read_coco
from deepevent_trainer.data.readers.fddb import FddbPhotograph, ellipse_boxes, read_fddb
from deepevent_trainer.data.readers.files import image_size
from deepevent_trainer.data.readers.lfw import CENTRE_BOX, read_lfw
from deepevent_trainer.data.readers.voc import read_voc
from deepevent_trainer.data.readers.wider import WiderPhotograph, read_wider
from deepevent_trainer.data.readers.yolo import read_yolo


def picture(path: Path, width: int = 40, height: int = 30) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 90, dtype=np.uint8))
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


# FDDB

FOLD_1 = """2002/08/11/big/img_591
1
123.583300 85.549500 1.265839 269.693400 161.781200  1
2002/08/26/big/img_265
2
67.363819 44.511485 -1.476417 105.249970 87.209036  1
41.936870 27.064477 1.471906 184.070915 129.345601  1
"""


def test_fddb_gives_ellipses_with_their_boxes_and_folds(tmp_path: Path) -> None:
    """Every face has its ellipse and the box around it; the fold comes from the file's name."""
    text(tmp_path / "FDDB-folds" / "FDDB-fold-01-ellipseList.txt", FOLD_1)
    fold_2 = gzip.compress(b"2003/01/01/big/img_1.jpg\n0\n")
    (tmp_path / "FDDB-folds" / "FDDB-fold-02-ellipseList.txt.gz").write_bytes(fold_2)
    picture(tmp_path / "originalPics" / "2002/08/11/big/img_591.jpg")
    picture(tmp_path / "images" / "2002_08_26_big_img_265.jpg")
    picture(tmp_path / "2003/01/01/big/img_1.jpg")
    first, second, third = read_fddb(tmp_path)
    assert isinstance(first, FddbPhotograph)
    assert isinstance(second, FddbPhotograph)
    assert isinstance(third, FddbPhotograph)
    assert [photograph.fold for photograph in (first, second, third)] == [1, 1, 2]
    # As computed once and for all in the published list of boxes: x 180.1, y 41.1, 179.3 wide, 241.3 high.
    np.testing.assert_allclose(first.faces, [[180.1, 41.1, 359.4, 282.4]], atol=0.15)
    assert second.ellipses.shape == (2, 5)
    assert third.faces.shape == (0, 4)


def test_a_turned_ellipse_fills_its_box() -> None:
    """The box touches the ellipse on all four sides, at any angle."""
    angle = np.linspace(0, 2 * np.pi, 4000)
    for turn in (0.0, 0.4, 1.2, -2.0):
        x = 50 + 20 * np.cos(angle) * np.cos(turn) - 9 * np.sin(angle) * np.sin(turn)
        y = 60 + 20 * np.cos(angle) * np.sin(turn) + 9 * np.sin(angle) * np.cos(turn)
        box = ellipse_boxes(np.array([[20, 9, turn, 50, 60]]))[0]
        np.testing.assert_allclose(box, [x.min(), y.min(), x.max(), y.max()], atol=1e-4)


def test_fddb_names_the_broken_entry_and_the_missing_image(tmp_path: Path) -> None:
    """A message says which file and entry; a set with missing images is refused unless asked for in part."""
    fold = tmp_path / "FDDB-fold-01-ellipseList.txt"
    text(fold, FOLD_1)
    picture(tmp_path / "2002/08/11/big/img_591.jpg")
    with pytest.raises(DataSetError, match=r"1 of the 2 images .*img_265"):
        read_fddb(tmp_path)
    assert len(read_fddb(tmp_path, partial=True)) == 1
    text(fold, "2002/08/11/big/img_591\n2\n1 2 3 4 5 1\n")
    with pytest.raises(DataSetError, match=r"fold-01.*img_591"):
        read_fddb(tmp_path)
    text(fold, "../../secret\n0\n")
    with pytest.raises(DataSetError, match="outside"):
        read_fddb(tmp_path)


# LFW


def test_lfw_groups_by_person_and_serves_no_background(tmp_path: Path) -> None:
    """The centre box is the face, the person is the group, and the rest of the image is not background."""
    for name in ("Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0002.jpg", "Bo_0-1/Bo_0-1_0001.jpg"):
        picture(tmp_path / "lfw-deepfunneled" / name, 250, 250)
    text(tmp_path / "readme.txt", "not a picture")
    photographs = read_lfw(tmp_path)
    assert [photograph.group for photograph in photographs] == ["Ann_Lee", "Ann_Lee", "Bo_0-1"]
    assert all(not photograph.complete for photograph in photographs)
    np.testing.assert_array_equal(photographs[0].faces, CENTRE_BOX)
    np.testing.assert_array_equal(CENTRE_BOX[0, 2:] - CENTRE_BOX[0, :2], [94, 125])


# WIDER FACE

WIDER = """0--Parade/0_Parade_1.jpg
4
10 12 20 25 1 0 0 0 2 0
1 1 30 30 0 0 0 1 0 0
3 4 3 3 2 0 0 0 0 0
5 5 0 9 2 0 0 0 0 0
1--Handshaking/1_Handshaking_2.jpg
0
0 0 0 0 0 0 0 0 0 0
2--Demonstration/2_Demonstration_3.jpg
0
2--Demonstration/2_Demonstration_4.jpg
1
1 2 9 9 0 1 0 0 0 1
"""


def test_wider_ignores_invalid_and_tiny_faces(tmp_path: Path) -> None:
    """Invalid and tiny boxes become ignored regions, empty ones vanish, attributes stay with their faces."""
    text(tmp_path / "wider_face_split" / "wider_face_val_bbx_gt.txt", WIDER)
    for name in (
        "0--Parade/0_Parade_1",
        "1--Handshaking/1_Handshaking_2",
        "2--Demonstration/2_Demonstration_3",
    ):
        picture(tmp_path / "WIDER_val" / "images" / f"{name}.jpg")
    picture(tmp_path / "images" / "val__2_Demonstration_4.jpg")
    first, *middle, last = read_wider(tmp_path)
    assert isinstance(first, WiderPhotograph)
    assert isinstance(last, WiderPhotograph)
    np.testing.assert_array_equal(first.faces, [[10, 12, 30, 37]])
    np.testing.assert_array_equal(first.ignored, [[1, 1, 31, 31], [3, 4, 6, 7]])
    np.testing.assert_array_equal(first.attributes, [[1, 0, 0, 0, 2, 0]])
    assert (first.event, first.split, first.name) == ("0--Parade", "val", "0--Parade/0_Parade_1.jpg")
    assert [len(photograph.faces) for photograph in middle] == [0, 0]
    np.testing.assert_array_equal(last.attributes, [[0, 1, 0, 0, 0, 1]])
    assert len(read_wider(tmp_path, min_face_px=1)[0].faces) == 2


def test_wider_names_the_broken_entry(tmp_path: Path) -> None:
    """A count that does not fit the lines is an error with the picture's name, not a shifted reading."""
    text(tmp_path / "wider_face_train_bbx_gt.txt", WIDER.replace("\n4\n", "\n5\n"))
    with pytest.raises(DataSetError, match="0_Parade_1"):
        read_wider(tmp_path)


# Pascal VOC

VOC = """<annotation><folder>x</folder><filename>one.jpg</filename>
<size><width>40</width><height>30</height><depth>3</depth></size>
<object><name>face</name><difficult>0</difficult>
  <part><name>nose</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>6</xmax><ymax>6</ymax></bndbox></part>
  <bndbox><xmin>1</xmin><ymin>3</ymin><xmax>10</xmax><ymax>13</ymax></bndbox></object>
<object><name>face</name><difficult>1</difficult>
  <bndbox><xmin>20</xmin><ymin>3</ymin><xmax>30</xmax><ymax>13</ymax></bndbox></object>
<object><name>dog</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>30</xmax><ymax>13</ymax></bndbox></object>
</annotation>"""


def test_voc_counts_pixels_from_one_and_leaves_difficult_ones_out(tmp_path: Path) -> None:
    """Corners are turned into our convention; parts and other classes are not faces."""
    text(tmp_path / "VOC2012" / "Annotations" / "one.xml", VOC)
    picture(tmp_path / "VOC2012" / "JPEGImages" / "one.jpg")
    (photograph,) = read_voc(tmp_path)
    np.testing.assert_array_equal(photograph.faces, [[0, 2, 10, 13]])
    np.testing.assert_array_equal(photograph.ignored, [[19, 2, 30, 13]])
    (dogs,) = read_voc(tmp_path, classes=["dog"])
    np.testing.assert_array_equal(dogs.faces, [[1, 2, 30, 13]])
    with pytest.raises(DataSetError, match=r"no class 'cat'.*dog, face"):
        read_voc(tmp_path, classes=["cat"])


@pytest.mark.parametrize(
    "prologue",
    [
        '<!DOCTYPE a [<!ENTITY a "1234567890"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
    ],
)
def test_voc_refuses_documents_with_entities(tmp_path: Path, prologue: str) -> None:
    """Neither an entity bomb nor an external entity is ever expanded."""
    text(tmp_path / "Annotations" / "one.xml", prologue + VOC.replace("one.jpg", "&b;"))
    with pytest.raises(DataSetError, match="DOCTYPE"):
        read_voc(tmp_path)


def test_voc_names_what_is_broken(tmp_path: Path) -> None:
    """Broken XML, a missing corner and a missing image each say in which file."""
    path = text(tmp_path / "Annotations" / "one.xml", VOC[:-20])
    with pytest.raises(DataSetError, match=r"one\.xml"):
        read_voc(tmp_path)
    text(path, VOC.replace("<ymin>3</ymin>", ""))
    with pytest.raises(DataSetError, match="no ymin"):
        read_voc(tmp_path)
    text(path, VOC)
    with pytest.raises(DataSetError, match=r"one\.xml has no image"):
        read_voc(tmp_path)
    text(path, VOC.replace("one.jpg", "/etc/passwd"))
    with pytest.raises(DataSetError, match="outside"):
        read_voc(tmp_path)


# COCO


def coco(path: Path, **changes: object) -> None:
    content = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
        "categories": [{"id": 1, "name": "human face"}, {"id": 2, "name": "cat"}],
        "annotations": [
            {"image_id": 7, "category_id": 1, "bbox": [1, 2, 10, 12], "iscrowd": 0},
            {"image_id": 7, "category_id": 1, "bbox": [3, 4, 30, 20], "iscrowd": 1},
            {"image_id": 7, "category_id": 2, "bbox": [0, 0, 5, 5]},
        ],
    }
    text(path, json.dumps(content | changes))


def test_coco_reads_boxes_by_image_and_ignores_crowds(tmp_path: Path) -> None:
    """Boxes go to their image as corners, crowds are ignored regions, other classes are not read."""
    coco(tmp_path / "annotations" / "instances_train2017.json")
    text(tmp_path / "info.json", '{"made": 2017}')
    for name in ("a.jpg", "b.jpg"):
        picture(tmp_path / "train2017" / name)
    first, second = read_coco(tmp_path)
    np.testing.assert_array_equal(first.faces, [[1, 2, 11, 14]])
    np.testing.assert_array_equal(first.ignored, [[3, 4, 33, 24]])
    assert (first.split, len(second.faces)) == ("train", 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": [{"image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1]}]}, "KeyError 9"),
        ({"annotations": [{"image_id": 7, "category_id": 1, "bbox": [0, 0]}]}, "ValueError"),
        ({"images": [{"id": 7, "file_name": "../a.jpg"}, {"id": 8, "file_name": "b.jpg"}]}, "outside"),
    ],
)
def test_coco_refuses_what_does_not_fit(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    """An annotation of no image, a short box and a path out of the set are errors that name the file."""
    coco(tmp_path / "train" / "_annotations.coco.json", **changes)
    for name in ("a.jpg", "b.jpg"):
        picture(tmp_path / "train" / name)
    with pytest.raises(DataSetError, match=message):
        read_coco(tmp_path)


# YOLO


@pytest.mark.parametrize(
    "names", ["names: ['cat', \"face\"]\n", "nc: 2\nnames:\n  0: cat\n  1: face\n", "names:\n- cat\n- face\n"]
)
def test_yolo_turns_fractions_into_pixels(tmp_path: Path, names: str) -> None:
    """Centre and size, and polygons, become corners in pixels; images without labels have no face."""
    text(tmp_path / "data.yaml", names)
    picture(tmp_path / "train" / "images" / "a.jpg", 200, 100)
    picture(tmp_path / "train" / "images" / "b.jpg", 200, 100)
    lines = "1 0.5 0.5 0.2 0.4\n0 0.1 0.1 0.1 0.1\n1 0.1 0.2 0.3 0.2 0.3 0.6\n"
    text(tmp_path / "train" / "labels" / "a.txt", lines)
    first, second = read_yolo(tmp_path)
    np.testing.assert_allclose(first.faces, [[80, 30, 120, 70], [20, 20, 60, 60]], atol=1e-4)
    assert (first.split, len(second.faces)) == ("train", 0)


def test_yolo_names_the_broken_line(tmp_path: Path) -> None:
    """A short line is an error with file and number."""
    picture(tmp_path / "images" / "a.jpg")
    text(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.2 0.4\n0 0.5 0.5\n")
    with pytest.raises(DataSetError, match=r"a\.txt, line 2"):
        read_yolo(tmp_path)


def test_sizes_follow_the_orientation_that_opencv_applies(tmp_path: Path) -> None:
    """A picture stored on its side is measured as it will be read."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 20)).save(tmp_path / "turned.jpg", exif=exif)
    height, width = cv2.imread(str(tmp_path / "turned.jpg")).shape[:2]
    assert image_size(tmp_path / "turned.jpg") == (width, height) == (20, 60)


# The registry


def test_the_format_of_a_folder_is_recognised(tmp_path: Path) -> None:
    """`read` tells the formats apart by their files."""
    picture(tmp_path / "lfw" / "Ann_Lee" / "Ann_Lee_0001.jpg")
    text(tmp_path / "voc" / "Annotations" / "one.xml", VOC)
    picture(tmp_path / "voc" / "images" / "one.jpg")
    coco(tmp_path / "coco" / "all.json")
    picture(tmp_path / "yolo" / "images" / "a.jpg")
    text(tmp_path / "yolo" / "labels" / "a.txt", "0 0.5 0.5 0.2 0.4\n")
    text(tmp_path / "fddb" / "FDDB-fold-01-ellipseList.txt", FOLD_1)
    text(tmp_path / "wider" / "wider_face_val_bbx_gt.txt", WIDER)
    text(tmp_path / "csv" / "annotations.csv", "image,x,y,w,h,label\n")
    for name in READERS:
        assert recognise(tmp_path / name) == name
    assert len(read(tmp_path / "voc")[0].faces) == 1
    with pytest.raises(DataSetError, match="no reader is named 'pascal'"):
        reader("pascal")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataSetError, match="cannot tell the format"):
        read(tmp_path / "nothing")
