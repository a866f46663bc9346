"""The journal: where a logged point is safe from the moment that `log` returns.

A writer's folder of mapped segments, as docs/formats.md §1 draws it. A record's bytes go into the mapping
first, its size and CRC last and as one aligned store: whoever reads after a kill sees whole records or
nothing. What the mapping says is the truth; the fields here only follow it.

Must not know the network. The shipper asks for `snapshot()` and reads the files.

Callers may be several threads (an RLock), a signal handler in the middle of a log of the same thread (the
`_busy` flag: its call waits in `_pending` until the outer one is done), and forked children (they find the
journal detached and open their own).
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH103, PTH104, PTH108, PTH118, PTH123

from __future__ import annotations

import _thread
import fcntl
import os
from struct import Struct
from time import monotonic
from time import time as now
from zlib import crc32

from deepevent.blobfiles import keep_bytes, keep_file
from deepevent.errors import JournalError
from deepevent.jsontext import dumps
from deepevent.memoryring import MemoryRing
from deepevent.notices import say_once
from deepevent.segment import (
    END_OFFSET,
    SEGMENT_HEADER_SIZE,
    SEGMENT_SIZE,
    make_file,
    segment_name,
    touch_pages,
    write_header,
)
from deepevent.spoolroom import SpoolRoom
from deepevent.values import EPOCH, STEP_LIMIT, check_name, is_on_device, snapshot, to_float, to_step
from deepevent.wire import (
    EVENT_TEXT_LIMIT,
    KIND_EVENT,
    KIND_POINTS,
    KIND_SHAPE,
    POINTS_FIXED_SIZE,
    RECORD_REST,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Collection, Mapping
    from typing import TypeVar

    T = TypeVar("T")

    Shape = tuple[int, Callable[..., bytes], int]  # the record's second word, its packer, its size

METRIC_LIMIT = 10_000
SHAPES_LIMIT = 4096  # combinations of names; beyond it, records of one name each
RETRY_INTERVAL_S = 1.0  # how often a full disk is tried again
RELIEF_PER_TURN = 512  # entries of the memory ring written before other threads get their turn
DEFERRED_LIMIT = 65_536  # device values that wait to be read
SPARE_NAME = "spare.tmp"  # made by the shipper's thread
NEXT_NAME = "next.tmp"  # made by a log call that found no spare
LOCK_NAME = "lock"
FOLDER_ATTEMPTS = 5


class Journal:
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
        *,
        strict: bool = False,
        metric_limit: int = METRIC_LIMIT,
        segment_size: int = SEGMENT_SIZE,
        room: SpoolRoom | None = None,
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
        self._strict = strict
        self._metric_limit = metric_limit
        self._segment_size = segment_size
        self._room = room
        self._first_event: Mapping[str, object] | None = first_event
        self._lock = _thread.RLock()
        self._busy = False
        self._closed = False
        self._deferred: list[tuple[list[str], list[object], int, float]] = []
        self._converting = _thread.allocate_lock()
        self._tending = _thread.allocate_lock()
        self._pending: list[tuple[Callable[..., None], tuple[object, ...]]] = []
        self._map: mmap.mmap | None = None
        self._marks: memoryview = memoryview(bytearray(SEGMENT_HEADER_SIZE)).cast("Q")
        self._retired: list[object] = []
        self._spare: mmap.mmap | None = None
        self._offset = self._limit = 0
        self._sequence = 1
        self._number = -1
        self._step = -1
        self._ready: dict[tuple[str, ...], Shape] = {}  # shapes that this segment already declares
        self._shape_ids: dict[tuple[str, ...], int] = {}
        self._names: set[str] = set()
        self._ring = MemoryRing()
        self._tried_at = -RETRY_INTERVAL_S
        self._lock_descriptor = _take_lock(folder)
        _open_journals.append(self)
        self._do(self._open_first)

    # ---- Logging -----------------------------------------------------------------------------------------

    def log(  # noqa: PLR0912 - in one piece, see below
        self, values: Mapping[str, object], step: int | None = None, epoch: float | None = None
    ) -> None:
        """Write the values as one record.

        The common case, a dict of floats whose names this segment knows, is here in one piece: a call costs
        about a microsecond, and every function call more would be a tenth of it. All else: `_log_slowly`.
        """
        with self._lock:
            if self._busy:
                self._pending.append((self._log_slowly, (dict(values), step, epoch, now())))
                return
            self._busy = True
            try:
                if epoch is None:
                    shape = self._ready.get(tuple(values))
                    numbers: Collection[object] = values.values()
                else:
                    shape = self._ready.get((*values, EPOCH))
                    numbers = [*values.values(), epoch + 0.0 if type(epoch) is int else epoch]
                for number in numbers:
                    if type(number) is not float:
                        shape = None
                        break
                if shape is None or (type(step) is not int and step is not None):
                    self._log_slowly(values, step, epoch, now())
                else:
                    word, pack, size = shape
                    if step is None:
                        step = self._step + 1
                    offset = self._offset
                    end = offset + size
                    if end > self._limit or not 0 <= step <= STEP_LIMIT:
                        self._log_slowly(values, step, epoch, now())
                    else:
                        rest = pack(word, step, now(), *numbers)
                        self._map[offset + 8 : end] = rest  # type: ignore[index]
                        self._marks[offset >> 3] = size | crc32(rest, self._sequence & 0xFFFFFFFF) << 32
                        self._offset = end
                        self._sequence += 1
                        self._step = step
            except Exception as error:  # noqa: BLE001 - a monitor must not stop a training
                self._complain(_explain(values, error))
            except BaseException:  # KeyboardInterrupt out of a signal handler: see what was published
                self._follow_the_map()
                raise
            finally:
                self._busy = False
            if self._pending:
                self._do_pending()
        if self.asleep:
            self.wake()

    def _log_slowly(self, values: Mapping[str, object], step: object, epoch: object, when: float) -> None:
        """Write values of any kind under names that may be new."""
        if self._closed:
            self._complain(ValueError("the run is finished, and what is logged now is not kept"))
            return
        self._step = self._check_step(step)
        names: list[str] = []
        numbers: list[object] = []
        waiting = False
        items = [*values.items()]
        if epoch is not None:
            items = [item for item in items if item[0] != EPOCH]
            items.append((EPOCH, epoch))
        for name, value in items:
            try:
                if name not in self._names and not self._admit(name):
                    continue
                if type(value) is not float and is_on_device(value):
                    numbers.append(snapshot(value))
                    waiting = True
                else:
                    numbers.append(to_float(value))
                names.append(name)
            except (TypeError, ValueError, RuntimeError) as error:
                self._complain(type(error)(f"{str(name)[:60]!r} was not logged: {error}"), name)
        if waiting:
            if len(self._deferred) >= DEFERRED_LIMIT:
                self._ring.n_dropped += len(self._deferred.pop(0)[0])
                self._ring.reason = "the accelerator did not answer in time"
            self._deferred.append((names, numbers, self._step, when))
        elif names:
            self._write_points(tuple(names), self._step, when, numbers)

    def _check_step(self, step: object) -> int:
        if step is None:
            return self._step + 1
        try:
            return to_step(step)
        except (TypeError, ValueError) as error:
            self._complain(error)
            return self._step + 1

    def _admit(self, name: str) -> bool:
        """Take a new metric name, if there may be more of them."""
        check_name(name)
        if len(self._names) >= self._metric_limit:
            self._complain(
                ValueError(
                    f"a run has at most {self._metric_limit} metric names, and {name[:60]!r} and further new "
                    "ones are not kept: log fewer names, or set DEEPEVENT_METRIC_LIMIT"
                ),
                "metric limit",
            )
            return False
        self._names.add(name)
        return True

    def _complain(self, error: Exception, key: object = None) -> None:
        """Raise in strict mode; else say it once and go on without that value."""
        if self._strict and isinstance(error, (TypeError, ValueError)):
            raise error
        say_once((type(error), key if key is not None else str(error)), str(error))

    def convert_deferred(self) -> None:
        """Read the device values that wait, on a thread that can afford to."""
        with self._converting:
            while self._deferred:
                names, values, step, when = self._deferred.pop(0)
                kept: list[str] = []
                numbers: list[object] = []
                for name, value in zip(names, values, strict=True):
                    try:
                        numbers.append(to_float(value))
                        kept.append(name)
                    except Exception as error:  # noqa: BLE001 - whatever a device library raises
                        say_once((type(error), name), f"{name!r} was not logged: {error}")
                if kept:
                    self._do(self._write_points, tuple(kept), step, when, numbers)

    def append_event(self, event: Mapping[str, object]) -> None:
        """Write an event; `event` holds plain JSON values only.

        Raises:
            ValueError: it is longer than 1 MiB as JSON; in strict mode.
        """
        text = dumps(event).encode()
        if len(text) > EVENT_TEXT_LIMIT:
            kind = f"{event.get('type')} {event.get('name', '')}".strip()
            what = (
                f"{kind!r} has {len(text)} bytes as JSON and was not kept: at most {EVENT_TEXT_LIMIT} can be"
            )
            self._complain(ValueError(what))
            return
        self._do(self._write_event, text)
        if self.asleep:
            self.wake()

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
            mapping, made = self._take_spare(segment_size), SPARE_NAME
            if mapping is None:
                mapping, made = self._make_segment(NEXT_NAME, segment_size), NEXT_NAME
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

    def _take_spare(self, size: int) -> mmap.mmap | None:
        if self._spare is None or len(self._spare) != size:
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

    @property
    def last_step(self) -> int:
        """The newest step that was logged; 0 before the first."""
        return max(self._step, 0)

    def start_from(self, step: int) -> None:
        """Count steps on behind this one."""
        self._step = step

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
        """Do what no log call should wait for: conversions, a spare segment, unmapping, a full ring."""
        if not self._tending.acquire(blocking=False):
            return
        try:
            if self._deferred:
                self.convert_deferred()
            self._retired.clear()
            if self._ring or self._ring.n_dropped:
                self._do(self._relieve)
            elif self._spare is None and not self._closed and self._offset > self._limit // 4:
                self._prepare_spare()
        finally:
            self._tending.release()

    def _prepare_spare(self) -> None:
        try:
            spare = self._make_segment(SPARE_NAME, self._segment_size)
        except OSError:
            return  # said when it is needed
        touch_pages(spare)
        with self._lock:
            self._spare = None if self._closed else spare

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
                    self._ring.rotate(1)
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
        self.convert_deferred()
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
        os.truncate(self._path(segment_name(self._number)), self._offset)

    def release(self) -> None:
        """Let go of the folder: from now on, whoever wants to may adopt it."""
        self._do(self._seal)
        self._spare = None
        if self in _open_journals:
            _open_journals.remove(self)
        descriptor, self._lock_descriptor = self._lock_descriptor, -1
        if descriptor >= 0:
            for name in (SPARE_NAME, NEXT_NAME):
                _unlink_if_there(self._path(name))
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
        self._deferred.clear()
        self._ready = {}
        self._limit = 0
        self._closed = True
        os.close(self._lock_descriptor)
        self._lock_descriptor = -1


def _explain(values: object, error: Exception) -> Exception:
    """Say what is wrong with something that is no dict; else the error as it is."""
    if hasattr(values, "values"):
        return error
    return TypeError(f"log takes a dict of numbers, got {type(values).__name__}")


def _take_lock(folder: str) -> int:
    """Create the folder, locked from the first moment that others can see it.

    Returns:
        The descriptor that holds the lock.

    Raises:
        OSError: it cannot be created.
        JournalError: it exists and another process writes there.
    """
    parent, name = os.path.split(folder)
    made = os.path.join(parent, f".{name}.new")
    for attempt in range(FOLDER_ATTEMPTS):
        os.makedirs(parent, mode=0o700, exist_ok=True)
        os.makedirs(made, mode=0o700, exist_ok=True)
        path = os.path.join(made, LOCK_NAME)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(descriptor)
                raise JournalError(f"{folder} is being written by another process") from error
            except OSError:  # a file system without locks
                say_once(
                    "flock", f"{parent} knows no file locks: what a killed script leaves there stays there"
                )
            os.rename(made, folder)
            return descriptor
        except FileNotFoundError:  # somebody tidied the run's empty folder away in between
            if attempt == FOLDER_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _unlink_if_there(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


_open_journals: list[Journal] = []


def _before_fork() -> None:
    for journal in _open_journals:
        journal._lock.acquire()


def _after_fork_in_parent() -> None:
    for journal in _open_journals:
        journal._lock.release()


def _after_fork_in_child() -> None:
    for journal in _open_journals:
        journal._detach_in_child()
    _open_journals.clear()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
