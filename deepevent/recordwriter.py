"""Writes records into a writer's segments, safe from the moment that they are published.

A folder of mapped segments, as docs/formats.md §1 draws it. A record's bytes go into the mapping first, its
size and CRC last and as one aligned store: whoever reads after a kill sees whole records or nothing. What the
mapping says is the truth; the fields here only follow it.

Must not know the network, nor what people may log: `journal` checks and converts. Callers may be several
threads (an RLock), a signal handler in the middle of a record of the same thread (the `_busy` flag: its
action waits in `_pending` until the outer one is done), and forked children (they find the writer detached
and open their own).
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH104, PTH112, PTH118, PTH123, PTH208

from __future__ import annotations

import _thread
import os
from struct import Struct
from time import monotonic
from time import time as now
from zlib import crc32

from deepevent.blobfiles import keep_bytes, keep_file
from deepevent.jsontext import dumps
from deepevent.memoryring import MemoryRing
from deepevent.notices import say_once
from deepevent.segment import (
    END_OFFSET,
    SEGMENT_HEADER_SIZE,
    make_file,
    segment_name,
    touch_pages,
    write_header,
)
from deepevent.wire import KIND_EVENT, KIND_POINTS, KIND_SHAPE, POINTS_FIXED_SIZE, RECORD_REST
from deepevent.writerlock import take_lock, unlink_if_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from deepevent.spoolroom import SpoolRoom

    T = TypeVar("T")

    Shape = tuple[int, Callable[..., bytes], int]  # the record's second word, its packer, its size

SHAPES_LIMIT = 4096  # combinations of names; beyond it, records of one name each
RETRY_INTERVAL_S = 1.0  # how often a full disk is tried again
RELIEF_PER_TURN = 512  # entries of the memory ring written before other threads get their turn
SPARE_NAME = "spare{}.tmp"  # made by the shipper's thread; each has a number, so none is taken for another
NEXT_NAME = "next.tmp"  # made by a log call that found no spare


class RecordWriter:
    """One writer's records on disk.

    Attributes:
        folder: the writer's folder.
        asleep: set by the shipper when it waits; the next record calls `wake`.
    """

    def __init__(
        self,
        folder: str,
        run_id: str,
        writer_id: str,
        rank: int,
        first_event: Mapping[str, object],
        segment_size: int,
        room: SpoolRoom | None,
    ) -> None:
        """Open a new writer's folder, lock it and write its first record.

        Raises:
            OSError: the folder cannot be made or locked. A full disk is no error: the ring takes over.
        """
        self.folder = folder
        self.run_id = run_id
        self.writer_id = writer_id
        self.rank = rank
        self.asleep = False
        self.bell = _thread.allocate_lock()
        self.bell.acquire()
        self._segment_size = segment_size
        self._room = room
        self._first_event: Mapping[str, object] | None = first_event
        self._lock = _thread.RLock()
        self._busy = False
        self._closed = False
        self._tending = _thread.allocate_lock()
        self._pending: list[tuple[Callable[..., None], tuple[object, ...]]] = []
        self._map: mmap.mmap | None = None
        self._marks: memoryview = memoryview(bytearray(SEGMENT_HEADER_SIZE)).cast("Q")
        self._retired: list[object] = []
        self._spare: tuple[str, mmap.mmap] | None = None
        self._n_spares = 0
        self._offset = self._limit = 0
        self._sequence = 1
        self._number = -1
        self._ready: dict[tuple[str, ...], Shape] = {}  # shapes that this segment already declares
        self._shape_ids: dict[tuple[str, ...], int] = {}
        self._ring = MemoryRing()
        self._tried_at = -RETRY_INTERVAL_S
        self._lock_descriptor = take_lock(folder)
        _open_writers.append(self)
        self._do(self._open_first)

    # ---- Records -----------------------------------------------------------------------------------------

    def _do(self, action: Callable[..., None], *arguments: object) -> None:
        """Run an action as the only one, or after the one that this thread is in the middle of."""
        with self._lock:
            if self._busy:
                self._pending.append((action, arguments))
                return
            self._busy = True
            try:
                action(*arguments)
            except BaseException:
                self._follow_the_map()
                raise
            finally:
                self._busy = False
            if self._pending:
                self._do_pending()

    def _do_pending(self) -> None:
        while self._pending:
            action, arguments = self._pending.pop(0)
            try:
                self._do(action, *arguments)
            except (TypeError, ValueError) as error:  # strict mode, for a caller that has already returned
                say_once((type(error), str(error)), str(error))

    def _write_points(self, names: tuple[str, ...], step: int, when: float, numbers: list[object]) -> None:
        shape = self._ready.get(names)
        if shape is None or self._offset + shape[2] > self._limit:
            if names not in self._shape_ids and len(self._shape_ids) >= SHAPES_LIMIT and len(names) > 1:
                for name, number in zip(names, numbers, strict=True):
                    self._write_points((name,), step, when, [number])
                return
            shape = self._declare(names)
        if shape is None:
            self._ready = {}
            self._ring.append(("points", names, step, when, numbers), len(numbers))
            return
        self._publish(shape[1](shape[0], step, when, *numbers))

    def _declare(self, names: tuple[str, ...]) -> Shape | None:
        """Write the shape into a segment that has room for it and for one record of it."""
        shape_id = self._shape_ids.setdefault(names, len(self._shape_ids))
        n = len(names)
        size = POINTS_FIXED_SIZE + 8 * n
        text = dumps(list(names)).encode()
        rest = RECORD_REST.pack(KIND_SHAPE, 0, shape_id) + text + b" " * (-len(text) % 8)
        if not self._make_room(8 + len(rest) + size):
            return None
        if names not in self._ready:
            self._publish(rest)
            self._ready[names] = (KIND_POINTS | n << 16 | shape_id << 32, Struct(f"<Qqd{n}d").pack, size)
        return self._ready[names]

    def _write_event(self, text: bytes) -> None:
        if self._closed:
            return
        rest = RECORD_REST.pack(KIND_EVENT, 0, len(text)) + text + b" " * (-len(text) % 8)
        if self._make_room(8 + len(rest)):
            self._publish(rest)
        else:
            self._ring.append(("event", text), 0)

    def _publish(self, rest: bytes) -> None:
        """Write a record for which there is room."""
        offset = self._offset
        size = len(rest) + 8
        self._map[offset + 8 : offset + size] = rest  # type: ignore[index]
        self._marks[offset >> 3] = size | crc32(rest, self._sequence & 0xFFFFFFFF) << 32
        self._offset = offset + size
        self._sequence += 1

    def _follow_the_map(self) -> None:
        """Step behind a record that was published just before an interruption."""
        while self._offset < self._limit:
            mark = self._marks[self._offset >> 3]
            if mark == 0:
                return
            self._offset += mark & 0xFFFFFFFF
            self._sequence += 1

    # ---- Segments ----------------------------------------------------------------------------------------

    def _open_first(self) -> None:
        if not self._make_room(8):
            say_once("ring", "points are kept in memory until there is room on disk")

    def _make_room(self, size: int) -> bool:
        """See to it that `size` bytes fit into the current segment; False while there is no room on disk."""
        if self._ring and not self._ring.relieving:  # in order: what waits in memory goes first
            self._relieve()
            if self._ring:
                return False
        return self._offset + size <= self._limit or self._roll(size)

    def _roll(self, size: int) -> bool:
        if monotonic() - self._tried_at < RETRY_INTERVAL_S:
            return False
        first_text = b"" if self._first_event is None else dumps(self._first_event).encode()
        needed = SEGMENT_HEADER_SIZE + size + len(first_text) + 32
        segment_size = max(self._segment_size, -needed // 4096 * -4096)
        path = os.path.join(self.folder, segment_name(self._number + 1))
        try:
            made, mapping = self._take_spare(segment_size) or (
                NEXT_NAME,
                self._make_segment(NEXT_NAME, segment_size),
            )
            write_header(mapping, self.rank, self._sequence, self.run_id, self.writer_id)
            os.rename(self._path(made), path)
        except OSError as error:
            self._tried_at = monotonic()
            reason = error.strerror or str(error)
            self._ring.reason = reason
            say_once(
                ("ring", reason),
                f"{self.folder} takes no more points ({reason}): the newest {self._ring.limit} calls "
                "are kept in memory and written when there is room again",
            )
            return False
        if self._map is not None:
            self._marks[END_OFFSET >> 3] = self._offset
            self._retired.append((self._marks, self._map))  # unmapped by the shipper's thread
        marks = memoryview(mapping).cast("Q")
        self._ready = {}
        self._map = mapping
        self._marks = marks
        self._offset = SEGMENT_HEADER_SIZE
        self._limit = segment_size
        self._number += 1
        if self._first_event is not None:
            self._first_event = None
            self._write_event(first_text)
        return True

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

    # ---- For the shipper's thread ------------------------------------------------------------------------

    def snapshot(self) -> tuple[int, int, int]:
        """Return the number of the current segment, the offset behind its last record, the next sequence."""
        with self._lock:
            return self._number, self._offset, self._sequence

    @property
    def next_sequence(self) -> int:
        """Sequence that the next record will have."""
        return self._sequence

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

    @property
    def n_waiting(self) -> int:
        """Calls that are kept in memory."""
        return len(self._ring)

    def wake(self) -> None:
        """Ring the shipper's bell. Safe in a signal handler."""
        self.asleep = False
        try:
            self.bell.release()
        except RuntimeError:  # it rings already
            return

    def tend(self) -> None:
        """Do what no log call should wait for: a spare segment, unmapping, a full ring."""
        if not self._tending.acquire(blocking=False):
            return
        try:
            self._retired.clear()
            if self._ring or self._ring.n_dropped:
                self._do(self._relieve)
            elif self._spare is None and not self._closed and self._offset > self._limit // 4:
                self._prepare_spare()
        finally:
            self._tending.release()

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

    def _relieve(self) -> None:
        """Write what waited in memory, a part at a time, and at the end how much was dropped."""
        self._ring.relieving = True
        try:
            for _ in range(RELIEF_PER_TURN):
                if not self._ring:
                    break
                entry = self._ring.popleft()
                n = len(self._ring)
                if entry[0] == "event":
                    self._write_event(entry[1])
                else:
                    self._write_points(*entry[1:])
                if len(self._ring) > n:  # it came back: there is no room yet
                    self._ring.rotate(len(self._ring) - n)
                    break
            if not self._ring and self._ring.n_dropped:
                dropped = {
                    "type": "dropped",
                    "count": self._ring.n_dropped,
                    "reason": self._ring.reason,
                    "time": now(),
                }
                self._ring.n_dropped = 0
                self._write_event(dumps(dropped).encode())
        finally:
            self._ring.relieving = False
            if self._ring:
                self._ready = {}  # so that no log call overtakes what waits

    # ---- The end -----------------------------------------------------------------------------------------

    def seal(self) -> None:
        """Take no more records. What is written stays readable, and the last segment shrinks to its size."""
        for _ in range(self._ring.limit // RELIEF_PER_TURN + 1):
            if not self._ring:
                break
            self._tried_at = -RETRY_INTERVAL_S
            self._do(self._relieve)
        if self._ring:
            n = len(self._ring) + self._ring.n_dropped
            say_once(("lost", self.writer_id), f"{n} log calls were lost: {self._ring.reason}")
        self._do(self._seal)

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

    def release(self) -> None:
        """Let go of the folder: from now on, whoever wants to may adopt it."""
        self._do(self._seal)
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
        self._pending.clear()
        self._ready = {}
        self._limit = 0
        self._closed = True
        os.close(self._lock_descriptor)
        self._lock_descriptor = -1


_open_writers: list[RecordWriter] = []
_held: list[RecordWriter] = []


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
