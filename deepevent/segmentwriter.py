"""The segment files that one process writes: the mapped one, the spare one, and what happens to them.

Rolls from segment to segment, keeps the folder's lock, shrinks the last segment, and lets go of everything
in a forked child. Holds the place of the next record (`_offset`, `_limit`, `_sequence`), and must not know
what a record is: `recordwriter` writes them.
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH104, PTH112, PTH118, PTH123, PTH208

from __future__ import annotations

import _thread
import os

from deepevent.blobfiles import keep_bytes, keep_file
from deepevent.segment import (
    END_OFFSET,
    SEGMENT_HEADER_SIZE,
    make_file,
    segment_name,
    touch_pages,
    write_header,
)
from deepevent.writerlock import take_lock, unlink_if_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable
    from typing import TypeVar

    from deepevent.spoolroom import SpoolRoom

    T = TypeVar("T")

    Shape = tuple[int, Callable[..., bytes], int]  # the record's second word, its packer, its size

SPARE_NAME = "spare{}.tmp"  # made by the shipper's thread; each has a number, so none is taken for another
RETIRED_LIMIT = 64  # full segments that wait to be unmapped
NEXT_NAME = "next.tmp"  # made by a log call that found no spare


class SegmentWriter:
    """A writer's folder, and the place in it where the next record goes.

    Attributes:
        folder: the writer's folder.
    """

    def __init__(
        self,
        folder: str,
        run_id: str,
        writer_id: str,
        rank: int,
        segment_size: int,
        room: SpoolRoom | None,
    ) -> None:
        """Make the folder and lock it; makes no segment yet.

        Raises:
            OSError: the folder cannot be made or locked.
        """
        self.folder = folder
        self.run_id = run_id
        self.writer_id = writer_id
        self.rank = rank
        self._segment_size = segment_size
        self._room = room
        self._lock = _thread.RLock()
        self._closed = False
        self._map: mmap.mmap | None = None
        self._marks: memoryview = memoryview(bytearray(SEGMENT_HEADER_SIZE)).cast("Q")
        self._retired: list[object] = []
        self._spare: tuple[str, mmap.mmap] | None = None
        self._n_spares = 0
        self._offset = self._limit = 0
        self._sequence = 1
        self._number = -1
        self._ready: dict[tuple[str, ...], Shape] = {}  # shapes that this segment already declares
        self._lock_descriptor = take_lock(folder)
        _open_writers.append(self)

    def snapshot(self) -> tuple[int, int, int]:
        """Return the number of the current segment, the offset behind its last record, the next sequence."""
        with self._lock:
            return self._number, self._offset, self._sequence

    @property
    def next_sequence(self) -> int:
        """Sequence that the next record will have."""
        return self._sequence

    # ---- From segment to segment -------------------------------------------------------------------------

    def _next_segment(self, size: int) -> None:
        """Go on in a new segment that has room for `size` bytes.

        Raises:
            OSError: there is no room on disk; the current segment stays.
        """
        segment_size = max(self._segment_size, -(SEGMENT_HEADER_SIZE + size) // 4096 * -4096)
        path = os.path.join(self.folder, segment_name(self._number + 1))
        made, mapping = self._take_spare(segment_size) or (
            NEXT_NAME,
            self._make_segment(NEXT_NAME, segment_size),
        )
        write_header(mapping, self.rank, self._sequence, self.run_id, self.writer_id)
        os.rename(self._path(made), path)
        if self._map is not None:
            self._marks[END_OFFSET >> 3] = self._offset
            if len(self._retired) >= RETIRED_LIMIT:  # nobody tends us: each mapping holds a file open
                self._retired.clear()
            self._retired.append((self._marks, self._map))  # unmapped by the shipper's thread
        marks = memoryview(mapping).cast("Q")
        self._ready = {}
        self._map = mapping
        self._marks = marks
        self._offset = SEGMENT_HEADER_SIZE
        self._limit = segment_size
        self._number += 1

    def _make_segment(self, name: str, size: int) -> mmap.mmap:
        return self._with_room(size, make_file, self._path(name), size)

    def _with_room(self, size: int, make: Callable[..., T], *arguments: object) -> T:
        """Make a file of that size under the limit of the spool."""
        if self._room is None:
            return make(*arguments)
        self._room.take(size)
        try:
            return make(*arguments)
        except BaseException:
            self._room.give_back(size)
            raise

    def _take_spare(self, size: int) -> tuple[str, mmap.mmap] | None:
        if self._spare is None or len(self._spare[1]) != size:
            return None
        spare, self._spare = self._spare, None
        return spare

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _prepare_spare(self) -> None:
        self._n_spares += 1
        name = SPARE_NAME.format(self._n_spares)
        try:
            spare = self._make_segment(name, self._segment_size)
        except OSError:
            return  # said when it is needed
        touch_pages(spare)
        with self._lock:
            if not self._closed:
                self._spare = name, spare
                return
        unlink_if_there(self._path(name))

    def keep_blob(self, data: bytes) -> str:
        """Keep a large payload beside the records; returns its SHA-256.

        Raises:
            OSError: there is no room.
        """
        return self._with_room(len(data), keep_bytes, self.folder, data)

    def keep_file(self, path: str) -> tuple[str, int]:
        """Keep a copy of a file beside the records; returns its SHA-256 and its size in bytes.

        Raises:
            OSError: it cannot be read, or there is no room.
        """
        with open(path, "rb") as file:
            return self._with_room(os.fstat(file.fileno()).st_size, keep_file, self.folder, file)

    # ---- The end -----------------------------------------------------------------------------------------

    def _seal(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._ready = {}
        if self._map is None:
            return
        self._marks[END_OFFSET >> 3] = self._offset
        self._limit = self._offset
        self._marks.release()
        self._map.close()
        self._map = None
        self._marks = memoryview(bytearray(SEGMENT_HEADER_SIZE)).cast("Q")
        try:
            os.truncate(self._path(segment_name(self._number)), self._offset)
        except OSError:  # then it takes more room than it needs
            return

    def _let_go(self) -> None:
        """Give the folder's lock up, and tidy away what was being made."""
        self._spare = None
        if self in _open_writers:
            _open_writers.remove(self)
        descriptor, self._lock_descriptor = self._lock_descriptor, -1
        if descriptor >= 0:
            for name in os.listdir(self.folder) if os.path.isdir(self.folder) else ():
                if name.endswith(".tmp"):
                    unlink_if_there(self._path(name))
            os.close(descriptor)

    # ---- fork() ------------------------------------------------------------------------------------------

    def _detach_in_child(self) -> None:
        """Leave everything to the parent: a child that went on writing here would destroy its records."""
        import mmap

        self._lock = _thread.RLock()
        if self._map is not None:  # a log call that the fork cut in two now ends in thin air
            self._map = mmap.mmap(-1, len(self._map))
            self._marks = memoryview(self._map).cast("Q")
        self._spare = None
        self._retired.clear()
        self._ready = {}
        self._limit = 0
        self._closed = True
        os.close(self._lock_descriptor)
        self._lock_descriptor = -1


_open_writers: list[SegmentWriter] = []
_held: list[SegmentWriter] = []


def _before_fork() -> None:
    for writer in _open_writers:
        writer._lock.acquire()
        _held.append(writer)


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop()._lock.release()


def _after_fork_in_child() -> None:
    for writer in _open_writers:
        writer._detach_in_child()
    _open_writers.clear()
    _held.clear()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
