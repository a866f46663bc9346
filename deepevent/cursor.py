"""A place in a writer's segments: reads whole records from there on, and forgets what is acknowledged.

The live shipper's way through the journal that its own process writes. It believes what it reads (decision
0003) and asks the journal where the current segment ends; an adopter of somebody else's journal verifies
every record and lives in `spool`.
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH108, PTH118, PTH123

from __future__ import annotations

import os
from itertools import pairwise

from deepevent.segment import (
    SEGMENT_HEADER_SIZE,
    SegmentHeader,
    segment_name,
    segment_numbers,
)
from deepevent.wire import BATCH_BODY_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deepevent.journal import Journal

ACKED_NAME = "acked"
SHIP_LIMIT_BYTES = 1 << 20  # a batch that compresses and commits quickly; one larger record still fits


class Piece:
    """Records read from one segment."""

    __slots__ = ("body", "first_sequence", "n_records")

    def __init__(self, first_sequence: int, n_records: int, body: bytes) -> None:
        self.first_sequence = first_sequence
        self.n_records = n_records
        self.body = body


class Cursor:
    """Where the shipper stands in a journal.

    Attributes:
        sequence: of the next record to send.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._folder = journal.folder
        self._number = 0
        self._offset = SEGMENT_HEADER_SIZE
        self.sequence = 1

    def read(self) -> Piece | None:
        """Read what follows, out of one segment; None if there is nothing."""
        number, offset, sequence = self._journal.snapshot()
        while self._number <= number:
            if self._number < number:
                end = self._closed_end(self._number)
                if self._offset >= end:
                    self._number += 1
                    self._offset = SEGMENT_HEADER_SIZE
                    continue
                behind = self._first_sequence(self._number + 1)
            else:
                end, behind = offset, sequence
            if self._offset >= end:
                return None
            return self._take(end, behind)
        return None

    def advance(self, piece: Piece) -> None:
        """Step behind a piece that was sent."""
        self.sequence = piece.first_sequence + piece.n_records
        self._offset += len(piece.body)

    def seek(self, sequence: int) -> bool:
        """Go to the record that the server expects; False if it lies in no segment that is still here."""
        number, offset, next_sequence = self._journal.snapshot()
        if not 1 <= sequence <= next_sequence:
            return False
        for candidate in reversed(segment_numbers(self._folder)):
            first = self._first_sequence(candidate)
            if first > sequence:
                continue
            end = offset if candidate == number else self._closed_end(candidate)
            data = self._bytes(candidate, SEGMENT_HEADER_SIZE, end)
            place = 0
            for _ in range(sequence - first):
                place += int.from_bytes(data[place : place + 4], "little")
            self._number, self._offset, self.sequence = candidate, SEGMENT_HEADER_SIZE + place, sequence
            return True
        return False

    def forget(self, acknowledged: int) -> None:
        """Delete the segments whose records are all acknowledged, but never the current one."""
        current = self._journal.snapshot()[0]
        numbers = segment_numbers(self._folder)
        for number, following in pairwise(numbers):
            if number >= min(current, self._number) or self._first_sequence(following) > acknowledged + 1:
                break
            os.unlink(os.path.join(self._folder, segment_name(number)))

    def note(self, acknowledged: int) -> None:
        """Write down what is acknowledged; it only saves work to whoever adopts this."""
        with open(os.path.join(self._folder, ACKED_NAME), "w", encoding="ascii") as file:
            file.write(str(acknowledged))

    def _take(self, end: int, behind: int) -> Piece:
        """Read up to the limit, whole records."""
        if end - self._offset <= min(SHIP_LIMIT_BYTES, BATCH_BODY_LIMIT):
            return Piece(self.sequence, behind - self.sequence, self._bytes(self._number, self._offset, end))
        data = self._bytes(self._number, self._offset, min(end, self._offset + BATCH_BODY_LIMIT))
        place = n = 0
        while place < len(data):
            size = int.from_bytes(data[place : place + 4], "little")
            if n and place + size > SHIP_LIMIT_BYTES:
                break
            place += size
            n += 1
        return Piece(self.sequence, n, data[:place])

    def _bytes(self, number: int, start: int, end: int) -> bytes:
        descriptor = os.open(os.path.join(self._folder, segment_name(number)), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, end - start, start)
        finally:
            os.close(descriptor)

    def _header(self, number: int) -> SegmentHeader:
        return SegmentHeader(self._bytes(number, 0, SEGMENT_HEADER_SIZE))

    def _first_sequence(self, number: int) -> int:
        return self._header(number).first_sequence

    def _closed_end(self, number: int) -> int:
        return self._header(number).end
