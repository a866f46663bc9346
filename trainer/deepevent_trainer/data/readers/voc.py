"""Pascal VOC: one XML file per image.

Corners in VOC are 1-based and both inclusive, so a box `xmin ymin xmax ymax` becomes
`xmin - 1, ymin - 1, xmax, ymax` here. Objects marked difficult are ignored regions, as in VOC's own
evaluation.

The XML comes from anywhere: a file with a document type, which entities need, is refused before any is
expanded.

Source: Everingham et al., The PASCAL Visual Object Classes Challenge, development kit documentation.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np

from deepevent.errors import DataSetError
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers.classes import face_classes
from deepevent_trainer.data.readers.files import IMAGE_SUFFIXES, existing, files_named, inside

_IMAGE_FOLDERS = ("JPEGImages", "images")


@dataclass
class _Entry:
    """What one XML file says: the image's name and its objects as `(class, box, difficult)`."""

    image: str
    objects: list[tuple[str, list[float], bool]] = field(default_factory=list)


def _refuse_doctype(*_: object) -> None:
    raise ValueError("it has a document type, which could hold an entity bomb; remove the DOCTYPE line")


def _parse(path: Path) -> _Entry:
    """Return the entry of one XML file; only direct children of each object count, not its parts."""
    entry = _Entry(image="")
    place: list[str] = []
    text: list[str] = []
    found: dict[str, str] = {}

    def start(tag: str, _: dict[str, str]) -> None:
        place.append(tag)
        text.clear()
        if place[1:] == ["object"]:
            found.clear()

    def end(tag: str) -> None:
        value = "".join(text).strip()
        if place[1:] == ["filename"]:
            entry.image = value
        elif place[1:-1] in (["object"], ["object", "bndbox"]):
            found[tag] = value
        elif place[1:] == ["object"]:
            x1, y1, x2, y2 = (float(found[corner]) for corner in ("xmin", "ymin", "xmax", "ymax"))
            box = [x1 - 1, y1 - 1, x2, y2]
            entry.objects.append((found.get("name", ""), box, found.get("difficult", "0") == "1"))
        place.pop()
        text.clear()

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.EntityDeclHandler = _refuse_doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    try:
        parser.Parse(path.read_bytes(), True)
    except KeyError as error:
        raise DataSetError(f"{path}: an object has no {error.args[0]}") from error
    except (OSError, ValueError, expat.ExpatError) as error:
        raise DataSetError(f"cannot read {path}: {error}") from error
    return entry


def read_voc(folder: Path, classes: Collection[str] | None = None) -> list[Photograph]:
    """Return the photographs of a set in the format of Pascal VOC.

    Args:
        folder: holds `Annotations/*.xml` at any depth, and the images in the `JPEGImages` or `images` beside
            that folder, or beside the XML files.
        classes: the classes that are faces; None takes the only one, or those with `face` in their name.

    Raises:
        DataSetError: if there is no XML file, one is broken or unsafe, or an image is missing.
    """
    files = files_named(folder, "*.xml")
    if not files:
        raise DataSetError(f"{folder} holds no XML file: a VOC set has Annotations/*.xml")
    entries = [(path, _parse(path)) for path in files]
    known = (name for _, entry in entries for name, _, _ in entry.objects)
    chosen = face_classes(known, classes, str(folder))
    return [_photograph(folder, path, entry, chosen) for path, entry in entries]


def _photograph(folder: Path, path: Path, entry: _Entry, chosen: set[str]) -> Photograph:
    names = [entry.image] if entry.image else []
    names += [path.stem + suffix for suffix in IMAGE_SUFFIXES]
    places = [path.parent, *(path.parent.parent / images for images in _IMAGE_FOLDERS)]
    image = existing(inside(place, name) for name in names for place in places)
    if image is None:
        raise DataSetError(f"{path} has no image: looked for {names[0]!r} in {', '.join(map(str, places))}")
    objects = [(box, difficult) for name, box, difficult in entry.objects if name in chosen]
    return Photograph(
        name=str(path.relative_to(folder).with_suffix("")),
        path=image,
        faces=np.array([box for box, difficult in objects if not difficult], dtype=np.float32),
        ignored=np.array([box for box, difficult in objects if difficult], dtype=np.float32),
    )
