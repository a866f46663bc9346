"""`deepevent import tensorboard DIR`: each folder of event files becomes a run, with its own times.

Run and writer have ids made of the folder's path, and every value is one record in the order of the files. So
an import that is repeated sends the same records again, which changes nothing, and one of a training that has
gone on meanwhile adds what is new: the same exactly-once rule as everywhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from deepevent.errors import DeepEventError
from deepevent.importers.eventfiles import HPARAMS_TAGS, Reader, Value, event_files, run_folders
from deepevent.journal import Journal
from deepevent.labels import clean_label
from deepevent.media import shorten
from deepevent.runids import id_from_text
from deepevent.starting import run_event
from deepevent.writer import SPOOL_FOLDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from deepevent.settings import Settings


@dataclass
class Imported:
    """What one folder gave.

    Attributes:
        name: of the run.
        run: its id.
        writers: the folders in the spool that hold it.
        counts: how many of each kind were kept.
        left_out: how many of each kind were not.
        damage: one sentence per broken file.
    """

    name: str
    run: str
    writers: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    damage: list[str] = field(default_factory=list)


def read_folder(root: Path, settings: Settings) -> Iterator[Imported]:
    """Write each run below `root` into the spool.

    Args:
        root: what TensorBoard's `--logdir` would name.
        settings: home, project and limits.

    Raises:
        DeepEventError: there are no event files.
    """
    folders = run_folders(root) if root.is_dir() else []
    if not folders:
        raise DeepEventError(f"there are no event files (…{'tfevents'}…) in or below {str(root)!r}")
    for folder in folders:
        yield _Import(root, folder, settings).carry_out()


class _Import:
    """One folder on its way into the spool."""

    def __init__(self, root: Path, folder: Path, settings: Settings) -> None:
        relative = folder.relative_to(root)
        self._group = clean_label(root.resolve().name or "tensorboard")
        name = clean_label(self._group if relative == Path() else relative)
        self._settings = settings
        self._files = event_files(folder)
        self._place = str(folder.resolve())
        self._reader = Reader()
        self._done = Imported(name, id_from_text(f"tensorboard\n{settings.project}\n{self._place}"))
        self._last = 0.0

    def carry_out(self) -> Imported:
        journal: Journal | None = None
        for path in self._files:
            for value in self._reader.read(path):
                self._last = max(self._last, value.time)
                if journal is None:
                    journal = self._open("points", value.time, resumed=False)
                if self._take(journal, value):
                    self._done.counts[value.kind] += 1
                elif value.tag not in HPARAMS_TAGS:
                    self._done.left_out[value.kind] += 1
        if journal is not None:
            journal.seal()
            journal.release()
            self._end()
        self._done.damage += self._reader.damage
        return self._done

    def _open(self, what: str, created: float, *, resumed: bool) -> Journal:
        settings, run = self._settings, self._done.run
        writer = id_from_text(f"{self._place}\n{what}", int(max(created, 0.0) * 1000))
        folder = str(Path(settings.home, SPOOL_FOLDER, run, writer))
        event = run_event(
            name=self._done.name,
            project=settings.project,
            rank=0,
            resumed=resumed,
            finishes=True,
            tags=["tensorboard"],
            group=self._group,
        )
        event |= {"created": created, "host": None, "pid": None, "argv": None, "python": None}
        self._done.writers.append(folder)
        return Journal(folder, run, writer, 0, event, metric_limit=settings.metric_limit)

    def _end(self) -> None:
        """End the run by a writer of its own: what a later import adds must follow the points, not this."""
        journal = self._open(f"end at {self._last!r}", self._last, resumed=True)
        finish = {"type": "finish", "status": "completed", "traceback": None, "time": self._last}
        journal.append_event(finish)
        journal.seal()
        journal.release()

    def _take(self, journal: Journal, value: Value) -> bool:
        """Write one value; False if it is of a kind that we have no place for."""
        name, content = clean_label(value.tag) or "unnamed", value.content
        if value.kind == "scalar" and isinstance(content, float) and value.step >= 0:
            journal.append_points({name: content}, value.step, value.time)
        elif value.kind == "config" and isinstance(content, dict):
            journal.append_event({"type": "config", "values": content})
        elif value.kind == "image" and isinstance(content, list) and content:
            for number, image in enumerate(content):
                called = name if len(content) == 1 else f"{name[:240]}/{number}"
                self._medium(journal, value, "image", called, {"caption": None}, image)
        elif value.kind == "text" and isinstance(content, list) and content:
            self._medium(journal, value, "text", name, {"text": shorten("\n\n".join(content))})
        elif value.kind == "histogram" and isinstance(content, tuple) and content[1]:
            edges, counts = content
            n = int(sum(counts))
            told = {"edges": edges, "counts": counts, "n": n, "nan": 0}
            told |= {"positive_infinity": 0, "negative_infinity": 0}
            self._medium(journal, value, "histogram", name, told)
        else:
            return False
        return True

    @staticmethod
    def _medium(
        journal: Journal, value: Value, kind: str, name: str, data: object, image: bytes | None = None
    ) -> None:
        from deepevent.media import media_type

        journal.append_event(
            {
                "type": "media",
                "kind": kind,
                "name": name,
                "step": max(0, value.step),
                "epoch": None,
                "time": value.time,
                "blob": None if image is None else journal.keep_blob(image),
                "mime": None if image is None else media_type(image),
                "data": data,
            }
        )
