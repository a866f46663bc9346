"""Writes records into a writer's segments, safe from the moment that they are published.

A folder of mapped segments, as docs/formats.md §1 draws it. A record's bytes go into the mapping first, its
size and CRC last and as one aligned store: whoever reads after a kill sees whole records or nothing. What the
mapping says is the truth; the fields here only follow it.

Must not know the network, nor what people may log: `journal` checks and converts. Callers may be several
threads (an RLock), a signal handler in the middle of a record of the same thread (the `_busy` flag: its
action waits in `_pending` until the outer one is done), and forked children (they find the writer detached
and open their own).
"""

from __future__ import annotations

import _thread
from struct import Struct
from time import monotonic
from time import time as now
from zlib import crc32

from deepevent.jsontext import dumps
from deepevent.memoryring import MemoryRing
from deepevent.notices import say_once
from deepevent.segmentwriter import SegmentWriter
from deepevent.wire import KIND_EVENT, KIND_POINTS, KIND_SHAPE, POINTS_FIXED_SIZE, RECORD_REST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from deepevent.spoolroom import SpoolRoom

    T = TypeVar("T")

    Shape = tuple[int, Callable[..., bytes], int]  # the record's second word, its packer, its size

SHAPES_LIMIT = 4096  # combinations of names; beyond it, records of one name each
RETRY_INTERVAL_S = 1.0  # how often a full disk is tried again
RELIEF_PER_TURN = 512  # entries of the memory ring written before other threads get their turn


class RecordWriter(SegmentWriter):
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
        self.asleep = False
        self.bell = _thread.allocate_lock()
        self.bell.acquire()
        self._first_event: Mapping[str, object] | None = first_event
        self._busy = False
        self._tending = _thread.allocate_lock()
        self._pending: list[tuple[Callable[..., None], tuple[object, ...]]] = []
        self._shape_ids: dict[tuple[str, ...], int] = {}
        self._ring = MemoryRing()
        self._tried_at = -RETRY_INTERVAL_S
        super().__init__(folder, run_id, writer_id, rank, segment_size, room)
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
        try:
            self._next_segment(size + len(first_text) + 32)
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
        if self._first_event is not None:
            self._first_event = None
            self._write_event(first_text)
        return True

    # ---- For the shipper's thread ------------------------------------------------------------------------

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

    def release(self) -> None:
        """Let go of the folder: from now on, whoever wants to may adopt it."""
        self._do(self._seal)
        self._let_go()

    def _detach_in_child(self) -> None:
        self._pending.clear()
        super()._detach_in_child()
