"""The batch format that client and server share, and the records inside it.

docs/formats.md §1 and §2 are the contract; this file is its only implementation in Python, apart from the
store's vectorised reader. It must not know where records come from (the journal) or where they go (the
store), and it imports nothing slow, because every `deepevent log` in a shell script pays for it.
"""

from __future__ import annotations

import math
import struct
import time
import zlib

from deepevent.errors import BatchInvalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BATCH_MAGIC = b"DEB1"
BATCH_VERSION = 1
BATCH_HEADER_SIZE = 128
BATCH_BODY_LIMIT = 8 << 20
COMPRESSION_NONE = 0
COMPRESSION_ZLIB = 1
COMPRESS_FROM_BYTES = 2048  # below this, zlib costs more than the bytes it saves on any network
CONTENT_TYPE = "application/vnd.deepevent.batch"

KIND_POINTS = 1
KIND_SHAPE = 2
KIND_EVENT = 3
RECORD_HEADER_SIZE = 16
POINTS_FIXED_SIZE = RECORD_HEADER_SIZE + 16  # header, step, time
EVENT_TEXT_LIMIT = 1 << 20
NAMES_PER_SHAPE_LIMIT = 0xFFFF  # a points record counts its values in a u16

RECORD_MARK = struct.Struct("<II")  # size, CRC32: written last, as one aligned store
RECORD_HEADER = struct.Struct("<IIHHI")  # size, CRC32, kind, points, shape id or text length
RECORD_REST = struct.Struct("<HHI")  # kind, points, shape id or text length
POINTS_HEAD = struct.Struct("<HHIqd")  # kind, points, shape id, step, time
BATCH_HEADER = struct.Struct("<4sBBHQIIIid26s26s36x")

ULID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ULID_BYTES = frozenset(ULID_ALPHABET.encode())


class Batch:
    """A run of whole journal records of one writer, checked.

    Attributes:
        run_id: 26 characters.
        writer_id: 26 characters.
        rank: the writer's rank.
        first_sequence: sequence of the first record (of the next one, in a heartbeat).
        n_records: number of records; 0 is a heartbeat.
        sent_at: the client's clock when it sent this, seconds since 1970.
        body: the records, uncompressed.
    """

    # A dataclass in all but name: importing `dataclasses` alone would double the start of `deepevent log`.
    __slots__ = ("body", "first_sequence", "n_records", "rank", "run_id", "sent_at", "writer_id")

    def __init__(
        self,
        run_id: str,
        writer_id: str,
        rank: int,
        first_sequence: int,
        n_records: int,
        sent_at: float,
        body: bytes,
    ) -> None:
        self.run_id = run_id
        self.writer_id = writer_id
        self.rank = rank
        self.first_sequence = first_sequence
        self.n_records = n_records
        self.sent_at = sent_at
        self.body = body

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Batch):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((self.run_id, self.writer_id, self.first_sequence, self.n_records))

    def __repr__(self) -> str:
        return (
            f"Batch(run_id={self.run_id!r}, writer_id={self.writer_id!r}, rank={self.rank}, "
            f"first_sequence={self.first_sequence}, n_records={self.n_records}, body={len(self.body)} bytes)"
        )

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record; `first_sequence - 1` in a heartbeat."""
        return self.first_sequence + self.n_records - 1


class Record:
    """One record as `iter_records` yields it.

    Attributes:
        sequence: its place in the writer's order.
        kind: KIND_POINTS, KIND_SHAPE or KIND_EVENT.
        shape_id: points and shape records.
        step, time, values: points records.
        names: shape records.
        event: event records.
    """

    __slots__ = ("event", "kind", "names", "sequence", "shape_id", "step", "time", "values")

    def __init__(
        self,
        sequence: int,
        kind: int,
        shape_id: int = -1,
        step: int = 0,
        time: float = 0.0,
        values: tuple[float, ...] = (),
        names: tuple[str, ...] = (),
        event: dict[str, object] | None = None,
    ) -> None:
        self.sequence = sequence
        self.kind = kind
        self.shape_id = shape_id
        self.step = step
        self.time = time
        self.values = values
        self.names = names
        self.event = event

    def __repr__(self) -> str:
        return f"Record(sequence={self.sequence}, kind={self.kind})"


def is_ulid(text: str) -> bool:
    """Say whether `text` is a run or writer id: 26 lower-case characters of Crockford's base 32."""
    return len(text) == 26 and text.isascii() and _ULID_BYTES.issuperset(text.encode())


