"""Records of a damaged segment: everything that proves itself, and an honest filler for everything else.

The server wants sequences without a gap. So a record that is lost is replaced by a `dropped` event with its
sequence: the run's page then says how much is missing. Pure: bytes in, records out.
"""

from __future__ import annotations

import time
from struct import Struct

from deepevent.segment import Scan
from deepevent.wire import KIND_POINTS, KIND_SHAPE, RECORD_HEADER, RECORD_MARK, build_event, build_shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Names = list[str]

REASON = "damaged in the spool"
_SIZE = Struct("<I")


def iter_verified(data: bytes, scan: Scan) -> Iterator[tuple[int, bytes]]:
    """Yield sequence and bytes of each record that the scan has verified."""
    for span in scan.spans:
        offset = span.start
        for sequence in range(span.first_sequence, span.first_sequence + span.n_records):
            (size,) = _SIZE.unpack_from(data, offset)
            yield sequence, data[offset : offset + size]
            offset += size


def shapes_of(data: bytes, scan: Scan) -> dict[int, Names]:
    """Metric names by shape id, of the shapes that a segment declares."""
    import json

    shapes = {}
    for _, record in iter_verified(data, scan):
        _, _, kind, _, shape_id = RECORD_HEADER.unpack_from(record)
        if kind == KIND_SHAPE:
            shapes[shape_id] = json.loads(record[RECORD_HEADER.size :])
    return shapes


def salvage(
    data: bytes, scan: Scan, first: int, behind: int, find_shape: Callable[[int], Names | None]
) -> list[bytes]:
    """Make the records `first` to `behind - 1` out of a damaged segment.

    Args:
        data: the segment.
        scan: what was found in it.
        first: sequence of the first record wanted.
        behind: sequence behind the last one.
        find_shape: names of a shape that this segment's damage has swallowed, out of another segment.
    """
    kept = {sequence: record for sequence, record in iter_verified(data, scan) if first <= sequence < behind}
    declared: set[int] = set()
    lost = set(range(first, behind)) - set(kept)
    replaced: dict[int, bytes] = {}
    for sequence in sorted(kept):
        _, _, kind, _, shape_id = RECORD_HEADER.unpack_from(kept[sequence])
        if kind == KIND_SHAPE:
            declared.add(shape_id)
        elif kind == KIND_POINTS and shape_id not in declared:
            names = find_shape(shape_id)
            place = min((s for s in lost - set(replaced) if s < sequence), default=None)
            if names is None or place is None:  # nobody knows what these numbers are
                lost.add(sequence)
                continue
            replaced[place] = build_shape(place, shape_id, names)
            declared.add(shape_id)
    n_lost = len(lost) - len(replaced)
    records = []
    for sequence in range(first, behind):
        if sequence in replaced:
            records.append(replaced[sequence])
        elif sequence in lost:
            records.append(_filler(sequence, n_lost))
            n_lost = 0
        else:
            records.append(kept[sequence])
    return records


def _filler(sequence: int, count: int) -> bytes:
    """The first filler counts all; the others only hold the place."""
    return build_event(sequence, {"type": "dropped", "count": count, "reason": REASON, "time": time.time()})


def record_size(record: bytes) -> int:
    """Size that a record's mark tells."""
    return int(RECORD_MARK.unpack_from(record)[0])
