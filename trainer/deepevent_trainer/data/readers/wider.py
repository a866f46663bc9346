"""WIDER FACE in its own text format.

`wider_face_{train,val}_bbx_gt.txt` repeats: image path, number of faces, and per face
`x y w h blur expression illumination invalid occlusion pose`. A picture without a face still has one line,
of zeros.

Source: Yang, Luo, Loy, Tang, WIDER FACE: A Face Detection Benchmark, CVPR 2016, and the readme of the split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepevent.errors import DataSetError
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers.files import existing, files_named, inside, read_lines, require_complete

ATTRIBUTES = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")
_INVALID = 4 + ATTRIBUTES.index("invalid")
_N_VALUES = 4 + len(ATTRIBUTES)

# Faces less high than this show no face to any window of a cascade; as negatives they would be wrong as well.
MIN_FACE_PX = 8.0


def _no_attributes() -> NDArray[np.int64]:
    return np.zeros((0, len(ATTRIBUTES)), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class WiderPhotograph(Photograph):
    """A photograph of WIDER FACE.

    Attributes:
        attributes: `(N, 6)` int64, the columns `ATTRIBUTES` for each of `faces`.
        event: the class of event, as `0--Parade`.
    """

    attributes: NDArray[np.int64] = field(default_factory=_no_attributes)
    event: str = ""


def parse_wider(lines: list[str], where: str) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield `(image name, (N, 10) annotation rows)`; columns `x y w h` and the six attributes.

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
            rows = np.array(
                [[float(value) for value in line.split()] for line in lines[at + 1 : at + 1 + n_faces]],
                dtype=np.float64,
            ).reshape(n_faces, _N_VALUES)
        except (IndexError, ValueError) as error:
            raise DataSetError(f"{where}: the entry of {name!r} at line {at} is broken: {error}") from error
        at += 1 + n_faces
        if n_faces == 0 and at < len(lines) and not lines[at].strip("0 \t"):
            at += 1  # the line of zeros that stands for no face
        yield name, rows


def read_wider(folder: Path, min_face_px: float = MIN_FACE_PX, partial: bool = False) -> list[Photograph]:
    """Return the photographs of WIDER FACE, training and validation.

    Args:
        folder: holds `wider_face_{train,val}_bbx_gt.txt` (plain or `.gz`) anywhere and
            `WIDER_{train,val}/images/<event>/<image>`, or an `images` folder with the same names or with
            `<split>__<image>`.
        min_face_px: faces less high than this are ignored regions.
        partial: leave out images that are not there instead of refusing the set.

    Returns:
        `WiderPhotograph`s with `split`; boxes marked invalid, tiny or without area are ignored regions.

    Raises:
        DataSetError: if there is no annotation file, one is broken, or images are missing.
    """
    photographs: list[Photograph] = []
    missing: list[str] = []
    lists = files_named(folder, "wider_face_*_bbx_gt.txt*")
    if not lists:
        raise DataSetError(f"{folder} holds no wider_face_*_bbx_gt.txt: unpack wider_face_split.zip there")
    for path in lists:
        split = path.name.split("_")[2]
        for name, rows in parse_wider(read_lines(path), str(path)):
            image = existing(_candidates(folder, split, name))
            if image is None:
                missing.append(name)
                continue
            photographs.append(_photograph(name, image, rows, split, min_face_px))
    require_complete(missing, len(photographs) + len(missing), folder, partial)
    return photographs


def _photograph(
    name: str, image: Path, rows: NDArray[np.float64], split: str, min_face_px: float
) -> WiderPhotograph:
    width, height = rows[:, 2], rows[:, 3]
    ignored = (rows[:, _INVALID] == 1) | (height < min_face_px) | (width <= 0)
    boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1).astype(np.float32)
    with_area = (width > 0) & (height > 0)
    return WiderPhotograph(
        name=name,
        path=image,
        faces=boxes[~ignored],
        ignored=boxes[ignored & with_area],
        split=split,
        attributes=rows[~ignored, 4:].astype(np.int64),
        event=name.partition("/")[0],
    )


def _candidates(folder: Path, split: str, name: str) -> Iterator[Path]:
    bare = name.rpartition("/")[2]
    yield inside(folder / f"WIDER_{split}" / "images", name)
    yield inside(folder / "images", name)
    yield inside(folder / "images", f"{split}__{bare}")
    yield inside(folder / "images", bare)
