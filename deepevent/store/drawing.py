"""Draws one metric along one axis: chooses what to read, thins it, smooths it, finds what is not finite.

Three ways, by what the metric is like:

* The axis never falls in order of arrival, as with nearly every metric: the range is found by search,
  and read as points, or from the levels of detail when it is long.
* Steps repeat or go back (or a clock did): the blocks that reach into the range are read as points and
  sorted; of one step the newest value is kept.
* The same with more than UNORDERED_LIMIT points in range: drawn from the levels, so that every
  extreme is there at its own step, the values that were logged again included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from deepevent.store.blocks import Float64, Points
from deepevent.store.levels import FINEST, MAX_LEVEL, Buckets, bucket_points, nonfinite
from deepevent.store.reader import Cover, MetricReader
from deepevent.store.smoothing import WINDOW_LIMIT, Smoothing
from deepevent.store.thinning import (
    PIXELS_PER_BIN,
    Vertices,
    newest_per_step,
    thin_buckets,
    thin_points,
    vertices,
)

UNORDERED_LIMIT = 1 << 22
SMOOTHED_LIMIT = 1 << 22  # of so many points the smoothed value is computed at every vertex
SPOTS_LIMIT = 1000
SPOT_READS = 200
LAST_STEP = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Axis:
    """What to draw along.

    Attributes:
        name: `step` or `time`.
        start: first step or time to show.
        stop: last one.
        pixels: width of the drawing.
        smoothing: what to smooth with, or None.
    """

    name: str
    start: float | None
    stop: float | None
    pixels: int
    smoothing: Smoothing | None

    @property
    def low(self) -> float:
        """First step (an integer, so that large ones stay exact) or time to show."""
        if self.name == "time":
            return -math.inf if self.start is None else self.start
        return 0 if self.start is None else max(0, math.ceil(_within(self.start)))

    @property
    def high(self) -> float:
        """Last step (an integer) or time to show."""
        if self.name == "time":
            return math.inf if self.stop is None else self.stop
        return LAST_STEP if self.stop is None else math.floor(_within(self.stop))

    @property
    def exact_up_to(self) -> int:
        """How many points are shown without thinning."""
        return 2 * self.pixels

    def moved(self, by: float) -> Axis:
        """Return the same axis with another zero."""
        return replace(
            self,
            start=None if self.start is None else self.start + by,
            stop=None if self.stop is None else self.stop + by,
        )


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn metric.

    Attributes:
        vertices: what to connect; with the means of their bins where it is thinned.
        thinned: whether points were left out.
        smooth: (V,) the smoothed value at each vertex, or None.
        nonfinite: points that are NaN or infinite, at most SPOTS_LIMIT.
        n_nonfinite: how many there are in range.
    """

    vertices: Vertices
    thinned: bool
    smooth: Float64 | None
    nonfinite: Vertices
    n_nonfinite: int


def _within(step: float) -> float:
    return min(max(step, -1), LAST_STEP)


def draw(reader: MetricReader, axis: Axis, whole: Points | None = None) -> Drawing:
    """Draw a metric; `whole` are all its points, if they have been read already."""
    metric = reader.metric
    ordered = metric.n_breaks == 0 if axis.name == "step" else metric.times_ordered
    if whole is not None:
        return _draw_points(whole if ordered else _sorted(whole, axis), axis)
    n = metric.n_points
    if not ordered:
        if n <= UNORDERED_LIMIT:
            return _draw_points(_sorted(reader.points(0, n), axis), axis)
        near, start, stop = reader.near(axis.name, axis.low, axis.high, UNORDERED_LIMIT)
        if near is not None:
            return _draw_points(_sorted(near, axis), axis)
        return _draw_levels(reader, axis, start, stop, ordered=False)
    start = 0 if axis.start is None else reader.find(axis.name, axis.low, 0, n)
    stop = n if axis.stop is None else reader.find(axis.name, axis.high, start, n, behind=True)
    if stop - start < 2 * axis.pixels * FINEST:
        before = 0 if axis.smoothing is None else axis.smoothing.reach
        timed = axis.name == "time"
        return _draw_points(reader.points(max(0, start - before), stop, timed), axis)
    return _draw_levels(reader, axis, start, stop, ordered=True)


def _sorted(points: Points, axis: Axis) -> Points:
    if axis.name == "step":
        return newest_per_step(points)
    order = np.argsort(points.times, kind="stable")
    return Points(0, points.steps[order], points.times[order], points.values[order])


def _draw_points(points: Points, axis: Axis) -> Drawing:
    """Draw points that are sorted by the axis; those before the range only feed the smoothing."""
    key = points.steps if axis.name == "step" else points.times
    start, stop = int(np.searchsorted(key, axis.low)), int(np.searchsorted(key, axis.high, "right"))
    stop = max(start, stop)
    steps, times, values = points.steps[start:stop], points.times[start:stop], points.values[start:stop]
    spots = np.flatnonzero(~np.isfinite(values))
    shown = spots[:SPOTS_LIMIT]
    nonfinite_points = Vertices(steps[shown], times[shown], values[shown])
    thinned = stop - start > axis.exact_up_to
    if thinned:
        chosen, means = thin_points(Points(0, steps, times, values), key[start:stop], axis.pixels)
        drawn = Vertices(steps[chosen], times[chosen], values[chosen], means)
    else:
        chosen, drawn = np.arange(stop - start), Vertices(steps, times, values)
    smooth = None if axis.smoothing is None else axis.smoothing.at(points.values[:stop], start + chosen)
    return Drawing(drawn, thinned, smooth, nonfinite_points, len(spots))


