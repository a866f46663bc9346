"""The journal: where a logged point is safe from the moment that `log` returns.

What people may log, and how it becomes records; `recordwriter` keeps them. A mistake in a call costs the
value that it is in, and is said once; a value on an accelerator is read later, by the shipper's thread. Must
not know the network.
"""

from __future__ import annotations

import _thread
from time import time as now
from zlib import crc32

from deepevent.jsontext import dumps
from deepevent.notices import say_once
from deepevent.recordwriter import RecordWriter
from deepevent.segment import SEGMENT_SIZE
from deepevent.values import EPOCH, STEP_LIMIT, check_name, is_on_device, snapshot, to_float, to_step
from deepevent.wire import EVENT_TEXT_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from deepevent.spoolroom import SpoolRoom

METRIC_LIMIT = 10_000
DEFERRED_LIMIT = 65_536  # device values that wait to be read


class Journal(RecordWriter):
    """What one process logs to one run."""

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
        self._strict = strict
        self._metric_limit = metric_limit
        self._deferred: list[tuple[list[str], list[object], int, float]] = []
        self._converting = _thread.allocate_lock()
        self._step = -1
        self._names: set[str] = set()
        super().__init__(folder, run_id, writer_id, rank, first_event, segment_size, room)

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

    def append_points(self, values: Mapping[str, float], step: int, when: float | None = None) -> None:
        """Write numbers that are not the script's own: they do not move its count of steps.

        `when` is their time, in seconds since 1970; None is now.
        """
        self._do(self._append_points, dict(values), step, now() if when is None else when)

    def _append_points(self, values: dict[str, float], step: int, when: float) -> None:
        names = [name for name in values if name in self._names or self._admit(name)]
        if names and not self._closed:
            self._write_points(tuple(names), step, when, [values[name] for name in names])

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

    # ---- What else there is to do ------------------------------------------------------------------------

    @property
    def last_step(self) -> int:
        """The newest step that was logged; 0 before the first."""
        return max(self._step, 0)

    def start_from(self, step: int) -> None:
        """Count steps on behind this one."""
        self._step = step

    def tend(self) -> None:
        """Do what no log call should wait for: reading device values, and the segments' housekeeping."""
        if self._deferred:
            self.convert_deferred()
        super().tend()

    def seal(self) -> None:
        """Take no more records, once what still waits is written."""
        self.convert_deferred()
        super().seal()

    def _detach_in_child(self) -> None:
        self._deferred.clear()
        self._converting = _thread.allocate_lock()
        super()._detach_in_child()


def _explain(values: object, error: Exception) -> Exception:
    """Say what is wrong with something that is no dict; else the error as it is."""
    if hasattr(values, "values"):
        return error
    return TypeError(f"log takes a dict of numbers, got {type(values).__name__}")
