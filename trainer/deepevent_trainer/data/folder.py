"""A folder of annotated photographs: `images/` and `annotations.csv` (docs/data.md has the layout).

A folder may also hold several such sets, one a sub-folder. A set without boxes is a set of face-free
photographs. Pixels are not read here.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepevent.errors import SettingsError
from deepevent_trainer.data.photographs import Photograph

ANNOTATIONS, IMAGES, DETAILS = "annotations.csv", "images", "images.csv"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pgm", ".ppm", ".tif", ".tiff"})
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
# WIDER FACE, readme of its annotations: occlusion 0 none, 1 partial, 2 heavy.
_HEAVILY_COVERED = "2"
# What tells one frame of a film, or one picture of a person, from the next: `film_mp4-103_jpg_716c`,
# `Name_0001`.
_DIVISION = re.compile(r"^(?:train|training|valid|validation|val|test)_{1,2}", re.IGNORECASE)
_FRAME = re.compile(r"(?P<series>.*_(?:mp4|mov|avi|mkv|webm))[-_]\d+.*", re.IGNORECASE)
_NUMBERED = re.compile(r"(?P<series>.*[A-Za-z].*?)[-_ ]?\d+")


@dataclass
class _Rows:
    """The boxes of one photograph, as they are read."""

    faces: list[tuple[float, float, float, float]] = field(default_factory=list)
    ignored: list[tuple[float, float, float, float]] = field(default_factory=list)


def read_folder(
    folder: Path, positives_only: Sequence[str] = (), *, spare_covered: bool = False
) -> list[Photograph]:
    """Return the photographs of a set, or of all sets, in `folder`, by name.

    Args:
        folder: has `annotations.csv` and `images/`, or sub-folders that have.
        positives_only: sets (sub-folders, or `folder` itself, by name) in which not every face has its box,
        so
            that their background cannot be trusted.
        spare_covered: count faces that the set calls heavily covered (WIDER FACE: `occlusion` 2) as ignored.

    Raises:
        SettingsError: if there is no set, a named set is not there, a table cannot be used, or an image is
        missing.
    """
    if not folder.is_dir():
        raise SettingsError(
            f"--data {str(folder)!r} is not a folder: give a folder as docs/data.md describes it"
        )
    sets = [folder] if _is_set(folder) else sorted(f for f in folder.iterdir() if f.is_dir() and _is_set(f))
    if not sets:
        raise SettingsError(
            f"neither {str(folder)!r} nor a folder in it has {ANNOTATIONS} beside {IMAGES}/: see docs/data.md"
        )
    unknown = set(positives_only) - {one.name for one in sets}
    if unknown:
        raise SettingsError(
            f"no set is named {sorted(unknown)[0]!r}; there are {', '.join(s.name for s in sets)}"
        )
    photographs: list[Photograph] = []
    for one in sets:
        prefix = "" if one is folder else f"{one.name}/"
        complete = one.name not in positives_only
        photographs += _read_set(one, prefix, complete=complete, spare_covered=spare_covered)
    return photographs


def _is_set(folder: Path) -> bool:
    return (folder / ANNOTATIONS).is_file() and (folder / IMAGES).is_dir()


def _read_set(folder: Path, prefix: str, *, complete: bool, spare_covered: bool) -> list[Photograph]:
    rows = _boxes(folder / ANNOTATIONS, spare_covered=spare_covered)
    details = _details(folder / DETAILS)
    names = {file.name for file in (folder / IMAGES).iterdir() if file.suffix.lower() in SUFFIXES}
    missing = sorted((rows.keys() | details.keys()) - names)
    # A list of images may name more than there are (a set cut down); a box without its image is a mistake.
    lost = [name for name in missing if name in rows]
    if lost:
        raise SettingsError(
            f"{folder / ANNOTATIONS} names {lost[0]!r} ({len(lost)} such), which is not in {IMAGES}/"
        )
    ordered = sorted(names)
    series = _series(ordered)
    photographs = []
    for name in ordered:
        boxes, detail = rows.get(name, _Rows()), details.get(name, {})
        photographs.append(
            Photograph(
                prefix + name,
                folder / IMAGES / name,
                np.array(boxes.faces, dtype=np.float32),
                np.array(boxes.ignored, dtype=np.float32),
                group=prefix + (detail.get("group") or series[name]),
                complete=complete,
                split=_SPLITS.get(detail.get("split", "").lower()),
            )
        )
    return photographs


def _boxes(table: Path, *, spare_covered: bool) -> dict[str, _Rows]:
    """Return the boxes by image; any label but `face` is ignored, a box without area left out."""
    rows: dict[str, _Rows] = defaultdict(_Rows)
    for line, row in _rows(table, ("image", "x", "y", "w", "h")):
        try:
            x, y, w, h = (float(row[key]) for key in ("x", "y", "w", "h"))
        except (TypeError, ValueError):
            raise SettingsError(
                f"{table}, line {line}: x, y, w, h must be numbers, got {list(row.values())!r}"
            ) from None
        if not (w > 0 and h > 0 and np.isfinite((x, y, w, h)).all()):
            continue
        boxes = rows[row["image"]]
        counts = (row.get("label") or "face") == "face"
        if spare_covered and row.get("occlusion") == _HEAVILY_COVERED:
            counts = False
        kind = boxes.faces if counts else boxes.ignored
        kind.append((x, y, x + w, y + h))
    return rows


def _details(table: Path) -> dict[str, dict[str, str]]:
    """Return what `images.csv` says of each image (`split`, `group`); nothing without such a file."""
    return {row["image"]: row for _, row in _rows(table, ("image",))} if table.is_file() else {}


def _rows(table: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and row of a CSV table that has `columns`."""
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="")
        absent = [column for column in columns if column not in (reader.fieldnames or ())]
        if absent:
            raise SettingsError(
                f"{table} has no column {absent[0]!r}: its first line must name {','.join(columns)}"
            )
        for row in reader:
            yield reader.line_num, {key: value for key, value in row.items() if isinstance(value, str)}


def _series(names: Sequence[str]) -> dict[str, str]:
    """Return the group of each name: frames of one film together, and `Name_0001` with `Name_0002`.

    A name that starts with `train__` or `test__` says how somebody divided frames, often of one film: that is
    cut off.

    Numbers at the end say nothing when all pictures of a set are simply numbered: then each stands for
    itself.
    """
    stems = {name: _DIVISION.sub("", Path(name).stem, count=1) or Path(name).stem for name in names}
    numbered = {
        name: (m["series"] if (m := _NUMBERED.fullmatch(stem)) else stem) for name, stem in stems.items()
    }
    if len(set(numbered.values())) * 2 < len(names):
        numbered = stems
    return {name: (m["series"] if (m := _FRAME.fullmatch(stems[name])) else numbered[name]) for name in names}
