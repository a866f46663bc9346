"""COCO: one JSON file with `images`, `annotations` and `categories`.

A box is `[x, y, width, height]` in pixels. Crowd regions (`iscrowd`) are ignored regions, as in COCO's own
evaluation. Segmentations are not read.

Source: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014, data format.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from deepevent.errors import DataSetError
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers.classes import face_classes
from deepevent_trainer.data.readers.files import existing, files_named, inside

_SPLITS = {"train": "train", "val": "val", "valid": "val", "test": "test"}


def read_coco(folder: Path, classes: Collection[str] | None = None) -> list[Photograph]:
    """Return the photographs of a set in the format of COCO.

    Args:
        folder: holds JSON files at any depth; each image stands at its `file_name` beside the JSON file, in
            `images/`, or in a folder named after the split, `train2017/` for `instances_train2017.json`.
        classes: the classes that are faces; None takes the only one, or those with `face` in their name.

    Raises:
        DataSetError: if there is no JSON file in this format, one is broken, or an image is missing.
    """
    photographs: list[Photograph] = []
    for path in files_named(folder, "*.json"):
        content = _load(path)
        if content is not None:
            photographs += _photographs(folder, path, content, classes)
    if not photographs:
        raise DataSetError(f"{folder} holds no JSON file with 'images' and 'annotations': is it a COCO set?")
    return photographs


def _load(path: Path) -> dict[str, Any] | None:
    """Return the content of `path`, or None if it is some other JSON file."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataSetError(f"cannot read {path} as JSON: {error}") from error
    if isinstance(content, dict) and isinstance(content.get("images"), list) and "annotations" in content:
        return content
    return None


def _photographs(
    folder: Path, path: Path, content: dict[str, Any], classes: Collection[str] | None
) -> list[Photograph]:
    try:
        names = {category["id"]: str(category["name"]) for category in content.get("categories", [])}
        used = {annotation["category_id"] for annotation in content["annotations"]}
        known = {names[identity] for identity in used}
        chosen = face_classes(known, classes, str(path))
        boxes: dict[Any, list[tuple[list[float], bool]]] = {image["id"]: [] for image in content["images"]}
        for annotation in content["annotations"]:
            if names[annotation["category_id"]] in chosen:
                x, y, width, height = (float(value) for value in annotation["bbox"])
                crowd = bool(annotation.get("iscrowd", 0))
                boxes[annotation["image_id"]].append(([x, y, x + width, y + height], crowd))
        split = _split(path)
        return [
            Photograph(
                name=f"{path.stem}/{image['file_name']}",
                path=_image(folder, path, str(image["file_name"])),
                faces=np.array([box for box, crowd in boxes[image["id"]] if not crowd], dtype=np.float32),
                ignored=np.array([box for box, crowd in boxes[image["id"]] if crowd], dtype=np.float32),
                split=split,
            )
            for image in content["images"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataSetError(f"{path} is not a COCO file: {type(error).__name__} {error}") from error


def _image(folder: Path, path: Path, name: str) -> Path:
    places = [path.parent, folder, folder / "images", folder / path.stem.split("_")[-1]]
    places += [folder / "images" / path.stem.split("_")[-1]]
    image = existing(inside(place, name) for place in places)
    if image is None:
        raise DataSetError(
            f"{path} names the image {name!r}, which is in none of {', '.join(map(str, places))}"
        )
    return image


def _split(path: Path) -> str | None:
    for word in (path.parent.name, *path.stem.split("_")):
        split = _SPLITS.get(word.lower().rstrip("0123456789"))
        if split:
            return split
    return None
