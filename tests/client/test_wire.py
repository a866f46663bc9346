from __future__ import annotations

import math
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepevent import wire
from deepevent.errors import BatchInvalid

RUN, WRITER = "0" * 26, "1" * 26
ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


def a_batch(n_points: int = 3) -> wire.Batch:
    records = [wire.build_event(1, {"type": "run"}), wire.build_shape(2, 0, ["a", "b"])]
    records += [wire.build_points(i + 3, 0, i, 1.5, [float(i), -0.0]) for i in range(n_points)]
    return wire.build_batch(RUN, WRITER, 1, records, rank=3, sent_at=12.5)


@given(
    st.lists(st.lists(ANY_FLOAT, min_size=2, max_size=2), max_size=40), st.booleans(), st.integers(0, 2**62)
)
@settings(max_examples=60, deadline=None)
def test_round_trip(rows: list[list[float]], compress: bool, first: int) -> None:
    """What is encoded is decoded, bit for bit, NaN and infinities included."""
    first += 1
    records = [wire.build_shape(first, 7, ["x", "ü/é"])]
    records += [wire.build_points(first + 1 + i, 7, i, 0.25, row) for i, row in enumerate(rows)]
    batch = wire.build_batch(RUN, WRITER, first, records, rank=-1, sent_at=1.0)
    decoded = wire.decode(wire.encode(batch, compress))
    assert decoded == batch
    shape, *points = wire.iter_records(decoded.body, first)
    assert shape.names == ("x", "ü/é")
    assert [struct.pack("<2d", *p.values) for p in points] == [struct.pack("<2d", *row) for row in rows]
    assert [p.sequence for p in points] == list(range(first + 1, first + 1 + len(rows)))


def test_heartbeat() -> None:
    """A batch without records is a heartbeat."""
    batch = wire.Batch(RUN, WRITER, 0, 9, 0, 1.0, b"")
    assert wire.decode(wire.encode(batch)) == batch
    assert batch.last_sequence == 8


@given(st.integers(0, 200), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_a_flipped_byte_is_never_believed(position: int, flip: int) -> None:
    """A changed byte of the magic, the sizes, the ids or the body is refused, or it changes a plain field."""
    data = bytearray(wire.encode(a_batch(20)))
    data[position] ^= flip
    try:
        decoded = wire.decode(bytes(data))
    except BatchInvalid:
        return
    plain_fields = (
        range(8, 20),
        range(28, 66 + 26),
        range(92, 128),
    )  # sequence, count, rank, clock, ids, zeros
    assert any(position in field for field in plain_fields)
    assert decoded.body == a_batch(20).body


@given(st.integers(0, 200))
@settings(max_examples=100, deadline=None)
def test_a_cut_batch_is_refused(length: int) -> None:
    """Half a batch is no batch."""
    data = wire.encode(a_batch(20))
    with pytest.raises(BatchInvalid):
        wire.decode(data[: min(length, len(data) - 1)])


@given(st.binary(max_size=300))
def test_rubbish_is_refused(data: bytes) -> None:
    """Bytes that are no batch raise BatchInvalid and nothing else."""
    with pytest.raises(BatchInvalid):
        wire.decode(data)


def test_a_bomb_does_not_go_off() -> None:
    """A body that inflates to more than its header announces is refused, without inflating it all."""
    bomb = zlib.compress(bytes(50_000_000), 9)
    data = bytearray(wire.encode(a_batch()))
    data[5] = wire.COMPRESSION_ZLIB
    with pytest.raises(BatchInvalid, match="announces a body"):
        wire.decode(bytes(data[:128]) + bomb)
    struct.pack_into("<I", data, 20, 50_000_000)
    with pytest.raises(BatchInvalid, match="may have"):
        wire.decode(bytes(data[:128]) + bomb)


@pytest.mark.parametrize(
    ("offset", "kind", "value", "said"),
    [
        (0, "4s", b"XEB1", "starts with"),
        (4, "B", 2, "version"),
        (5, "B", 9, "compression"),
        (8, "Q", 0, "sequences"),
        (8, "Q", 2**63, "sequences"),
        (16, "I", 0, "cannot lie"),
        (16, "I", 4_000_000, "cannot lie"),
        (24, "I", 5, "CRC32"),
        (32, "d", math.nan, "clock"),
        (40, "26s", b"U" * 26, "run id"),
        (66, "26s", b"../../../../etc/passwd0000", "writer id"),
    ],
)
def test_each_header_field_is_checked(offset: int, kind: str, value: object, said: str) -> None:
    """A header that cannot be is refused with a sentence that names what is wrong."""
    data = bytearray(wire.encode(a_batch(), compress=False))
    struct.pack_into(f"<{kind}", data, offset, value)
    with pytest.raises(BatchInvalid, match=said):
        wire.decode(bytes(data))


def test_records_are_read_strictly() -> None:
    """A record with a wrong size, CRC, kind or content is refused."""
    good = wire.build_event(1, {"type": "x"})
    with pytest.raises(BatchInvalid, match="CRC32"):
        list(wire.iter_records(good, 2))
    with pytest.raises(BatchInvalid, match="size"):
        list(wire.iter_records(struct.pack("<IIQ", 17, 0, 0), 1))
    for rest, said in (
        (struct.pack("<HHI", 9, 0, 0) + b"        ", "kind"),
        (struct.pack("<HHI", 3, 0, 2) + b"[]      ", "object"),
        (struct.pack("<HHI", 3, 0, 2) + b"{]      ", "JSON"),
        (struct.pack("<HHI", 2, 0, 0) + b"[1]     ", "names"),
        (struct.pack("<HHI", 1, 4, 0) + bytes(24), "points"),
    ):
        record = struct.pack("<II", len(rest) + 8, zlib.crc32(rest, 1)) + rest
        with pytest.raises(BatchInvalid, match=said):
            list(wire.iter_records(record, 1))


@given(NAME)
@settings(deadline=None)
def test_any_name_survives(name: str) -> None:
    """Metric names of any script come back as they were."""
    (record,) = wire.iter_records(wire.build_shape(1, 0, [name]), 1)
    assert record.names == (name,)


def test_json_has_no_bare_nan() -> None:
    """Non-finite numbers in events are strings, and integers that JavaScript cannot hold are strings too."""
    (record,) = wire.iter_records(wire.build_event(1, {"v": [math.nan, math.inf, -math.inf, 2**53 + 1]}), 1)
    assert record.event == {"v": ["NaN", "Infinity", "-Infinity", "9007199254740993"]}
