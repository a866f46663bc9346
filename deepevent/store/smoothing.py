"""Smoothing over all of a curve's points, never over what a drawing left of them. Pure.

Three kinds: the debiased exponential moving average (`ema`), and the mean or the median of the latest
points (`mean`, `median`). None looks ahead, so that what is drawn at a point was known when it was
logged. The exponential average is

    s₀ = 0;  sₜ = w·sₜ₋₁ + (1−w)·vₜ;  shown: sₜ / (1 − wᵗ)

Values that are not finite change nothing: smoothing goes on after them.

A value that lies `reach(w)` points back weighs less than 1e-9 of the newest, so what is shown at a
point needs no more than the points in its reach (of the rolling kinds: the window). `curves` reads
all of them as long as that is at most a few million points; of longer curves it reads the reach of
one point per bin, and there, for weights so near to 1 that even this would be too much, the latest
WINDOW_LIMIT points: the average is then over that window, weighted and debiased in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepevent.errors import QueryInvalid
from deepevent.store.blocks import Float64, Int64

NEGLIGIBLE = 1e-9
WINDOW_LIMIT = 1 << 14
ROLLING_LIMIT = 1000  # points in the window of a rolling mean or median
_CELLS = 1 << 20  # of a table of windows at a time
_SCALE_LIMIT = 1e12  # powers of w within a row stay above its inverse: no precision is lost
_ROW_LIMIT = 1024
_LARGE = 1e150


@dataclass(frozen=True, slots=True)
class Smoothing:
    """What to smooth with.

    Attributes:
        kind: `ema`, `mean` or `median`.
        amount: the weight of the past in [0, 1) of an `ema`, else the number of points in the window.
    """

    kind: str
    amount: float

    @property
    def reach(self) -> int:
        """How many points back a value still matters, itself included."""
        return reach(self.amount) if self.kind == "ema" else int(self.amount)

    def at(self, values: Float64, positions: Int64) -> Float64:
        """Return (P,) the smoothed value at each of the (P,) positions in `values`, which are in order."""
        if self.kind == "median":
            return rolling_median(values, int(self.amount), positions)
        whole = (
            moving_average(values, self.amount)
            if self.kind == "ema"
            else rolling_mean(values, int(self.amount))
        )
        return whole[positions]


def parse(asked: Mapping[str, Any]) -> Smoothing:
    """Read `{"kind": "ema", "weight": w}` or `{"kind": "mean" or "median", "window": n}`.

    Raises:
        QueryInvalid: it is something else.
    """
    kind = asked.get("kind")
    amount = asked.get("weight" if kind == "ema" else "window")
    if not isinstance(amount, bool):
        if kind == "ema" and isinstance(amount, (int, float)) and 0 <= amount < 1:
            return Smoothing("ema", float(amount))
        if kind in {"mean", "median"} and isinstance(amount, int) and 1 <= amount <= ROLLING_LIMIT:
            return Smoothing(str(kind), amount)
    raise QueryInvalid(
        'smoothing must be {"kind": "ema", "weight": w} with 0 <= w < 1, or {"kind": "mean" or "median", '
        f'"window": n}} with 1 <= n <= {ROLLING_LIMIT}, got {dict(asked)!r}'
    )


def rolling_mean(values: Float64, window: int) -> Float64:
    """Return (N,) the mean of the latest `window` finite values at each; NaN before the first.

    A window is the end of one block of `window` values and the start of the next (van Herk's way), so
    that one huge value costs no precision beyond the windows that hold it.
    """
    finite = np.isfinite(values)
    kept = values[finite]
    n = len(kept)
    if not n:
        return np.full(len(values), np.nan)
    table = np.zeros((-(-n // window), window))
    table.reshape(-1)[:n] = kept / window
    heads = np.cumsum(table, axis=1).reshape(-1)[:n]
    tails = np.cumsum(table[:, ::-1], axis=1)[:, ::-1].reshape(-1)
    first = np.arange(n) - window + 1
    split = (first > 0) & (first % window != 0)
    means = heads
    means[split] += tails[first[split]]
    short = np.arange(1, min(n, window - 1) + 1)
    means[: len(short)] *= window / short
    return _spread(means, finite)


def rolling_median(values: Float64, window: int, positions: Int64) -> Float64:
    """Return (P,) the median of the latest `window` finite values at the positions; NaN before the first."""
    finite = np.isfinite(values)
    kept = values[finite]
    ends = np.cumsum(finite)[positions]  # how many finite values there are up to each position
    medians = np.full(len(positions), np.nan)
    for number in np.flatnonzero((ends > 0) & (ends < window)).tolist():
        medians[number] = np.median(kept[: ends[number]])
    whole = np.flatnonzero(ends >= window)
    if len(whole):
        windows = np.lib.stride_tricks.sliding_window_view(kept, window)
        at_once = max(1, _CELLS // window)
        for start in range(0, len(whole), at_once):
            part = whole[start : start + at_once]
            medians[part] = np.median(windows[ends[part] - window], axis=1)
    return medians


def reach(weight: float) -> int:
    """Return how many points back a value still matters, itself included."""
    return 1 if weight <= NEGLIGIBLE else 1 + math.ceil(math.log(NEGLIGIBLE) / math.log(weight))


def moving_average(values: Float64, weight: float) -> Float64:
    """Return (N,) the average at each of the (N,) values; NaN before the first finite one.

    Args:
        values: in the order of the curve.
        weight: of the past, in [0, 1).
    """
    finite = np.isfinite(values)
    kept = values[finite]
    if not len(kept):
        return np.full(len(values), np.nan)
    largest = float(np.abs(kept).max())
    scale = largest if largest > _LARGE else 1.0
    sums = _recur(kept / scale * (1 - weight), weight)
    share = -np.expm1(np.arange(1, len(kept) + 1) * math.log(weight)) if weight > 0 else 1.0
    return _spread(sums / share * scale, finite)


def _spread(smoothed: Float64, finite: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Float64:
    """Return what was computed of the finite values at all of them: the latest one holds on."""
    if len(smoothed) == len(finite):
        return smoothed
    before = np.cumsum(finite) - 1
    return np.where(before >= 0, smoothed[before], np.nan)


def _recur(values: Float64, weight: float) -> Float64:
    """Return y with y₀ = x₀ and yₜ = xₜ + w·yₜ₋₁, without a Python loop over the points.

    Rows of a table are summed with cumsum, scaled so that the newest value counts most; what a row
    hands to the next one is the same recursion with a weight of w to the power of the row's length.
    """
    n = len(values)
    if n <= 1 or weight < 1 / _SCALE_LIMIT:
        return values
    width = min(n, _ROW_LIMIT, max(2, int(math.log(_SCALE_LIMIT) / -math.log(weight))))
    n_rows = -(-n // width)
    table = np.zeros((n_rows, width))
    table.reshape(-1)[:n] = values
    powers = weight ** np.arange(width)
    sums = np.cumsum(table / powers, axis=1) * powers
    if n_rows > 1:
        handed = _recur(sums[:-1, -1], weight**width)
        sums[1:] += handed[:, None] * (powers * weight)
    joined: Float64 = sums.reshape(-1)[:n]
    return joined
