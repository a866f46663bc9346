"""The debiased exponential moving average, over all of a curve at once. Pure.

    s₀ = 0;  sₜ = w·sₜ₋₁ + (1−w)·vₜ;  shown: sₜ / (1 − wᵗ)

Values that are not finite change nothing: the average goes on after them.

A value that lies `reach(w)` points back weighs less than 1e-9 of the newest, so the average at a
point needs no more than the points in its reach. `curves` reads all of them as long as that is
at most a few million points; of longer curves it reads the reach of one point per bin, and there,
for weights so near to 1 that even this would be too much, the latest WINDOW_LIMIT points: the
average is then over that window, weighted and debiased in the same way.
"""

from __future__ import annotations

import math

import numpy as np

from deepevent.store.blocks import Float64

NEGLIGIBLE = 1e-9
WINDOW_LIMIT = 1 << 14
_SCALE_LIMIT = 1e12  # powers of w within a row stay above its inverse: no precision is lost
_ROW_LIMIT = 1024
_LARGE = 1e150


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
    average: Float64 = sums / share * scale
    if len(kept) == len(values):
        return average
    before = np.cumsum(finite) - 1
    return np.where(before >= 0, average[before], np.nan)


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
