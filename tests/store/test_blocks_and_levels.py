"""Columns round trip bit for bit, and no bucket loses an extreme or a NaN."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from deepevent.store import levels
from deepevent.store.blocks import Points, decode_floats, decode_steps, encode
from deepevent.store.smoothing import moving_average

BITS = hn.arrays(np.uint64, st.integers(0, 300), elements=st.integers(0, 2**64 - 1))
VALUES = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf, 1e308, -1e308]))
CURVES = hn.arrays(np.float64, st.integers(1, 200), elements=VALUES)


@settings(max_examples=60, deadline=None)
@given(bits=BITS, thorough=st.booleans())
def test_any_bits_come_back(bits, thorough):
    """Every float64 (NaN payloads, -0.0, denormals) and every int64 survives encoding."""
    assert decode_floats(encode(bits.view(np.float64), thorough)).tobytes() == bits.tobytes()
    assert decode_steps(encode(bits.view(np.int64), thorough)).tobytes() == bits.tobytes()


def test_a_column_of_another_kind_is_refused():
    """Data that is no column, or one of another type, is an error and not numbers."""
    with pytest.raises(ValueError, match="starts with 0"):
        decode_floats(b"\x07abc")
    with pytest.raises(ValueError, match="expected"):
        decode_floats(encode(np.arange(1000)))


def slow(values, steps):
    """One bucket, the plain way."""
    finite = [(value, step) for value, step in zip(values, steps, strict=True) if np.isfinite(value)]
    low = min(finite, key=lambda pair: pair[0], default=(np.nan, None))
    high = max(finite, key=lambda pair: pair[0], default=(np.nan, None))
    return low, high, len(values) - len(finite)


@settings(max_examples=80, deadline=None)
@given(values=CURVES, data=st.data())
def test_a_bucket_keeps_extremes_and_counts(values, data):
    """Extremes, their steps, first, last and the count of what is not finite are exact in every group."""
    cuts = data.draw(st.sets(st.integers(1, max(1, len(values) - 1)), max_size=6))
    starts = np.array(sorted({0, *(cut for cut in cuts if cut < len(values))}))
    steps = np.arange(len(values)) * 3
    buckets = levels.summarise(Points(0, steps, steps + 0.5, values), starts)
    for bucket, start, stop in zip(buckets, starts, [*starts[1:], len(values)], strict=True):
        low, high, wrong = slow(values[start:stop], steps[start:stop])
        assert bucket["count"] == stop - start
        assert levels.nonfinite(np.array([bucket]))[0] == wrong
        assert np.array([bucket["first"], bucket["last"]]).tobytes() == values[[start, stop - 1]].tobytes()
        for name, (value, step) in (("min", low), ("max", high)):
            assert bucket[name] == value or (np.isnan(value) and np.isnan(bucket[name]))
            if step is not None:
                assert (bucket[f"{name}_step"], bucket[f"{name}_time"]) == (step, step + 0.5)
    if len(starts) > 1:
        whole = levels.combine(buckets, np.array([0]))[0]
        direct = levels.summarise(Points(0, steps, steps + 0.5, values), np.array([0]))[0]
        tolerance = 1e-12 * np.abs(values[np.isfinite(values)]).max(initial=0)
        for name in levels.BUCKET.names:
            if name == "mean":
                np.testing.assert_allclose(whole[name], direct[name], rtol=1e-9, atol=tolerance)
            else:
                assert np.array_equal(whole[name], direct[name], equal_nan=True), name


@settings(max_examples=30, deadline=None)
@given(values=CURVES)
def test_packed_buckets_come_back(values):
    """A row of the table `levels` decodes to the buckets it was made of."""
    steps = np.arange(len(values))
    buckets = levels.summarise(Points(0, steps, steps + 0.5, values), steps)
    assert levels.unpack(levels.pack(buckets), len(buckets)).tobytes() == buckets.tobytes()


@settings(max_examples=80, deadline=None)
@given(
    values=hn.arrays(
        np.float64,
        st.integers(1, 3000),
        elements=st.one_of(st.floats(-1e6, 1e6), st.just(np.nan), st.just(np.inf)),
        fill=st.floats(-1e3, 1e3),
    ),
    weight=st.sampled_from([0.0, 1e-20, 0.1, 0.5, 0.9, 0.99, 0.999, 0.99999]),
)
def test_the_moving_average_is_that_of_the_plain_loop(values, weight):
    """The vectorised debiased average equals the recursion, and goes on after values that are not finite."""
    expected, total, n = [], 0.0, 0
    for value in values.tolist():
        if np.isfinite(value):
            n += 1
            total = weight * total + (1 - weight) * value
        expected.append(total / -np.expm1(n * np.log(weight)) if n and weight else total if n else np.nan)
    largest = np.abs(values[np.isfinite(values)]).max(initial=0)
    np.testing.assert_allclose(
        moving_average(values, weight), expected, rtol=1e-7, atol=1e-9 * largest + 1e-300
    )
