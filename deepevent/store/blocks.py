"""Turns columns of points into bytes and back, bit for bit. Pure: knows no database.

The format is in docs/formats.md §3. pcodec compresses 4,096 numbers of a training curve to about
a quarter; short columns are left as they are, since its header would outweigh them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pcodec import ChunkConfig, standalone

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

BLOCK_POINTS = 4096
RAW_BELOW = 64
_RAW, _PCODEC = b"\x00", b"\x01"
_FAST = ChunkConfig(compression_level=4)
_SMALL = ChunkConfig(compression_level=8)


@dataclass(frozen=True, slots=True)
class Points:
    """Consecutive points of one metric in order of arrival.

    Attributes:
        first_index: index of the first of them among all points of the metric.
        steps: (N,) int64.
        times: (N,) float64, seconds since 1970.
        values: (N,) float64.
    """

    first_index: int
    steps: Int64
    times: Float64
    values: Float64

    def __len__(self) -> int:
        return len(self.steps)

    @staticmethod
    def empty(first_index: int = 0) -> Points:
        """No points."""
        return Points(first_index, np.empty(0, np.int64), np.empty(0), np.empty(0))

    @staticmethod
    def join(parts: Iterable[Points]) -> Points:
        """Join parts that follow each other."""
        listed = list(parts)
        if not listed:
            return Points.empty()
        if len(listed) == 1:
            return listed[0]
        return Points(
            listed[0].first_index,
            np.concatenate([part.steps for part in listed]),
            np.concatenate([part.times for part in listed]),
            np.concatenate([part.values for part in listed]),
        )

    def slice(self, start: int, stop: int) -> Points:
        """Return the points with indices in `[start, stop)`, indices being those of the metric."""
        a, b = max(0, start - self.first_index), max(0, stop - self.first_index)
        return Points(self.first_index + a, self.steps[a:b], self.times[a:b], self.values[a:b])


def encode(column: Int64 | Float64, thorough: bool = False) -> bytes:
    """Encode one column; `thorough` spends about twice the time for a few per cent less."""
    if len(column) < RAW_BELOW:
        return _RAW + column.tobytes()
    config = _SMALL if thorough else _FAST
    packed: bytes = standalone.simple_compress(np.ascontiguousarray(column), config)
    return _PCODEC + packed


def decode_steps(data: bytes) -> Int64:
    """Decode a column of int64."""
    column: Int64 = _decode(data, np.dtype("<i8"))
    return column


def decode_floats(data: bytes) -> Float64:
    """Decode a column of float64."""
    column: Float64 = _decode(data, np.dtype("<f8"))
    return column


def _decode(data: bytes, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if data[:1] == _RAW:
        return np.frombuffer(data, dtype, offset=1)
    if data[:1] != _PCODEC:
        raise ValueError(f"a column starts with 0 (raw) or 1 (pcodec), got {data[:1]!r}")
    column: npt.NDArray[Any] | None = standalone.simple_decompress(data[1:])
    if column is None or column.dtype != dtype:
        raise ValueError(f"a column of {dtype} was expected, got {None if column is None else column.dtype}")
    return column
