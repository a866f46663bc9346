"""Journal → server: one daemon thread per writer.

The first record after a pause leaves at once; under load, one batch every `BATCH_INTERVAL_S`. Nothing piles
up in memory however long the server is away, since everything is read from the segments on disk. What the
server will never take is said once, with what to do, and stays in the spool.

Must not know what the records mean.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress

from deepevent.blobfiles import list_blobs, open_blob, remove_blob, set_aside
from deepevent.cursor import Cursor
from deepevent.errors import RecordDamaged, SequenceGap, ServerBusy, ServerRefused, ServerUnreachable
from deepevent.notices import say_once
from deepevent.wire import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deepevent.endpoint import Endpoint
    from deepevent.journal import Journal
    from deepevent.transport import Transport

BATCH_INTERVAL_S = 0.06
HEARTBEAT_INTERVAL_S = 15.0
LOOK_INTERVAL_S = 0.5  # how often a server that was not there is looked for
BACKOFF_FIRST_S = 0.25
BACKOFF_LIMIT_S = 30.0
HURRIED_PAUSE_S = 0.25  # the longest pause at the end of a run
ABSENT_ENOUGH = 2  # attempts without an answer after which the end of a run waits no longer
LONG_WAIT_S = 30.0  # a wait that the server asks for and that a person should hear of
NOTE_INTERVAL_S = 1.0
TEND_INTERVAL_S = 1.0
LASTING_REFUSALS = (404, 413, 422)  # the same batch would be refused again

ADVICE = {
    401: "set DEEPEVENT_TOKEN to a token that 'deepevent token create' made",
    403: "use a token with the role logger or operator",
    404: "the run was deleted there, or the address is not a DeepEvent server",
    413: "raise the server's limit, then run 'deepevent sync'",
    422: "please report this with the versions of client and server",
}


class Shipper:
    """Sends what a journal holds.

    Attributes:
        acknowledged: everything up to this sequence is durable on the server.
        should_stop: somebody asked the run to stop.
    """

    def __init__(self, journal: Journal, endpoint: Endpoint | None) -> None:
        """`endpoint` None: only tend the journal, send nothing."""
        self.acknowledged = 0
        self.should_stop = False
        self._journal = journal
        self._endpoint = endpoint
        self._transport: Transport | None = None
        self._cursor = Cursor(journal)
        self._sent_blobs: set[str] = set()
        self._progress = threading.Condition()
        self._stopping = False
        self._hurry = False
        self._given_up = False  # the server will never take what comes next
        self._n_failures = 0
        self._n_absent = 0  # rises while there is no server: what flush and finish look at
        self._last_contact = 0.0
        self._noted_at = 0.0
        self._noted = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="deepevent-shipper", daemon=True)
        self._thread.start()

    def flush(self, timeout_s: float | None) -> bool:
        """Wait until everything that is in the journal now is acknowledged.

        Returns:
            False if it is not: no server, a refusal, or the time is up.
        """
        self._journal.convert_deferred()
        target = self._journal.next_sequence - 1
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._progress:
            absent = self._n_absent
            self._hurry = True
            self._journal.wake()
            while self.acknowledged < target and self._is_hopeful(absent, timeout_s):
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._progress.wait(left)
            self._hurry = False
        return self.acknowledged >= target

    def _is_hopeful(self, absent_before: int, timeout_s: float | None) -> bool:
        """Say whether waiting has a point: without a server only a flush with a time limit waits for one."""
        if self._given_up or self._thread is None or not self._thread.is_alive():
            return False
        return timeout_s is not None or self._n_absent < absent_before + ABSENT_ENOUGH

    def finish(self, timeout_s: float) -> bool:
        """Send the rest and stop the thread; waits no longer than is useful.

        Returns:
            Whether everything is acknowledged.
        """
        deadline = time.monotonic() + timeout_s
        with self._progress:
            absent = self._n_absent
            self._hurry = True
            self._stopping = True
            self._journal.wake()
            while not self._is_done() and self._n_absent < absent + ABSENT_ENOUGH:
                left = deadline - time.monotonic()
                if left <= 0 or self._thread is None or not self._thread.is_alive():
                    break
                self._progress.wait(min(left, 0.2))
            self._given_up = True
            self._journal.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, min(1.0, deadline - time.monotonic())))
        return self.acknowledged >= self._journal.next_sequence - 1

    def _is_done(self) -> bool:
        return self._given_up or self.acknowledged >= self._journal.next_sequence - 1

    # ---- The thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                pause = self._turn()
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever happens to it
                say_once(("shipper", str(error)), f"shipping failed and goes on in a moment: {error!r}")
                pause = self._failed(None)
            with self._progress:
                self._progress.notify_all()
            if self._stopping and (self._is_done() or self._endpoint is None):
                break
            self._wait(pause)
        if self._transport is not None:
            self._transport.close()

    def _turn(self) -> float:
        """Tend the journal, send one batch; returns seconds until the next turn, 0 for a full rest."""
        self._journal.tend()
        if self._endpoint is None or self._given_up:
            return TEND_INTERVAL_S
        if self._endpoint.refresh():
            self._n_failures = 0
            self._drop_transport()
        if not self._endpoint.url:
            self._n_absent += ABSENT_ENOUGH
            return LOOK_INTERVAL_S
        try:
            pause = self._send()
            self._n_failures = 0
            self._n_absent = 0
        except ServerUnreachable:
            self._n_absent += 1
            pause = self._failed(None)
        except ServerBusy as error:
            pause = self._told_to_wait(error)
        except SequenceGap as error:
            pause = self._rewind(error.expected)
        except ServerRefused as error:
            pause = self._refused(error)
        return pause

    def _send(self) -> float:
        transport = self._connected()
        piece = self._cursor.read()
        now = time.monotonic()
        if piece is None and now - self._last_contact < HEARTBEAT_INTERVAL_S:
            return 0.0
        if piece is not None:
            self._put_blobs(transport)
        journal = self._journal
        batch = Batch(
            journal.run_id,
            journal.writer_id,
            journal.rank,
            self._cursor.sequence,
            piece.n_records if piece else 0,
            time.time(),
            piece.body if piece else b"",
        )
        answer = transport.send(batch)
        self._last_contact = now
        self.should_stop = answer.should_stop
        if piece is None:
            return 0.0
        self._cursor.advance(piece)
        if answer.acknowledged < self._cursor.sequence - 1:
            raise SequenceGap("the server has less than was sent", answer.acknowledged + 1)
        with self._progress:
            self.acknowledged = self._cursor.sequence - 1
        self._settle()
        backlog = len(piece.body) >= 1 << 17
        return 0.0001 if self._hurry or backlog else BATCH_INTERVAL_S

    def _put_blobs(self, transport: Transport) -> None:
        """Upload what the batch may name; the records of a blob are logged after it is complete."""
        for sha256 in list_blobs(self._journal.folder):
            if sha256 in self._sent_blobs:
                continue
            file, size = open_blob(self._journal.folder, sha256)
            with file:
                try:
                    transport.put_blob(sha256, file, size)
                except ServerRefused as error:
                    if error.status not in LASTING_REFUSALS:
                        raise
                    say_once(("blob", error.status), f"a file of {size} bytes was not taken: {error}")
                    set_aside(self._journal.folder, sha256)
                    continue
            self._sent_blobs.add(sha256)

    def _settle(self) -> None:
        """Forget on disk what the server has."""
        for sha256 in self._sent_blobs:
            remove_blob(self._journal.folder, sha256)
        self._sent_blobs.clear()
        now = time.monotonic()
        if now - self._noted_at >= NOTE_INTERVAL_S and self.acknowledged > self._noted:
            self._noted_at, self._noted = now, self.acknowledged
            with suppress(OSError):
                self._cursor.forget(self.acknowledged)
                self._cursor.note(self.acknowledged)

    def _connected(self) -> Transport:
        if self._transport is None:
            from deepevent.transport import Transport

            assert self._endpoint is not None  # noqa: S101 - _turn asked
            self._transport = Transport(
                self._endpoint.url, self._endpoint.token, trust=self._endpoint.trust()
            )
        return self._transport

    def _drop_transport(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _failed(self, retry_after_s: float | None) -> float:
        """Back off: exponentially, with full jitter, or as long as the server says."""
        self._n_failures += 1
        self._sent_blobs.clear()  # the server may have tidied away what no batch has named for so long
        if retry_after_s is not None:
            return max(retry_after_s, 0.01)
        limit = HURRIED_PAUSE_S if self._stopping else BACKOFF_LIMIT_S
        ceiling = min(limit, BACKOFF_FIRST_S * 2.0 ** min(self._n_failures, 10))
        return max(0.01, ceiling * int.from_bytes(os.urandom(2), "big") / 65535)

    def _told_to_wait(self, error: ServerBusy) -> float:
        """Wait as long as the server says; if that is long, say why, once, and let no run's end wait."""
        if (error.retry_after_s or 0.0) >= LONG_WAIT_S:
            say_once(
                ("busy", error.status, self._journal.run_id),
                f"the server takes nothing now and is asked again: {error}; meanwhile the points wait in "
                f"{self._journal.folder}",
            )
            self._n_absent += ABSENT_ENOUGH
        return self._failed(error.retry_after_s)

    def _refused(self, error: ServerRefused) -> float:
        """Say once what to do; the data stays in the spool."""
        advice = ADVICE.get(error.status, "")
        where = f"the points stay in {self._journal.folder}"
        say_once(("refused", error.status, self._journal.run_id), f"{error}; {advice}; {where}")
        self._n_absent += ABSENT_ENOUGH
        self._given_up = error.status in LASTING_REFUSALS
        return BACKOFF_LIMIT_S

    def _rewind(self, expected: int) -> float:
        try:
            found = self._cursor.seek(expected)
        except (OSError, RecordDamaged):
            found = False
        if found:
            with self._progress:
                self.acknowledged = max(self.acknowledged, expected - 1)
            self._n_failures += 1
            return 0.0001 if self._n_failures < 3 else self._failed(None)
        say_once(
            ("gap", self._journal.writer_id),
            f"the server expects record {expected}, which is not here any more: has its database been "
            f"replaced? The points stay in {self._journal.folder}",
        )
        self._given_up = True
        return TEND_INTERVAL_S

    # ---- Waiting -----------------------------------------------------------------------------------------

    def _wait(self, pause_s: float) -> None:
        """Rest until the next record, heartbeat or look for a server; or for the pause that was asked for."""
        journal = self._journal
        if pause_s == 0.0:  # idle: the next record wakes us at once
            journal.asleep = True
            if self._has_more():
                journal.asleep = False
                return
            journal.bell.acquire(timeout=TEND_INTERVAL_S)
            journal.asleep = False
            return
        until = time.monotonic() + pause_s
        looked_for_server = pause_s > LOOK_INTERVAL_S
        while (left := until - time.monotonic()) > 0:
            rang = journal.bell.acquire(timeout=min(left, LOOK_INTERVAL_S))
            if rang and self._hurry:
                return
            if looked_for_server and self._endpoint is not None and self._endpoint.refresh():
                self._drop_transport()
                self._n_failures = 0
                return
            if looked_for_server:
                journal.tend()

    def _has_more(self) -> bool:
        return self._journal.next_sequence > self._cursor.sequence or self._stopping
