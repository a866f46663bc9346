"""One segment file of a journal: its header, its making, and its reading after anything may have happened.

docs/formats.md §1 is the contract. A reader here returns every record that was published, reports what is
damaged and never guesses: a record counts only if its CRC, started from its own sequence, is right.
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH108, PTH208

from __future__ import annotations

import mmap
import os
import struct
import time
import zlib

from deepevent.errors import RecordDamaged
from deepevent.wire import KIND_EVENT, RECORD_HEADER_SIZE, RECORD_MARK, is_ulid

SEGMENT_MAGIC = b"DEJ1"
SEGMENT_VERSION = 1
SEGMENT_HEADER_SIZE = 128
SEGMENT_SIZE = 1 << 20
SEGMENT_SIZE_LIMIT = 256 << 20  # what a reader believes; far above what any record can need
SEGMENT_HEADER = struct.Struct("<4sHHIiQd26s26s")  # ..., rank, first sequence, wall clock, run id, writer id
HEADER_CRC = struct.Struct("<I")
END_OFFSET = 88
END = struct.Struct("<Q")
PAGE = 4096
MADV_POPULATE_WRITE = 23  # Linux 5.14


def segment_name(number: int) -> str:
    """File name of segment `number`."""
    return f"{number:06d}.seg"


def segment_numbers(folder: str) -> list[int]:
    """Numbers of the segments in a writer's folder, rising."""
    return sorted(
        int(name[:-4]) for name in os.listdir(folder) if name.endswith(".seg") and name[:-4].isdecimal()
    )


def make_file(path: str, size: int) -> mmap.mmap:
    """Reserve a file of zeros on disk and map it.

    Raises:
        OSError: the disk is full, the folder cannot be written, …; nothing is left behind.
    """
    if os.path.lexists(path):  # left by somebody who was killed; never truncated: it may still be mapped
        os.unlink(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
            os.pwrite(descriptor, bytes(size), 0)
        return mmap.mmap(descriptor, size)
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(descriptor)


_NOT_SUPPORTED = (22, 95)  # EINVAL, EOPNOTSUPP: file systems without reservation


def touch_pages(mapping: mmap.mmap) -> None:
    """Have the kernel make the pages ready now, so that no log call waits for a page fault."""
    try:
        mapping.madvise(MADV_POPULATE_WRITE)
    except OSError:
        for offset in range(0, len(mapping), PAGE):
            mapping[offset] = 0


def write_header(mapping: mmap.mmap, rank: int, first_sequence: int, run_id: str, writer_id: str) -> None:
    """Fill in the header of a fresh segment."""
    fields = SEGMENT_HEADER.pack(
        SEGMENT_MAGIC,
        SEGMENT_VERSION,
        SEGMENT_HEADER_SIZE,
        len(mapping),
        rank,
        first_sequence,
        time.time(),
        run_id.encode(),
        writer_id.encode(),
    )
    mapping[: len(fields) + 4] = fields + HEADER_CRC.pack(zlib.crc32(fields))


class SegmentHeader:
    """The header of a segment, checked."""

    __slots__ = ("end", "first_sequence", "rank", "run_id", "size", "writer_id")

    def __init__(self, data: bytes) -> None:
        """Read the first 128 bytes of a segment.

        Raises:
            RecordDamaged: they are not a segment header.
        """
        if len(data) < SEGMENT_HEADER_SIZE:
            raise RecordDamaged(f"its header has only {len(data)} bytes")
        magic, version, header_size, size, rank, first, _, run_id, writer_id = SEGMENT_HEADER.unpack_from(
            data
        )
        (crc,) = HEADER_CRC.unpack_from(data, SEGMENT_HEADER.size)
        if magic != SEGMENT_MAGIC or crc != zlib.crc32(data[: SEGMENT_HEADER.size]):
            raise RecordDamaged("its header is damaged")
        if version != SEGMENT_VERSION or header_size != SEGMENT_HEADER_SIZE:
            raise RecordDamaged(f"it has version {version}, and {SEGMENT_VERSION} is understood here")
        self.size: int = size
        self.rank: int = rank
        self.first_sequence: int = first
        self.run_id: str = run_id.decode("latin-1")
        self.writer_id: str = writer_id.decode("latin-1")
        self.end: int = END.unpack_from(data, END_OFFSET)[0]
        if not is_ulid(self.run_id) or not is_ulid(self.writer_id) or first < 1:
            raise RecordDamaged("its header has no proper ids")


class Span:
    """Whole records that follow one another: bytes `start` to `end` of a segment, verified."""

    __slots__ = ("end", "first_sequence", "n_records", "start")

    def __init__(self, start: int, end: int, first_sequence: int, n_records: int) -> None:
        self.start = start
        self.end = end
        self.first_sequence = first_sequence
        self.n_records = n_records


class Scan:
    """What a segment holds.

    Attributes:
        spans: verified records.
        damage: one sentence per damaged place.
        next_sequence: behind the last record that is known to have been published.
    """

    __slots__ = ("damage", "next_sequence", "spans")

    def __init__(self, first_sequence: int) -> None:
        self.spans: list[Span] = []
        self.damage: list[str] = []
        self.next_sequence = first_sequence


def check_record(data: bytes, offset: int, sequence: int, end: int) -> int:
    """Verify the record at `offset`.

    Returns:
        Its size, or 0 if what lies there is not the record with that sequence.
    """
    if end - offset < RECORD_HEADER_SIZE:
        return 0
    size, crc = RECORD_MARK.unpack_from(data, offset)
    if size < RECORD_HEADER_SIZE or size % 8 or size > end - offset:
        return 0
    if zlib.crc32(data[offset + 8 : offset + size], sequence & 0xFFFFFFFF) != crc:
        return 0
    kind = data[offset + 8]
    return int(size) if 1 <= kind <= KIND_EVENT and data[offset + 9] == 0 else 0


def scan_segment(data: bytes, first_sequence: int, closed_at: int) -> Scan:
    """Find every published record of a segment.

    Behind a damaged record the reader goes on only where the very next record proves itself: its CRC starts
    from its sequence, so a record that fits can be no other.

    Args:
        data: the whole file.
        first_sequence: sequence of its first record.
        closed_at: offset behind its last record, or 0 if the segment may end anywhere.
    """
    scan = Scan(first_sequence)
    end = closed_at if SEGMENT_HEADER_SIZE <= closed_at <= len(data) else len(data)
    start = offset = SEGMENT_HEADER_SIZE
    sequence = span_sequence = first_sequence
    while offset < end:
        size = check_record(data, offset, sequence, end)
        if size:
            offset += size
            sequence += 1
            continue
        if sequence > span_sequence:
            scan.spans.append(Span(start, offset, span_sequence, sequence - span_sequence))
        mark = data[offset : offset + 8]
        if closed_at == 0 and mark == bytes(len(mark)):  # nothing was published behind this
            start = offset
            span_sequence = sequence
            break
        size = int.from_bytes(mark[:4], "little")
        behind = offset + size
        scan.damage.append(f"record {sequence} at byte {offset} is damaged")
        follows = size >= RECORD_HEADER_SIZE and size % 8 == 0 and behind <= end
        if not follows or not (behind == end == closed_at or check_record(data, behind, sequence + 1, end)):
            scan.next_sequence = sequence + 1
            return scan
        sequence += 1
        start = offset = behind
        span_sequence = sequence
    if sequence > span_sequence:
        scan.spans.append(Span(start, offset, span_sequence, sequence - span_sequence))
    scan.next_sequence = sequence
    return scan