def encode(batch: Batch, compress: bool = True) -> bytes:
    """Make the bytes of `POST /api/v1/ingest`.

    Args:
        batch: what to send; `sent_at` is taken as it is.
        compress: use zlib level 1 where it pays.
    """
    body = batch.body
    compression, sent = COMPRESSION_NONE, body
    if compress and len(body) > COMPRESS_FROM_BYTES:
        packed = zlib.compress(body, 1)
        if len(packed) < len(body):
            compression, sent = COMPRESSION_ZLIB, packed
    header = BATCH_HEADER.pack(
        BATCH_MAGIC,
        BATCH_VERSION,
        compression,
        BATCH_HEADER_SIZE,
        batch.first_sequence,
        batch.n_records,
        len(body),
        zlib.crc32(body),
        batch.rank,
        batch.sent_at,
        batch.run_id.encode(),
        batch.writer_id.encode(),
    )
    return header + sent


def decode(data: bytes | memoryview, limit_bytes: int = BATCH_BODY_LIMIT) -> Batch:
    """Read a batch and check all that its header promises; the records inside stay unread.

    Never decompresses more than the header announces, and never more than `limit_bytes`.

    Raises:
        BatchInvalid: with one sentence, for anything that is not exactly a batch.
    """
    if len(data) < BATCH_HEADER_SIZE:
        raise BatchInvalid(f"a batch has a header of {BATCH_HEADER_SIZE} bytes, got {len(data)} bytes in all")
    fields = BATCH_HEADER.unpack_from(data)
    magic, version, compression, header_size, first_sequence, n_records, size, crc, rank, sent_at = fields[
        :10
    ]
    if magic != BATCH_MAGIC:
        raise BatchInvalid(f"a batch starts with {BATCH_MAGIC!r}, got {magic!r}")
    if version != BATCH_VERSION or header_size != BATCH_HEADER_SIZE:
        raise BatchInvalid(
            f"batch version {BATCH_VERSION} with a header of {BATCH_HEADER_SIZE} bytes is understood here, "
            f"got version {version} with {header_size} bytes"
        )
    run_id, writer_id = _read_id("run", fields[10]), _read_id("writer", fields[11])
    if first_sequence < 1 or first_sequence + n_records > 1 << 63:
        raise BatchInvalid(
            f"sequences lie between 1 and 2**63 - 1, got {first_sequence} + {n_records} records"
        )
    if size > limit_bytes:
        raise BatchInvalid(f"a batch's body may have {limit_bytes} bytes, this one announces {size}")
    if size < n_records * RECORD_HEADER_SIZE or (n_records == 0) != (size == 0):
        raise BatchInvalid(f"{n_records} records cannot lie in a body of {size} bytes")
    if not math.isfinite(sent_at):
        raise BatchInvalid(f"the client's clock must be a finite number, got {sent_at}")
    body = _read_body(compression, bytes(data[BATCH_HEADER_SIZE:]), size)
    if zlib.crc32(body) != crc:
        raise BatchInvalid("the batch's CRC32 does not fit its body: it was damaged on its way")
    return Batch(run_id, writer_id, rank, first_sequence, n_records, sent_at, body)


def _read_id(what: str, raw: bytes) -> str:
    text = raw.decode("latin-1")
    if not is_ulid(text):
        raise BatchInvalid(f"a {what} id has 26 lower-case characters of Crockford's base 32, got {text!r}")
    return text


def _read_body(compression: int, sent: bytes, size: int) -> bytes:
    if compression == COMPRESSION_NONE:
        body = sent
    elif compression == COMPRESSION_ZLIB:
        inflater = zlib.decompressobj()
        try:
            body = inflater.decompress(sent, size + 1)
        except zlib.error as error:
            raise BatchInvalid(f"the batch's body is not a zlib stream: {error}") from None
        if len(body) == size and (not inflater.eof or inflater.unused_data):
            raise BatchInvalid("the batch's zlib stream is cut off or followed by something else")
    else:
        raise BatchInvalid(f"compression 0 (none) and 1 (zlib) are understood here, got {compression}")
    if len(body) != size:
        found = "more" if len(body) > size else len(body)
        raise BatchInvalid(f"the header announces a body of {size} bytes, and it has {found}")
    return body


