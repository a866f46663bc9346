"""Found faces drawn into pictures, and pictures into files. Knows pixels and boxes only."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from deepevent.errors import DeepEventError
from deepevent_trainer.boxes import Boxes
from deepevent_trainer.frames import Frames

# Green, as RGB.
_LINE = (40, 220, 90)
_VIDEO_CODEC = "mp4v"


class PictureNotWritten(DeepEventError):
    """A picture or video could not be written."""


def drawn(image: NDArray[np.uint8], boxes: Boxes, scores: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return a copy of `image`, `(H, W, 3)`, with each box and its score."""
    picture = image.copy()
    width = max(1, round(max(image.shape[:2]) / 400))
    for (x1, y1, x2, y2), score in zip(np.round(boxes).astype(int).tolist(), scores.tolist(), strict=True):
        cv2.rectangle(picture, (x1, y1), (x2 - 1, y2 - 1), _LINE, width)
        size = 0.4 + 0.15 * width
        cv2.putText(picture, f"{score:.2f}", (x1, max(10, y1 - 3)), cv2.FONT_HERSHEY_SIMPLEX, size, _LINE, 1)
    return picture


class Album:
    """Where drawn pictures go: one file, a folder of files, or a video.

    Args:
        out: the file, or the folder if `frames` is one.
        frames: what the pictures are of.
    """

    def __init__(self, out: Path, frames: Frames, folder: Path | None = None) -> None:
        self._out, self._frames, self._folder = out, frames, folder
        self._video: cv2.VideoWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._video is not None:
            self._video.release()

    def add(self, name: str, picture: NDArray[np.uint8]) -> None:
        """Write one more picture, `(H, W, 3)` uint8 RGB.

        Raises:
            PictureNotWritten: if that is impossible.
        """
        pixels = np.ascontiguousarray(picture[..., ::-1])
        if self._frames.kind in ("video", "camera"):
            self._frame(pixels)
            return
        target = self._out
        if self._folder is not None:
            target = self._out / Path(name).relative_to(self._folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            written = cv2.imwrite(str(target), pixels)
        except cv2.error:
            written = False
        if not written:
            raise PictureNotWritten(f"cannot write {str(target)!r}: name a .png or .jpg file")

    def _frame(self, pixels: NDArray[np.uint8]) -> None:
        if self._video is None:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            codec = cv2.VideoWriter.fourcc(*_VIDEO_CODEC)
            size = (pixels.shape[1], pixels.shape[0])
            self._video = cv2.VideoWriter(str(self._out), codec, self._frames.fps, size)
            if not self._video.isOpened():
                raise PictureNotWritten(f"cannot write {str(self._out)!r} as a video: name an .mp4 file")
        self._video.write(pixels)
