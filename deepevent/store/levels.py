"""Levels of detail: sums up points and buckets. Pure: knows no database.

A bucket stands for consecutive points of a metric in order of arrival. It keeps what a drawing
needs (first and last point, extremes at their own step and time) and what must never vanish (how
many NaN and infinities). The format is in docs/formats.md §4; why buckets start at 256 points is
decision 0002.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deepevent.store.blocks import Float64, Int64, Points, decode_floats, decode_steps, encode

FINEST = 256
FAN_OUT = 16
ROW_BUCKETS = 256  # buckets in one row of the table `levels`
MAX_LEVEL = 8  # 256 · 16⁷ points in a bucket: more than anybody logs

BUCKET = np.dtype(
    [
        ("first_step", "<i8"),
        ("last_step", "<i8"),
        ("first_time", "<f8"),
        ("last_time", "<f8"),
        ("count", "<i8"),
        ("first", "<f8"),
        ("last", "<f8"),
        ("min", "<f8"),
        ("min_step", "<i8"),
        ("min_time", "<f8"),
        ("max", "<f8"),
        ("max_step", "<i8"),
        ("max_time", "<f8"),
        ("mean", "<f8"),
        ("nan", "<i8"),
        ("positive_infinity", "<i8"),
        ("negative_infinity", "<i8"),
    ]
)
Buckets = npt.NDArray[np.void]  # of dtype BUCKET


def bucket_points(level: int) -> int:
    """Return how many points a bucket of `level` (1, 2, …) stands for."""
    return int(FINEST * FAN_OUT ** (level - 1))


def summarise(points: Points, starts: Int64) -> Buckets:
    """Make one bucket of each group of points.

    Args:
        points: at least one.
        starts: (B,) first position of each group, rising from 0, no group empty.
    """
    steps, times, values = points.steps, points.times, points.values
    ends = np.append(starts[1:], len(steps))
    buckets = np.empty(len(starts), BUCKET)
    buckets["first_step"], buckets["last_step"] = steps[starts], steps[ends - 1]
    buckets["first_time"], buckets["last_time"] = times[starts], times[ends - 1]
    buckets["first"], buckets["last"] = values[starts], values[ends - 1]
    buckets["count"] = ends - starts
    finite = np.isfinite(values)
    every = bool(finite.all())
    if every:
        buckets["nan"] = buckets["positive_infinity"] = buckets["negative_infinity"] = 0
        n_finite: Int64 = ends - starts
    else:
        buckets["nan"] = np.add.reduceat(np.isnan(values), starts, dtype=np.int64)
        buckets["positive_infinity"] = np.add.reduceat(values == np.inf, starts, dtype=np.int64)
        buckets["negative_infinity"] = np.add.reduceat(values == -np.inf, starts, dtype=np.int64)
        n_finite = np.add.reduceat(finite, starts, dtype=np.int64)
    group = np.repeat(np.arange(len(starts)), ends - starts)
    _extremes(buckets, starts, group, values if every else np.where(finite, values, np.nan), steps, times)
    # Divided before it is summed: the sum of many values near 1e308 would overflow.
    share = values / np.maximum(n_finite, 1)[group]
    mean = np.add.reduceat(share if every else np.where(finite, share, 0.0), starts)
    buckets["mean"] = np.where(n_finite > 0, mean, np.nan)
    return buckets


def combine(buckets: Buckets, starts: Int64) -> Buckets:
    """Make one coarser bucket of each group of buckets; `starts` as for `summarise`."""
    ends = np.append(starts[1:], len(buckets))
    coarse = np.empty(len(starts), BUCKET)
    for name in ("first_step", "first_time", "first"):
        coarse[name] = buckets[name][starts]
    for name in ("last_step", "last_time", "last"):
        coarse[name] = buckets[name][ends - 1]
    for name in ("count", "nan", "positive_infinity", "negative_infinity"):
        coarse[name] = np.add.reduceat(buckets[name], starts)
    finite = buckets["count"] - nonfinite(buckets)
    n_finite = np.add.reduceat(finite, starts)
    group = np.repeat(np.arange(len(starts)), ends - starts)
    for name, pick in (("min", np.fmin), ("max", np.fmax)):
        extreme = pick.reduceat(buckets[name], starts)
        where = first_of_each(buckets[name] == extreme[group], group, starts)
        coarse[name] = extreme
        coarse[f"{name}_step"] = buckets[f"{name}_step"][where]
        coarse[f"{name}_time"] = buckets[f"{name}_time"][where]
    share = np.where(finite > 0, buckets["mean"] * (finite / np.maximum(n_finite, 1)[group]), 0.0)
    coarse["mean"] = np.where(n_finite > 0, np.add.reduceat(share, starts), np.nan)
    return coarse


def pack(buckets: Buckets) -> bytes:
    """Encode buckets column by column, each with its length in front."""
    columns = [encode(np.ascontiguousarray(buckets[name]), thorough=True) for name in BUCKET.names or ()]
    return b"".join(len(column).to_bytes(4, "little") + column for column in columns)


def unpack(data: bytes, n: int) -> Buckets:
    """Decode `n` buckets."""
    buckets, at = np.empty(n, BUCKET), 0
    for name in BUCKET.names or ():
        length = int.from_bytes(data[at : at + 4], "little")
        column = data[at + 4 : at + 4 + length]
        buckets[name] = decode_steps(column) if BUCKET[name].kind == "i" else decode_floats(column)
        at += 4 + length
    return buckets


def nonfinite(buckets: Buckets) -> Int64:
    """Return (B,) how many values of each bucket are NaN or infinite."""
    count: Int64 = buckets["nan"] + buckets["positive_infinity"] + buckets["negative_infinity"]
    return count


def regular(points: Points) -> Buckets:
    """Make the buckets of the finest level of points whose number is a multiple of FINEST."""
    return summarise(points, np.arange(0, len(points), FINEST))


def coarsen(buckets: Buckets) -> Buckets:
    """Make the next level's buckets of a number of buckets that is a multiple of FAN_OUT."""
    return combine(buckets, np.arange(0, len(buckets), FAN_OUT))


def _extremes(
    buckets: Buckets, starts: Int64, group: Int64, values: Float64, steps: Int64, times: Float64
) -> None:
    """Fill in minimum and maximum; `values` has NaN for all that is not finite."""
    for name, pick in (("min", np.fmin), ("max", np.fmax)):
        extreme = pick.reduceat(values, starts)
        where = first_of_each(values == extreme[group], group, starts)
        # The value as it was logged: fmin may give 0.0 for -0.0, which compare equal.
        buckets[name] = values[where]
        buckets[f"{name}_step"], buckets[f"{name}_time"] = steps[where], times[where]


def first_of_each(hit: npt.NDArray[np.bool_], group: Int64, starts: Int64) -> Int64:
    """Return the first position of a hit in each group, or the group's start if it has none."""
    positions = np.flatnonzero(hit)
    groups = group[positions]
    first = np.ones(len(positions), bool)
    first[1:] = groups[1:] != groups[:-1]
    found: Int64 = np.array(starts, np.int64)
    found[groups[first]] = positions[first]
    return found
