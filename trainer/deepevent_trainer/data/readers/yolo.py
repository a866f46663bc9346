"""YOLO: one text file per image, beside it in a folder `labels` where the image has `images`.

A line is `class x y w h`, centre and size as fractions of the image's width and height; a line of a
segmentation, `class x1 y1 x2 y2 …`, gives the box around its points. An image without a text file, or with
an empty one, has no face.

Source: the data set pages of Darknet and Ultralytics.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepevent.errors import DataSetError
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers.classes import face_classes
from deepevent_trainer.data.readers.files import image_files, image_size, read_lines

_SPLITS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
_NAMES_FILES = ("classes.txt", "obj.names")
_NAMES_KEY = re.compile(r"^names:\s*(?P<rest>.*)$")
_LIST_ITEM = re.compile(r"^\s*(?:-\s*|\d+\s*:\s*)(?P<name>.+)$")


def read_yolo(folder: Path, classes: Collection[str] | None = None) -> list[Photograph]:
    """Return the photographs of a set in the format of YOLO.

    Args:
        folder: holds `images/…` and `labels/…` with the same paths below, or `train/images`, `train/labels`
            and so on; class names in `data.yaml`, `classes.txt` or `obj.names`, else numbers.
        classes: the classes that are faces; None takes the only one, or those with `face` in their name.

    Raises:
        DataSetError: if there are no images beside labels, or a line is broken.
    """
    names = _class_names(folder)
    rows: list[tuple[Path, NDArray[np.float64], NDArray[np.int64]]] = []
    for image in image_files(folder):
        parts = list(image.relative_to(folder).parts)
        if "images" not in parts[:-1]:
            continue
        at = len(parts) - 2 - parts[-2::-1].index("images")
        label = folder.joinpath(*parts[:at], "labels", *parts[at + 1 :]).with_suffix(".txt")
        rows.append((image, *_parse(label, image)))
    if not rows:
        raise DataSetError(f"{folder} holds no images: a YOLO set has images/ beside labels/")
    used = {int(kind) for _, _, kinds in rows for kind in kinds}
    chosen = face_classes({_name(names, kind) for kind in used}, classes, str(folder))
    kinds_chosen = [kind for kind in used if _name(names, kind) in chosen]
    return [
        Photograph(
            name=str(image.relative_to(folder).with_suffix("")),
            path=image,
            faces=boxes[np.isin(kinds, kinds_chosen)].astype(np.float32),
            split=_split(image.relative_to(folder)),
        )
        for image, boxes, kinds in rows
    ]


def _parse(label: Path, image: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the boxes in pixels, `(N, 4)`, and their class numbers, `(N,)`."""
    boxes: list[list[float]] = []
    kinds: list[int] = []
    lines = read_lines(label) if label.is_file() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            kind, *numbers = line.split()
            values = [float(value) for value in numbers]
            kinds.append(int(kind))
            if len(values) in (4, 5):  # a fifth number is a score
                x, y, width, height = values[:4]
                boxes.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
            elif len(values) >= 6 and len(values) % 2 == 0:
                xs, ys = values[0::2], values[1::2]
                boxes.append([min(xs), min(ys), max(xs), max(ys)])
            else:
                raise ValueError(f"{len(values)} numbers behind the class")
        except ValueError as error:
            raise DataSetError(f"{label}, line {number} is broken: {error}") from error
    array = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    if len(array):
        array *= np.tile(image_size(image), 2)
    return array, np.array(kinds, dtype=np.int64)


def _class_names(folder: Path) -> list[str]:
    """Return the class names by number; empty if no file names them."""
    for name in _NAMES_FILES:
        if (folder / name).is_file():
            return [line.strip() for line in read_lines(folder / name) if line.strip()]
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        found = _names_of_yaml(read_lines(path))
        if found:
            return found
    return []


def _names_of_yaml(lines: list[str]) -> list[str]:
    """Return what `names:` holds: a list in brackets, or one name a line; no other YAML is understood."""
    for at, line in enumerate(lines):
        key = _NAMES_KEY.match(line)
        if key is None:
            continue
        if key["rest"].strip().startswith("["):
            inner = " ".join([key["rest"], *lines[at + 1 :]]).split("]")[0].strip().lstrip("[")
            return [_unquoted(name) for name in inner.split(",") if name.strip()]
        names = []
        for item in lines[at + 1 :]:
            found = _LIST_ITEM.match(item)
            if found is None:
                break
            names.append(_unquoted(found["name"]))
        return names
    return []


def _unquoted(name: str) -> str:
    return name.strip().strip("'\"")


def _name(names: list[str], kind: int) -> str:
    return names[kind] if 0 <= kind < len(names) else str(kind)


def _split(relative: Path) -> str | None:
    return next((_SPLITS[part.lower()] for part in relative.parts[:-1] if part.lower() in _SPLITS), None)
