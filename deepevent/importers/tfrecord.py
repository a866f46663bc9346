"""TensorFlow's record files and protocol buffers, as far as event files need them; standard library only.

A record file is a row of `u64 length, u32 masked CRC32C of the length, data, u32 masked CRC32C of the data`.
A message is a row of fields: a varint of `number << 3 | kind`, then a varint (0), eight bytes (1), a length
and so many bytes (2), or four bytes (5).

Source: TensorFlow's `record_writer.cc` and the wire format of protobuf.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    Field = tuple[int, int | bytes]

RECORD_LIMIT_BYTES = 1 << 30  # what a reader believes of a length
POLYNOMIAL = 0x82F63B78  # Castagnoli's, reflected
MASK_DELTA = 0xA282EAD8
VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5


class RecordBroken(ValueError):
    """A record or message is not what it should be; what comes after it cannot be found."""


def _make_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _make_table()


def masked_crc32c(data: bytes) -> int:
    """Return the checksum that record files carry."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


def read_records(file: BinaryIO) -> Iterator[bytes]:
    """Yield the data of each record; a last one that is still being written ends the file.

    Raises:
        RecordBroken: a checksum is wrong.
    """
    place = 0
    while len(head := file.read(12)) == 12:
        (size,) = struct.unpack_from("<Q", head)
        if masked_crc32c(head[:8]) != struct.unpack_from("<I", head, 8)[0] or size > RECORD_LIMIT_BYTES:
            raise RecordBroken(f"the record at byte {place} has a broken length")
        data, tail = file.read(size), file.read(4)
        if len(data) < size or len(tail) < 4:
            return
        if masked_crc32c(data) != struct.unpack("<I", tail)[0]:
            raise RecordBroken(f"the record at byte {place} has a broken checksum")
        yield data
        place += size + 16


def write_record(data: bytes) -> bytes:
    """Return a record of the file, for whoever writes one."""
    head = struct.pack("<Q", len(data))
    checks = struct.pack("<I", masked_crc32c(head)), struct.pack("<I", masked_crc32c(data))
    return head + checks[0] + data + checks[1]


def fields(message: bytes) -> Iterator[Field]:
    """Yield number and content of each field: an int of a varint, else its bytes.

    Raises:
        RecordBroken: the message ends in the middle of a field, or has a kind that is none.
    """
    place, end = 0, len(message)
    while place < end:
        key, place = _varint(message, place)
        kind = key & 7
        if kind == VARINT:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == LENGTH:
            size, place = _varint(message, place)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            size = 8 if kind == EIGHT_BYTES else 4
        else:
            raise RecordBroken(f"a field has the unknown kind {kind}")
        if place + size > end:
            raise RecordBroken("a field is longer than its message")
        yield key >> 3, message[place : place + size]
        place += size


def signed(value: int | bytes) -> int:
    """Return an int64 of a varint, which is sent as two's complement."""
    number = value if isinstance(value, int) else int.from_bytes(value, "little")
    return number - (1 << 64) if number >> 63 else number


def floats(value: int | bytes, code: str) -> list[float]:
    """Return packed numbers of `struct`'s code `f` or `d`, or the one that stands alone.

    Raises:
        RecordBroken: the bytes are no whole number of them.
    """
    size = struct.calcsize(f"<{code}")
    if not isinstance(value, bytes) or len(value) % size:
        raise RecordBroken("packed numbers do not fill their bytes")
    return list(struct.unpack(f"<{len(value) // size}{code}", value))


def text(value: int | bytes) -> str:
    """Return text, with a mark where it is no UTF-8."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message) and shift < 70:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, place
        shift += 7
    raise RecordBroken("a number does not end")
