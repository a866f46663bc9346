"""The spool as somebody else finds it: writers that nobody writes any more, adopted and sent in order.

`deepevent serve` takes them into its own store, `deepevent sync` sends them to a server, both by `adopt`.
Unlike the live shipper, an adopter verifies every record: it may be reading after a crash, or days later from
a tired disk. Damage is reported and kept in `quarantine/`, and the rest still arrives. Must not know HTTP or
the store.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from pathlib import Path

from deepevent.blobfiles import list_blobs, open_blob, remove_blob, set_aside
from deepevent.cursor import ACKED_NAME, SHIP_LIMIT_BYTES
from deepevent.errors import BatchInvalid, BlobInvalid, QuotaExceeded, RecordDamaged, RunDeleted, SequenceGap
from deepevent.salvage import iter_verified, salvage, shapes_of
from deepevent.segment import (
    SEGMENT_HEADER_SIZE,
    Scan,
    SegmentHeader,
    check_record,
    scan_segment,
    segment_name,
    segment_numbers,
)
from deepevent.spoolfolder import remove_writer
from deepevent.wire import Batch, is_ulid
from deepevent.writer import SPOOL_FOLDER
from deepevent.writerlock import LOCK_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO, Self

QUARANTINE_FOLDER = "quarantine"
ATTEMPTS_LIMIT = 3  # times that a server may ask for other records of one writer


class Report:
    """What `adopt` did.

    Attributes:
        n_writers: writers that are sent to their end.
        n_records, n_blobs: how much that was.
        damage: one sentence per damaged place.
        refused: one sentence per writer or blob that was not taken; it stays on disk.
        waiting: one sentence per writer whose project has no room left; it stays in the spool.
    """

    def __init__(self) -> None:
        self.n_writers = 0
        self.n_records = 0
        self.n_blobs = 0
        self.damage: list[str] = []
        self.refused: list[str] = []
        self.waiting: list[str] = []


def adopt(
    home: str | Path,
    send: Callable[[Batch], int],
    put_blob: Callable[[str, BinaryIO, int], object],
    report: Report | None = None,
) -> Report:
    """Send everything that abandoned writers have left in a home.

    Args:
        home: the folder with `spool/`.
        send: sends or commits a batch and returns the sequence up to which all is durable. Raises SequenceGap
            for records that are expected instead; BatchInvalid or RunDeleted if it will never be taken;
            QuotaExceeded if it will be taken once there is room: the other writers come first then. Any other
            error ends the adoption and passes through; nothing is lost by that.
        put_blob: takes a blob's hash, open file and size in bytes. BatchInvalid and BlobInvalid set it aside.
        report: counts go on in it.
    """
    report = report or Report()
    for writer in abandoned_writers(Path(home)):
        with writer:
            try:
                writer.deliver(send, put_blob, report)
            except QuotaExceeded as error:
                report.waiting.append(f"writer {writer.writer_id} of run {writer.run_id}: {error}")
            except (BatchInvalid, RunDeleted) as error:
                report.refused.append(f"writer {writer.writer_id} of run {writer.run_id}: {error}")
                writer.quarantine()
    return report


def adopt_writer(
    folder: str | Path,
    send: Callable[[Batch], int],
    put_blob: Callable[[str, BinaryIO, int], object],
    report: Report,
) -> None:
    """Send what one writer has left, if nobody else is at it.

    Errors as `adopt`, and besides BatchInvalid and RunDeleted.
    """
    descriptor = _try_lock(Path(folder) / LOCK_NAME)
    if descriptor is not None:
        with AbandonedWriter(Path(folder), descriptor) as writer:
            writer.deliver(send, put_blob, report)


def abandoned_writers(home: Path) -> Iterator[AbandonedWriter]:
    """Yield each writer whose lock can be taken, oldest first; its lock is held until it is closed."""
    spool = home / SPOOL_FOLDER
    runs = sorted(path for path in _folders(spool) if is_ulid(path.name))
    for folder in sorted((f for run in runs for f in _folders(run) if is_ulid(f.name)), key=lambda f: f.name):
        descriptor = _try_lock(folder / LOCK_NAME)
        if descriptor is not None:
            yield AbandonedWriter(folder, descriptor)


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _try_lock(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # no lock file: tidied away, or nothing of ours
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink == 0:  # its writer has just tidied it away
            raise OSError
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


class AbandonedWriter:
    """A writer's folder that this process holds the lock of.

    Args:
        folder: `…/spool/<run id>/<writer id>`.
        descriptor: of the locked lock file.
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self.run_id = folder.parent.name
        self.writer_id = folder.name
        self.damage: list[str] = []
        self._descriptor = descriptor
        self._damaged: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def deliver(
        self, send: Callable[[Batch], int], put_blob: Callable[[str, BinaryIO, int], object], report: Report
    ) -> None:
        """Send all records and blobs, then delete the folder; errors as `adopt`."""
        self._put_blobs(put_blob, report)
        start = self._noted() + 1
        for attempt in range(ATTEMPTS_LIMIT):
            try:
                for batch in self.batches(start):
                    send(batch)
                    report.n_records += batch.n_records
                break
            except SequenceGap as gap:
                if attempt == ATTEMPTS_LIMIT - 1 or gap.expected == start:
                    raise BatchInvalid(
                        f"record {gap.expected} is expected, and the spool does not have it any more"
                    ) from gap
                start = gap.expected
        report.damage.extend(self.damage)
        report.n_writers += 1
        self._keep_damaged()
        for sha256 in list_blobs(str(self.folder)):
            remove_blob(str(self.folder), sha256)
        remove_writer(str(self.folder))

    def batches(self, start: int = 1) -> Iterator[Batch]:
        """Yield the verified records from sequence `start` on, in order and without a gap."""
        self.damage.clear()
        folder = str(self.folder)
        numbers = segment_numbers(folder)
        expected = None
        for position, number in enumerate(numbers):
            data = (self.folder / segment_name(number)).read_bytes()
            following = self._first_sequence(numbers[position + 1]) if position + 1 < len(numbers) else None
            header, first = self._open(data, number, expected)
            if first is None:
                continue
            scan = scan_segment(data, first, header.end if header else 0)
            behind = max(scan.next_sequence, following or 0)
            self.damage.extend(f"{self.writer_id}/{segment_name(number)}: {text}" for text in scan.damage)
            wanted = max(first if expected is None else expected, start)
            rank = header.rank if header else 0
            verified = sum(span.n_records for span in scan.spans)
            if verified == behind - first and len(scan.spans) <= 1 and wanted >= first:
                yield from self._slices(data, scan, wanted, rank)
            elif wanted < behind:
                self._damaged.add(number)
                if not scan.damage:
                    self.damage.append(f"{self.writer_id}/{segment_name(number)}: records are missing")
                records = salvage(data, scan, wanted, behind, lambda i, n=number: self._find_shape(i, n))  # type: ignore[misc]
                yield from self._packed(records, wanted, rank)
            expected = behind

    def _open(
        self, data: bytes, number: int, expected: int | None
    ) -> tuple[SegmentHeader | None, int | None]:
        """Read a segment's header; where it is damaged, its first record may prove which one it is."""
        try:
            header = SegmentHeader(data)
            if (header.run_id, header.writer_id) != (self.run_id, self.writer_id):
                raise RecordDamaged("it belongs to another writer")
            return header, header.first_sequence
        except RecordDamaged as error:
            self._damaged.add(number)
            self.damage.append(f"{self.writer_id}/{segment_name(number)}: {error}")
            guess = expected if expected is not None else self._noted() + 1 if number else 1
            proven = check_record(data, SEGMENT_HEADER_SIZE, guess, len(data)) > 0
            return None, guess if proven else None

    def _slices(self, data: bytes, scan: Scan, wanted: int, rank: int) -> Iterator[Batch]:
        """Cut an undamaged segment into batches."""
        for span in scan.spans:
            if wanted <= span.first_sequence and span.end - span.start <= SHIP_LIMIT_BYTES:
                yield self._batch(span.first_sequence, span.n_records, data[span.start : span.end], rank)
            else:
                records = [record for sequence, record in iter_verified(data, scan) if sequence >= wanted]
                yield from self._packed(records, max(wanted, span.first_sequence), rank)

    def _packed(self, records: list[bytes], first: int, rank: int) -> Iterator[Batch]:
        """Put records into batches of a bounded size."""
        pending: list[bytes] = []
        size = 0
        for record in records:
            if pending and size + len(record) > SHIP_LIMIT_BYTES:
                yield self._batch(first, len(pending), b"".join(pending), rank)
                first += len(pending)
                pending, size = [], 0
            pending.append(record)
            size += len(record)
        if pending:
            yield self._batch(first, len(pending), b"".join(pending), rank)

    def _batch(self, first: int, n_records: int, body: bytes, rank: int) -> Batch:
        return Batch(self.run_id, self.writer_id, rank, first, n_records, time.time(), body)

    def _first_sequence(self, number: int) -> int | None:
        try:
            with (self.folder / segment_name(number)).open("rb") as file:
                return SegmentHeader(file.read(SEGMENT_HEADER_SIZE)).first_sequence
        except RecordDamaged:
            return None

    def _find_shape(self, shape_id: int, damaged: int) -> list[str] | None:
        """Look for a shape in the other segments: each declares what it uses, always with the same id."""
        for number in segment_numbers(str(self.folder)):
            first = self._first_sequence(number)
            if number == damaged or first is None:
                continue
            data = (self.folder / segment_name(number)).read_bytes()
            names = shapes_of(data, scan_segment(data, first, 0)).get(shape_id)
            if names is not None:
                return names
        return None

    def _noted(self) -> int:
        try:
            return max(0, int((self.folder / ACKED_NAME).read_text("ascii")[:20]))
        except (OSError, ValueError):
            return 0

    def _put_blobs(self, put_blob: Callable[[str, BinaryIO, int], object], report: Report) -> None:
        for sha256 in list_blobs(str(self.folder)):
            file, size = open_blob(str(self.folder), sha256)
            with file:
                try:
                    put_blob(sha256, file, size)
                    report.n_blobs += 1
                except (BatchInvalid, BlobInvalid) as error:
                    report.refused.append(f"blob {sha256} of run {self.run_id}: {error}")
                    set_aside(str(self.folder), sha256)

    def _keep_damaged(self) -> None:
        for number in self._damaged:
            target = self._quarantine_path() / segment_name(number)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.folder / segment_name(number), target)

    def quarantine(self) -> None:
        """Move the whole folder out of the spool: it can never be taken, and is not thrown away."""
        target = self._quarantine_path()
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.move(str(self.folder), target)

    def _quarantine_path(self) -> Path:
        return self.folder.parents[2] / QUARANTINE_FOLDER / self.run_id / self.writer_id
