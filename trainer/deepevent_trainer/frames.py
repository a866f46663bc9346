"""Pictures to search, one after the other: a file, the files of a folder, the frames of a video or a camera.

Pixels are read when they are asked for, so that a folder of any size and a film of any length take little
memory. Knows files and OpenCV; nothing of faces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from deepevent.errors import DeepEventError
from deepevent_trainer.data.folder import SUFFIXES

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"})
# `camera`, or `camera:1` for the second one.
_CAMERA = re.compile(r"camera(?::(\d+))?")
_DEFAULT_FPS = 25.0


class PictureUnreadable(DeepEventError):
    """A picture, a video or a camera is missing, or is none that OpenCV reads."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture: its name and its pixels, `(H, W, 3)` uint8 RGB."""

    name: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Frames:
    """A source of pictures.

    Attributes:
        kind: `file`, `folder`, `video` or `camera`.
        count: how many there are, as far as that is known.
        fps: pictures a second of a video or camera.
        read: yields them.
    """

    kind: str
    count: int | None
    fps: float
    read: Callable[[], Iterator[Frame]]


def open_frames(what: str) -> Frames:
    """Return the pictures of a path, or of `camera` or `camera:N`.

    Raises:
        PictureUnreadable: if there is nothing of this name, or nothing in it.
    """
    camera = _CAMERA.fullmatch(what)
    if camera is not None:
        return _captured(int(camera[1] or 0), "camera", what)
    path = Path(what)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
        if not files:
            raise PictureUnreadable(f"{what!r} has no picture in it ({', '.join(sorted(SUFFIXES))})")
        return Frames("folder", len(files), _DEFAULT_FPS, lambda: (_file(one) for one in files))
    if not path.exists():
        raise PictureUnreadable(f"there is no file {what!r}")
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return _captured(what, "video", what)
    return Frames("file", 1, _DEFAULT_FPS, lambda: iter([_file(path)]))


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Return the pixels of a file, `(H, W, 3)` uint8 RGB.

    Raises:
        PictureUnreadable: if OpenCV cannot read it.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise PictureUnreadable(f"{str(path)!r} is not a picture that OpenCV reads")
    return _rgb(image)


def _file(path: Path) -> Frame:
    return Frame(str(path), read_picture(path))


def _captured(source: int | str, kind: str, what: str) -> Frames:
    """Return the frames of a video or a camera, opened once to see whether it is there."""
    if kind == "camera" and not Path(f"/dev/video{source}").exists():
        raise PictureUnreadable(f"there is no camera {source}: no device /dev/video{source} on this machine")
    capture = cv2.VideoCapture(source)
    opened = capture.isOpened()
    count, fps = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), float(capture.get(cv2.CAP_PROP_FPS))
    capture.release()
    if not opened:
        raise PictureUnreadable(f"{what!r} cannot be opened as a {kind}")

    def read() -> Iterator[Frame]:
        capture, number = cv2.VideoCapture(source), 0
        try:
            while True:
                there, image = capture.read()
                if not there:
                    return
                yield Frame(f"{what}#{number}", _rgb(image))
                number += 1
        finally:
            capture.release()

    return Frames(kind, count if count > 0 else None, fps if fps > 0 else _DEFAULT_FPS, read)


def _rgb(image: ArrayLike) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.asarray(image, dtype=np.uint8)[..., ::-1])
