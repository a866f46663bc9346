"""Commits batches: one thread, everything that waits in one transaction, answers after the commit.

Exactly once: a writer's last sequence is committed in the transaction that commits its points, and
what is at or below it is skipped. A commit that fails is unknown, not failed: everybody in the group
is told to try again, and the next transaction looks at what is really there.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.exc import DataError, DBAPIError, StatementError

from deepevent.errors import BatchInvalid, DeepEventError, StoreBusy, StoreOverloaded
from deepevent.store.connection import RETRY_AFTER_S, Database, read_revision
from deepevent.store.figures import IngestFigures
from deepevent.store.quotas import Quotas
from deepevent.store.staging import Staging
from deepevent.store.states import States
from deepevent.wire import Batch

METRIC_LIMIT = 10_000
QUEUE_BATCHES = 1024
GROUP_BYTES = 32 << 20
WAITING_BYTES = 256 << 20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """All records up to `last_sequence` are durable.

    Attributes:
        last_sequence: of the writer.
        should_stop: somebody asked the run to stop.
        n_new_metrics: metrics that the batch brought into being.
    """

    last_sequence: int
    should_stop: bool
    n_new_metrics: int = 0


class _Waiting:
    """A batch, and the answer that its submitter waits for."""

    __slots__ = ("answer", "arrived", "batch", "done")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.arrived = time.monotonic()
        self.answer: Acknowledgement | DeepEventError = StoreBusy("the batch waits", RETRY_AFTER_S)
        self.done = threading.Event()


class Committer:
    """Takes batches from many threads and commits them in groups.

    Attributes:
        figures: what it has done so far.
    """

    def __init__(
        self,
        db: Database,
        on_commit: Callable[[int], None] | None = None,
        metric_limit: int = METRIC_LIMIT,
        clock: Callable[[], float] = time.time,
        waiting_bytes: int = WAITING_BYTES,
        quotas: Quotas | None = None,
    ) -> None:
        """Start the thread.

        Args:
            db: the store.
            on_commit: called with the revision after each commit that changed something, in the
                committer's thread: it must be quick.
            metric_limit: how many metrics a run may have.
            clock: seconds since 1970.
            waiting_bytes: how much may wait in memory for its commit.
            quotas: what each project may hold.
        """
        self._db = db
        self._waiting_bytes = waiting_bytes
        self._on_commit = on_commit
        self._metric_limit = metric_limit
        self._clock = clock
        self._quotas = quotas
        self._states = States()
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(QUEUE_BATCHES)
        self._bytes_waiting = 0
        self.figures = IngestFigures()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="deepevent-committer", daemon=True)
        self._thread.start()

    def submit(self, batch: Batch) -> Acknowledgement:
        """Commit a batch, and wait until it is durable.

        Raises:
            SequenceGap: records before it are missing; it says which sequence is expected.
            RunDeleted: the run was deleted.
            BatchInvalid: it can never be accepted.
            StoreOverloaded: too much is waiting already: send it again later.
            QuotaExceeded: the run's project has as much as it may have.
            StoreBusy: the commit could not be confirmed: send it again later.
        """
        waiting = _Waiting(batch)
        with self._lock:
            if self._closed:
                raise StoreBusy("the server is shutting down; send the batch again", RETRY_AFTER_S)
            if self._bytes_waiting + len(batch.body) > self._waiting_bytes:
                self.figures.refused["StoreOverloaded"] += 1
                raise StoreOverloaded("too many batches are waiting; send this one again", RETRY_AFTER_S)
            try:
                self._queue.put_nowait(waiting)
            except queue.Full:
                self.figures.refused["StoreOverloaded"] += 1
                raise StoreOverloaded(
                    "too many batches are waiting; send this one again", RETRY_AFTER_S
                ) from None
            self._bytes_waiting += len(batch.body)
        waiting.done.wait()
        if isinstance(waiting.answer, Acknowledgement):
            return waiting.answer
        raise waiting.answer

    @property
    def waiting(self) -> tuple[int, int]:
        """How many batches wait for their commit, and their bytes."""
        with self._lock:
            return self._queue.qsize(), self._bytes_waiting

    def close(self) -> None:
        """Commit what is waiting, and stop."""
        with self._lock:
            if not self._closed:
                self._closed = True
                threading.Thread(target=self._queue.put, args=(None,)).start()
        self._thread.join()

    def _run(self) -> None:
        while True:
            group, last = self._collect()
            if group:
                self._commit(group)
                with self._lock:
                    self._bytes_waiting -= sum(len(waiting.batch.body) for waiting in group)
                self._note(group)
                for waiting in group:
                    waiting.done.set()
            if last:
                return

    def _note(self, group: list[_Waiting]) -> None:
        now, figures = time.monotonic(), self.figures
        figures.batches += len(group)
        for waiting in group:
            figures.lag.note(now - waiting.arrived)
            figures.size_bytes += len(waiting.batch.body)
            if isinstance(waiting.answer, Acknowledgement):
                figures.records += waiting.batch.n_records
            else:
                figures.refused[type(waiting.answer).__name__] += 1

    def _collect(self) -> tuple[list[_Waiting], bool]:
        """Wait for a batch and take all others that wait with it."""
        group: list[_Waiting] = []
        size = 0
        while size < GROUP_BYTES:
            try:
                waiting = self._queue.get(block=not group)
            except queue.Empty:
                return group, False
            if waiting is None:
                return group, True
            group.append(waiting)
            size += len(waiting.batch.body)
        return group, False

    def _commit(self, group: list[_Waiting]) -> None:
        """Answer every batch of the group; never raises."""
        try:
            self._transact(group)
        except StoreBusy as error:
            self._states.drop()
            self._answer(group, error)
        except Exception as error:
            self._states.drop()
            if len(group) > 1:
                for waiting in group:
                    self._commit([waiting])
                return
            log.exception("a batch could not be committed: %r", group[0].batch)
            if _is_the_batch(error):
                self._answer(group, BatchInvalid(f"the store cannot take this batch: {error}"))
            else:
                self._answer(group, StoreBusy(f"the batch could not be committed: {error!r}", RETRY_AFTER_S))

    @staticmethod
    def _answer(group: list[_Waiting], error: DeepEventError) -> None:
        for waiting in group:
            waiting.answer = error

    def _transact(self, group: list[_Waiting]) -> None:
        if not any(waiting.batch.n_records for waiting in group) and self._beat(group):
            return
        if self._quotas is not None:
            self._quotas.refresh()
        started = time.monotonic()
        with self._db.write() as connection:
            self._states.check(connection)
            before = read_revision(connection)
            staging = Staging(connection, self._states, self._metric_limit, self._clock(), self._quotas)
            self._fill(staging, group)
            staging.write()
            revision = read_revision(connection)
        self._states.committed(revision)
        self.figures.commit.note(time.monotonic() - started)
        if self._on_commit is not None and revision > before:
            self._on_commit(revision)

    def _beat(self, group: list[_Waiting]) -> bool:
        """Answer a group of heartbeats without writing, if that will do."""
        with self._db.read() as connection:
            self._states.check(connection)
            staging = Staging(connection, self._states, self._metric_limit, self._clock())
            self._fill(staging, group)
        if not staging.empty:
            self._states.drop()
        return staging.empty

    @staticmethod
    def _fill(staging: Staging, group: list[_Waiting]) -> None:
        for waiting in group:
            before = staging.n_made
            try:
                waiting.answer = Acknowledgement(*staging.add(waiting.batch), staging.n_made - before)
            except DeepEventError as error:
                waiting.answer = error


def _is_the_batch(error: Exception) -> bool:
    """Say whether a value of the batch cannot be stored, so that no later attempt will do better.

    All else, a broken constraint included, is ours or the moment's: a client that is told so keeps trying,
    and goes on once it is repaired, while one that is told 'invalid' stops for good.
    """
    return isinstance(error, DataError) or (
        isinstance(error, StatementError) and not isinstance(error, DBAPIError)
    )