# ---- Building records (tests, importers, fillers; the journal's hot path packs by itself) ----


def _seal(sequence: int, rest: bytes) -> bytes:
    """Put the size and the CRC in front of a record's bytes from 8 on."""
    return RECORD_MARK.pack(len(rest) + 8, zlib.crc32(rest, sequence & 0xFFFFFFFF)) + rest


def build_points(sequence: int, shape_id: int, step: int, time: float, values: Sequence[float]) -> bytes:
    """Make a points record of one `log` call."""
    n = len(values)
    rest = POINTS_HEAD.pack(KIND_POINTS, n, shape_id, step, time) + struct.pack(f"<{n}d", *values)
    return _seal(sequence, rest)


def build_shape(sequence: int, shape_id: int, names: Sequence[str]) -> bytes:
    """Make a shape record: it says which names the values of `shape_id` have."""
    from deepevent.jsontext import dumps

    text = dumps(list(names)).encode()
    return _seal(sequence, RECORD_REST.pack(KIND_SHAPE, 0, shape_id) + _pad(text))


def build_event(sequence: int, event: Mapping[str, object]) -> bytes:
    """Make an event record.

    Raises:
        BatchInvalid: the event is longer than 1 MiB as JSON.
    """
    from deepevent.jsontext import dumps

    text = dumps(event).encode()
    if len(text) > EVENT_TEXT_LIMIT:
        raise BatchInvalid(f"an event may have {EVENT_TEXT_LIMIT} bytes as JSON, this one has {len(text)}")
    return _seal(sequence, RECORD_REST.pack(KIND_EVENT, 0, len(text)) + _pad(text))


def _pad(text: bytes) -> bytes:
    return text + b" " * (-len(text) % 8)


def build_batch(
    run_id: str,
    writer_id: str,
    first_sequence: int,
    records: Sequence[bytes],
    rank: int = 0,
    sent_at: float | None = None,
) -> Batch:
    """Put records that were built with consecutive sequences into a batch."""
    now = time.time() if sent_at is None else sent_at
    return Batch(run_id, writer_id, rank, first_sequence, len(records), now, b"".join(records))


def iter_records(body: bytes, first_sequence: int) -> Iterator[Record]:
    """Read records one by one, strictly.

    Raises:
        BatchInvalid: a size, kind, CRC or content is not what docs/formats.md says.
    """
    offset, sequence, end = 0, first_sequence, len(body)
    while offset < end:
        where = f"record {sequence} at byte {offset}"
        if end - offset < RECORD_HEADER_SIZE:
            raise BatchInvalid(f"{where} is cut off")
        size, crc = RECORD_MARK.unpack_from(body, offset)
        if size < RECORD_HEADER_SIZE or size % 8 or size > end - offset:
            raise BatchInvalid(f"{where} cannot have a size of {size} bytes")
        rest = body[offset + 8 : offset + size]
        if zlib.crc32(rest, sequence & 0xFFFFFFFF) != crc:
            raise BatchInvalid(f"{where} does not fit its CRC32")
        yield _read_record(sequence, rest, where)
        offset += size
        sequence += 1


def _read_record(sequence: int, rest: bytes, where: str) -> Record:
    """Read a record whose size and CRC are right."""
    kind, n, extra = RECORD_REST.unpack_from(rest)
    payload = rest[RECORD_REST.size :]
    if kind == KIND_POINTS:
        if len(payload) != 16 + 8 * n or n == 0:
            raise BatchInvalid(f"{where} cannot hold {n} points in {len(rest) + 8} bytes")
        step, when, *values = struct.unpack(f"<qd{n}d", payload)
        return Record(sequence, kind, shape_id=extra, step=step, time=when, values=tuple(values))
    if kind not in (KIND_SHAPE, KIND_EVENT):
        raise BatchInvalid(f"{where} has the unknown kind {kind}")
    import json

    try:
        content = json.loads(payload if kind == KIND_SHAPE else payload[:extra])
    except ValueError as error:
        raise BatchInvalid(f"{where} is not JSON: {error}") from None
    if kind == KIND_EVENT:
        if not isinstance(content, dict):
            raise BatchInvalid(f"{where} must be a JSON object")
        return Record(sequence, kind, event=content)
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        raise BatchInvalid(f"{where} must be a list of metric names")
    return Record(sequence, kind, shape_id=extra, names=tuple(content))
