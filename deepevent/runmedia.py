"""The part of a run that logs more than numbers: images, detections, texts, tables, figures, files.

Each method turns what people have into JSON and a file of bytes; `deepevent.media` and
`deepevent.detections` know how, and are loaded by the first call that needs them.
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH100, PTH119

from __future__ import annotations

import os
import time

from deepevent.harmless import harmless
from deepevent.jsontext import plain
from deepevent.values import check_name, to_step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from deepevent.journal import Journal
    from deepevent.run import UnopenedJournal
    from deepevent.settings import Settings
    from deepevent.writer import NoJournal


class MediaLogging:
    """What `Run` inherits."""

    settings: Settings
    _journal: Journal | NoJournal | UnopenedJournal

    @harmless
    def log_image(
        self,
        name: str,
        image: object,
        step: int | None = None,
        boxes: object = None,
        caption: str | None = None,
        epoch: float | None = None,
    ) -> None:
        """Log an image; what it may be: `deepevent.media.encode_image`."""
        from deepevent.detections import plain_boxes
        from deepevent.media import encode_image

        check_name(name, "an image's name")
        data, mime = encode_image(image)
        content: dict[str, object] = {"caption": None if caption is None else str(caption)}
        if boxes is not None:
            content["boxes"] = plain_boxes(boxes)
        self._media("image", name, step, epoch, content, data, mime)

    @harmless
    def log_detections(
        self,
        name: str,
        image: object,
        detections: Mapping[str, object],
        step: int | None = None,
        epoch: float | None = None,
    ) -> None:
        """Log what each stage of a detector found on an image; see `deepevent.detections`."""
        from deepevent.detections import plain_detections
        from deepevent.media import encode_image

        check_name(name, "the name of detections")
        content = plain_detections(detections)
        data, mime = encode_image(image)
        self._media("detections", name, step, epoch, content, data, mime)

    @harmless
    def log_histogram(
        self, name: str, values: object, step: int | None = None, bins: int = 64, epoch: float | None = None
    ) -> None:
        """Log the distribution of many numbers."""
        from deepevent.media import histogram

        check_name(name, "a histogram's name")
        self._media("histogram", name, step, epoch, histogram(values, bins))

    @harmless
    def log_text(self, name: str, text: str, step: int | None = None, epoch: float | None = None) -> None:
        """Log a text; what is beyond 256 KiB is cut off."""
        from deepevent.media import shorten

        check_name(name, "a text's name")
        self._media("text", name, step, epoch, {"text": shorten(text)})

    @harmless
    def log_table(self, name: str, rows: object, step: int | None = None, epoch: float | None = None) -> None:
        """Log a table: dicts, lists of cells or a data frame; at most 10,000 rows."""
        from deepevent.media import table

        check_name(name, "a table's name")
        self._media("table", name, step, epoch, plain(table(rows)))

    @harmless
    def log_figure(
        self, name: str, figure: object, step: int | None = None, epoch: float | None = None
    ) -> None:
        """Log a figure of plotly (it stays interactive) or matplotlib (as PNG)."""
        from deepevent.media import encode_figure

        check_name(name, "a figure's name")
        data, mime = encode_figure(figure)
        self._media("figure", name, step, epoch, {}, data, mime)

    def _media(
        self,
        kind: str,
        name: str,
        step: int | None,
        epoch: float | None,
        content: object,
        data: bytes | None = None,
        mime: str | None = None,
    ) -> None:
        number = self._journal.last_step if step is None else to_step(step)
        blob = None if data is None else self._journal.keep_blob(data)
        self._journal.append_event(
            {
                "type": "media",
                "kind": kind,
                "name": name,
                "step": number,
                "epoch": None if epoch is None else float(epoch),
                "time": time.time(),
                "blob": blob,
                "mime": mime,
                "data": content,
            }
        )

    @harmless
    def log_artifact(self, path: str | os.PathLike[str], name: str | None = None, kind: str = "file") -> None:
        """Keep a file, or all files of a folder, by content hash. Links inside a folder are left out."""
        from deepevent.artifacts import find_files

        root = os.path.abspath(os.fspath(path))
        name = check_name(os.path.basename(root) if name is None else name, "an artifact's name")
        check_name(kind, "an artifact's kind")
        for full, relative in find_files(root):
            blob, size = self._journal.keep_file(full)
            self._journal.append_event(
                {
                    "type": "artifact",
                    "name": name,
                    "kind": kind,
                    "blob": blob,
                    "size_bytes": size,
                    "path": relative,
                    "time": time.time(),
                }
            )
