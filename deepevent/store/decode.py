"""Reads the body of a batch into columns.

One pass in Python over the record marks (about 50 ns a record, and none where equal records follow
each other), then NumPy gathers all values of a shape at once. Checks everything that can be checked
without the database, so that a batch is either taken whole or refused whole. Knows the record format
of docs/formats.md §1 and what events may hold; knows no tables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from deepevent.errors import BatchInvalid
from deepevent.store import events
from deepevent.store.blocks import Float64, Int64
from deepevent.wire import EVENT_TEXT_LIMIT, KIND_EVENT, KIND_POINTS, KIND_SHAPE, Batch

Words = npt.NDArray[np.uint64]

_HEADER_WORDS = 2  # record header, in 8-byte words
_POINT_WORDS = 2  # step and time
_RUN_FROM = 4  # after so many records of one size, look how far that goes on


@dataclass(frozen=True, slots=True)
class Rows:
    """All points records of one shape.

    Attributes:
        names: metric names, one per column of `values`.
        positions: (K,) which record of the batch each row was, rising.
        steps: (K,) int64.
        times: (K,) float64.
        values: (K, len(names)) float64.
    """

    names: tuple[str, ...]
    positions: Int64
    steps: Int64
    times: Float64
    values: Float64


@dataclass(slots=True)
class Content:
    """What a batch holds, apart from what was committed before it."""

    rows: list[Rows] = field(default_factory=list)
    events: list[events.Event] = field(default_factory=list)
    shapes: dict[int, tuple[str, ...]] = field(default_factory=dict)  # new ones


def decode_body(batch: Batch, skip: int, shapes: Mapping[int, tuple[str, ...]]) -> Content:
    """Read all records of `batch` but the first `skip`, which are known already.

    Args:
        batch: checked as far as `wire.decode` does.
        skip: number of records that are committed.
        shapes: the writer's shapes before this batch.

    Raises:
        BatchInvalid: a record is not what docs/formats.md says.
    """
    body = batch.body
    if len(body) % 8:
        raise BatchInvalid(f"a batch's body is a multiple of 8 bytes, got {len(body)}")
    offsets = _walk(body, batch.n_records)
    words = np.frombuffer(body, "<u8")
    marks = words[offsets[:-1]]
    heads = words[offsets[:-1] + 1]
    kinds = (heads & 0xFFFF).astype(np.int64)
    kinds[:skip] = -1
    content = Content()
    known = dict(shapes)
    where = _Where(batch)
    born: dict[int, int] = {}  # shape → the record of this batch that brought it
    for position in np.flatnonzero(kinds == KIND_SHAPE).tolist():
        start, stop = int(offsets[position]) + _HEADER_WORDS, int(offsets[position + 1])
        shape = int(heads[position]) >> 32
        names = _read_shape(body[start * 8 : stop * 8], where, position)
        if known.setdefault(shape, names) != names:
            where.refuse(position, f"gives shape {shape} another meaning")
        if shape not in shapes and shape not in content.shapes:
            content.shapes[shape] = names
            born[shape] = position
    for position in np.flatnonzero(kinds == KIND_EVENT).tolist():
        start, stop = (int(offsets[position]) + _HEADER_WORDS) * 8, int(offsets[position + 1]) * 8
        length = int(heads[position]) >> 32
        if length > min(stop - start, EVENT_TEXT_LIMIT):
            where.refuse(position, f"announces an event of {length} bytes in {stop - start}")
        content.events.append(_read_event(body[start : start + length], where, position))
    points = np.flatnonzero(kinds == KIND_POINTS)
    unknown = np.flatnonzero((kinds[skip:] < KIND_POINTS) | (kinds[skip:] > KIND_EVENT))
    if len(unknown):
        position = int(unknown[0]) + skip
        where.refuse(position, f"has the unknown kind {kinds[position]}")
    if len(points):
        # In the order of first use, so that metrics are made in the order in which they were logged.
        used = (heads[points] >> 32).astype(np.int64)
        for shape in dict.fromkeys(used.tolist()) if len(points) < 64 else _by_first_use(used):
            rows = points[used == shape]
            if shape not in known or born.get(shape, -1) > rows[0]:
                where.refuse(int(rows[0]), f"uses shape {shape}, which no record before it brought")
            content.rows.append(_gather(words, offsets, marks, heads, rows, known[shape], where))
    return content


@dataclass(frozen=True, slots=True)
class _Where:
    batch: Batch

    def refuse(self, position: int, complaint: str) -> NoReturn:
        raise BatchInvalid(
            f"record {self.batch.first_sequence + position} of writer {self.batch.writer_id} {complaint}"
        )


def _walk(body: bytes, n_records: int) -> Int64:
    """Return (n_records + 1,) where each record starts, in 8-byte words, and where the last one ends."""
    marks = memoryview(body).cast("Q")
    words = np.frombuffer(body, "<u8")
    end, offset, before, same = len(marks), 0, 0, 0
    starts: list[int] = []
    parts: list[Int64] = []
    append = starts.append
    while offset < end:
        size = marks[offset] & 0xFFFFFFFF
        if size < 16 or size & 7 or offset + (size >> 3) > end:
            raise BatchInvalid(f"a record at byte {offset * 8} cannot have a size of {size} bytes")
        append(offset)
        step = size >> 3
        if step != before:
            before, same = step, 0
        else:
            same += 1
            if same >= _RUN_FROM:
                n = _equal_records(words, offset, step, size)
                if n > 1:
                    parts += [np.array(starts, np.int64), np.arange(1, n) * step + offset]
                    starts.clear()
                    offset += (n - 1) * step
                same = -2 * _RUN_FROM if n < 2 * _RUN_FROM else 0
        offset += step
    parts += [np.array(starts, np.int64), np.array([offset], np.int64)]
    offsets = np.concatenate(parts)
    if len(offsets) - 1 != n_records:
        raise BatchInvalid(f"the header announces {n_records} records, the body holds {len(offsets) - 1}")
    return offsets


def _equal_records(words: Words, offset: int, step: int, size: int) -> int:
    """Count the records of one size from `offset` on, looking ahead no further than four times the count."""
    n, window = 1, 64
    while True:
        stop = min(len(words) - step + 1, offset + (n + window) * step)
        others = words[offset + n * step : stop : step].astype(np.uint32) != size
        if not len(others):
            return n
        if others.any():
            return n + int(others.argmax())
        n += len(others)
        window *= 4


def _by_first_use(used: Int64) -> list[int]:
    shapes, first = np.unique(used, return_index=True)
    return [int(shape) for shape in shapes[np.argsort(first)]]


def _gather(
    words: Words,
    offsets: Int64,
    marks: Words,
    heads: Words,
    rows: Int64,
    names: tuple[str, ...],
    where: _Where,
) -> Rows:
    n = len(names)
    width = _POINT_WORDS + n
    wrong = ((marks[rows] & np.uint64(0xFFFFFFFF)) != (_HEADER_WORDS + width) * 8) | (
        ((heads[rows] >> np.uint64(16)) & np.uint64(0xFFFF)) != n
    )
    if wrong.any():
        where.refuse(int(rows[wrong.argmax()]), f"does not hold the {n} values of its shape")
    starts = offsets[rows] + _HEADER_WORDS
    if len(rows) > 1 and (np.diff(starts) == width + _HEADER_WORDS).all():
        stretch = words[starts[0] - _HEADER_WORDS : starts[-1] + width]
        table = stretch.reshape(len(rows), -1)[:, _HEADER_WORDS:]
    else:
        table = words[starts[:, None] + np.arange(width)]
    steps = np.ascontiguousarray(table[:, 0]).view(np.int64)
    times = np.ascontiguousarray(table[:, 1]).view(np.float64)
    if steps.min() < 0:
        where.refuse(int(rows[(steps < 0).argmax()]), f"has the step {steps.min()}; steps start at 0")
    if not np.isfinite(times).all():
        where.refuse(int(rows[(~np.isfinite(times)).argmax()]), "has no finite time")
    columns = np.ascontiguousarray(table[:, _POINT_WORDS:].T)
    return Rows(names, rows, steps, times, columns.view(np.float64).T)


def _read_shape(text: bytes, where: _Where, position: int) -> tuple[str, ...]:
    names = _read_json(text, where, position)
    if not isinstance(names, list) or not names:
        where.refuse(position, "is a shape, and must be a list of metric names")
    for name in names:
        problem = events.name_problem(name)
        if problem:
            where.refuse(position, f"has a metric name that {problem}")
    if len(set(names)) != len(names):
        where.refuse(position, "names a metric twice")
    return tuple(names)


def _read_event(text: bytes, where: _Where, position: int) -> events.Event:
    try:
        return events.check(_read_json(text, where, position))
    except events.EventInvalid as error:
        where.refuse(position, str(error))


def _read_json(text: bytes, where: _Where, position: int) -> object:
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        where.refuse(position, f"is not JSON: {error}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} must be written as a string")
