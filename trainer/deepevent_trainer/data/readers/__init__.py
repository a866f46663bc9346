"""Readers of annotated photographs, by name.

Every reader takes a folder and returns a list of `Photograph`. A format is one file; this table is all that
knows them together. A reader is imported when it is first used.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from deepevent.errors import DataSetError
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers.files import files_named

Reader = Callable[..., list[Photograph]]

READERS: dict[str, str] = {
    "csv": "deepevent_trainer.data.folder:read_folder",
    "fddb": "deepevent_trainer.data.readers.fddb:read_fddb",
    "lfw": "deepevent_trainer.data.readers.lfw:read_lfw",
    "wider": "deepevent_trainer.data.readers.wider:read_wider",
    "voc": "deepevent_trainer.data.readers.voc:read_voc",
    "coco": "deepevent_trainer.data.readers.coco:read_coco",
    "yolo": "deepevent_trainer.data.readers.yolo:read_yolo",
}

# Public sets of which people often have a part.
_MAY_BE_PARTIAL = ("fddb", "wider")

# What a folder of each format holds, most telling first: (format, pattern of a path in it, `*` takes in `/`).
_MARKS = (
    ("csv", "annotations.csv"),
    ("fddb", "*ellipseList.txt*"),
    ("wider", "*wider_face_*_bbx_gt.txt*"),
    ("voc", "*Annotations/*.xml"),
    ("yolo", "*labels/*.txt"),
    ("coco", "*.json"),
    ("lfw", "*_[0-9][0-9][0-9][0-9].jpg"),
)


def reader(name: str) -> Reader:
    """Return the reader of the format `name`.

    Raises:
        DataSetError: if there is none of this name.
    """
    if name not in READERS:
        raise DataSetError(f"no reader is named {name!r}: choose one of {', '.join(sorted(READERS))}")
    module, function = READERS[name].split(":")
    return cast(Reader, getattr(import_module(module), function))


def recognise(folder: Path) -> str:
    """Return the name of the format that `folder` holds, judged by its files.

    Raises:
        DataSetError: if the folder is missing or looks like none of the formats.
    """
    if not folder.is_dir():
        raise DataSetError(f"{folder} is not a folder: name the folder of a data set")
    paths = [path.relative_to(folder).as_posix() for path in files_named(folder, "*")]
    for name, pattern in _MARKS:
        if any(fnmatch.fnmatchcase(path, pattern) for path in paths):
            return name
    raise DataSetError(
        f"cannot tell the format of {folder}: it has no annotations.csv and none of the files of "
        f"{', '.join(sorted(READERS))}; name the format yourself"
    )


def read(folder: Path, format_name: str | None = None, partial: bool = False) -> list[Photograph]:
    """Return the photographs of `folder`.

    Args:
        folder: the root of the data set.
        format_name: a key of `READERS`; None looks at the files to decide.
        partial: leave out listed images that are not there, where the format lists images (FDDB, WIDER FACE).

    Raises:
        DataSetError: if the format is unknown or the files are not as the format says.
    """
    name = format_name or recognise(folder)
    options = {"partial": True} if partial and name in _MAY_BE_PARTIAL else {}
    return reader(name)(folder, **options)