def _draw_levels(reader: MetricReader, axis: Axis, start: int, stop: int, ordered: bool) -> Drawing:
    """Draw the points `[start, stop)` from buckets."""
    level = 1
    while level < MAX_LEVEL and (stop - start) // bucket_points(level + 1) >= 2 * axis.pixels:
        level += 1
    cover = reader.cover(start, stop, level)
    if ordered:
        first, last = cover.buckets[f"first_{axis.name}"], cover.buckets[f"last_{axis.name}"]
        width = (float(last[-1]) - float(first[0])) * PIXELS_PER_BIN / axis.pixels

        def wide(buckets: Buckets) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
            spans: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
                buckets[f"last_{axis.name}"] - buckets[f"first_{axis.name}"] > width
            )
            return spans

        cover = reader.refine(cover, level, wide)
    else:
        order = np.argsort(cover.buckets[f"first_{axis.name}"], kind="stable")
        cover = Cover(cover.buckets[order], cover.ends[order])
    bins, starts = thin_buckets(cover.buckets, axis.name, axis.pixels)
    drawn = vertices(bins, axis.name)
    smooth = None
    if axis.smoothing is not None:
        smooth = _smooth(reader, axis, axis.smoothing, drawn, bins, cover, starts, start, stop)
    spots, n_spots = _spots(reader, cover, level, starts)
    if not ordered:
        key = drawn.steps if axis.name == "step" else drawn.times
        order = np.argsort(key, kind="stable")
        order = order[(key[order] >= axis.low) & (key[order] <= axis.high)]
        drawn, smooth = drawn.select(order), None if smooth is None else smooth[order]
        key = spots.steps if axis.name == "step" else spots.times
        spots = spots.select((key >= axis.low) & (key <= axis.high))
    return Drawing(drawn, True, smooth, spots, n_spots)


def _smooth(
    reader: MetricReader,
    axis: Axis,
    smoothing: Smoothing,
    drawn: Vertices,
    bins: Buckets,
    cover: Cover,
    starts: np.ndarray[tuple[int], np.dtype[np.int64]],
    start: int,
    stop: int,
) -> Float64:
    """Return the smoothed value at the vertices; see `smoothing` for what is read."""
    n_before = smoothing.reach
    column = drawn.steps if axis.name == "step" else drawn.times
    if stop - start + n_before <= SMOOTHED_LIMIT:
        points = reader.points(max(0, start - n_before), stop)
        key = points.steps if axis.name == "step" else points.times
        order = np.argsort(key, kind="stable")
        at = np.minimum(np.searchsorted(key[order], column), len(key) - 1)
        return smoothing.at(points.values[order], at)
    window = min(n_before, WINDOW_LIMIT)
    ends = cover.ends[np.append(starts[1:], len(cover.ends)) - 1]
    averages = np.empty(len(ends))
    for number, end in enumerate(ends.tolist()):
        values = reader.values(max(0, end - window), end)
        averages[number] = smoothing.at(values, np.array([len(values) - 1]))[0]
    return np.interp(column, bins[f"last_{axis.name}"], averages)


def _spots(
    reader: MetricReader, cover: Cover, level: int, starts: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> tuple[Vertices, int]:
    """Find points that are not finite: all of them if they are few, else one in each bin."""
    counts = nonfinite(cover.buckets)
    total = int(counts.sum())
    hit = np.flatnonzero(counts)
    if total > SPOTS_LIMIT:
        bins = np.searchsorted(starts, hit, "right")
        hit = hit[np.append(True, bins[1:] != bins[:-1])]
    found: list[tuple[int, float, float]] = []
    reads = SPOT_READS
    for number in hit.tolist():
        bucket = cover.slice(number, number + 1)
        if not math.isfinite(bucket.buckets["first"][0]) and (total > SPOTS_LIMIT or counts[number] == 1):
            found.append(
                (bucket.buckets["first_step"][0], bucket.buckets["first_time"][0], bucket.buckets["first"][0])
            )
        elif reads > 0:
            reads -= 1
            fine = reader.refine(bucket, level, lambda buckets: nonfinite(buckets) > 0)
            wrong = fine.buckets[nonfinite(fine.buckets) > 0]
            if total > SPOTS_LIMIT:
                wrong = wrong[:1]
            found += zip(
                wrong["first_step"].tolist(),
                wrong["first_time"].tolist(),
                wrong["first"].tolist(),
                strict=True,
            )
    found = found[:SPOTS_LIMIT]
    return Vertices(
        np.array([spot[0] for spot in found], np.int64),
        np.array([spot[1] for spot in found], np.float64),
        np.array([spot[2] for spot in found], np.float64),
    ), total
