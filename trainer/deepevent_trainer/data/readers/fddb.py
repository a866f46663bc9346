"""FDDB: faces as ellipses, in ten folds.

An `ellipseList` file repeats: image name without suffix, number of faces, and per face
`major_radius minor_radius angle centre_x centre_y 1` (radii and centre in pixels, angle in radians between
the major axis and the horizontal). The ellipses are kept beside their bounding boxes: the protocol of FDDB
scores ellipses.

Source: Jain and Learned-Miller, FDDB: A Benchmark for Face Detection in Unconstrained Settings,
UM-CS-2010-009.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepevent.errors import DataSetError
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers.files import existing, files_named, inside, read_lines, require_complete

_FOLD = re.compile(r"fold-(\d+)")
_IMAGE_FOLDERS = ("originalPics", "images", ".")


def _no_ellipses() -> NDArray[np.float64]:
    return np.zeros((0, 5))


@dataclass(frozen=True, eq=False)
class FddbPhotograph(Photograph):
    """A photograph of FDDB.

    Attributes:
        ellipses: `(N, 5)` float64: major radius, minor radius, angle, centre x, centre y; one per face.
        fold: 1 to 10.
    """

    ellipses: NDArray[np.float64] = field(default_factory=_no_ellipses)
    fold: int = 0


def ellipse_boxes(ellipses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the bounding boxes of turned ellipses.

    Args:
        ellipses: `(N, 5)`: major radius, minor radius, angle in radians, centre x, centre y.

    Returns:
        `(N, 4)` boxes (see `boxes`).
    """
    major, minor, angle, x, y = np.asarray(ellipses, dtype=np.float64).reshape(-1, 5).T
    half_width = np.hypot(major * np.cos(angle), minor * np.sin(angle))
    half_height = np.hypot(major * np.sin(angle), minor * np.cos(angle))
    return np.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=1)


def parse_ellipse_list(lines: list[str], where: str) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield `(image name, (N, 5) ellipses)` of one `ellipseList` file.

    Raises:
        DataSetError: if a line is not what the format says, with its number.
    """
    at = 0
    while at < len(lines):
        name = lines[at].strip()
        at += 1
        if not name:
            continue
        try:
            n_faces = int(lines[at])
            rows = [[float(value) for value in line.split()[:5]] for line in lines[at + 1 : at + 1 + n_faces]]
            ellipses = np.array(rows, dtype=np.float64).reshape(n_faces, 5)
        except (IndexError, ValueError) as error:
            raise DataSetError(f"{where}: the entry of {name!r} at line {at} is broken: {error}") from error
        at += 1 + n_faces
        yield name, ellipses


def read_fddb(folder: Path, partial: bool = False) -> list[Photograph]:
    """Return the photographs of FDDB, fold by fold.

    Args:
        folder: holds `FDDB-fold-NN-ellipseList.txt` (plain or `.gz`) anywhere, and the images at their names
            (`2002/08/11/big/img_591.jpg`) in `originalPics/`, `images/` or directly, also with `_` for `/`.
        partial: leave out images that are not there instead of refusing the set.

    Returns:
        `FddbPhotograph`s; `split` is None, since folds are the set's division.

    Raises:
        DataSetError: if there is no fold, a fold is broken, or images are missing.
    """
    lists = files_named(folder, "*ellipseList.txt*")
    if not lists:
        raise DataSetError(f"{folder} holds no FDDB-fold-NN-ellipseList.txt: unpack FDDB-folds.tgz there")
    photographs: list[Photograph] = []
    missing: list[str] = []
    for path in lists:
        found = _FOLD.search(path.name)
        fold = int(found.group(1)) if found else 0
        for name, ellipses in parse_ellipse_list(read_lines(path), str(path)):
            image = existing(_candidates(folder, name))
            if image is None:
                missing.append(name)
                continue
            photographs.append(
                FddbPhotograph(
                    name=name,
                    path=image,
                    faces=ellipse_boxes(ellipses).astype(np.float32),
                    ellipses=ellipses,
                    fold=fold,
                )
            )
    require_complete(missing, len(photographs) + len(missing), folder, partial)
    return photographs


def _candidates(folder: Path, name: str) -> Iterator[Path]:
    bare = name.removesuffix(".jpg")
    for images in _IMAGE_FOLDERS:
        yield inside(folder / images, bare + ".jpg")
        yield inside(folder / images, bare.replace("/", "_") + ".jpg")
