"""A curve is never a lie: exact when short, every extreme when thinned, at any zoom and on any axis."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepevent import wire
from deepevent.errors import QueryInvalid, RunNotFound
from deepevent.store import compaction, connection, curves, drawing, ingest, migrate
from deepevent.store.curves import Query
from deepevent.store.runs import new_id

N = 1_000_000
SPIKE, HOLE = 700_001, 300_007
EMA = {"kind": "ema", "weight": 0.9}


def records(columns: np.ndarray) -> bytes:
    """Journal bytes of points records: columns step, time, values…; CRCs are not what is tested here."""
    n = columns.shape[1] - 2
    rows = np.zeros((len(columns), columns.shape[1] + 2), "<u8")
    rows[:, 0], rows[:, 1] = 16 + 8 * columns.shape[1], 1 | n << 16
    rows[:, 2] = columns[:, 0].astype(np.int64)
    rows[:, 3:] = columns[:, 1:].view("<u8")
    return rows.tobytes()


def fill(db, names, columns, chunk=50_000, run=None):
    """Log columns through the committer, in batches."""
    run, writer = run or new_id(), new_id()
    committer = ingest.Committer(db)
    start = {"type": "run", "name": "long", "created": 1000.0}
    first = [wire.build_event(1, start), wire.build_shape(2, 0, names)]
    committer.submit(wire.build_batch(run, writer, 1, first))
    columns = np.ascontiguousarray(columns, np.float64)
    for at in range(0, len(columns), chunk):
        part = columns[at : at + chunk]
        committer.submit(wire.Batch(run, writer, 0, 3 + at, len(part), time.time(), records(part)))
    committer.close()
    return run


def compact_all(db):
    while compaction.compact(db, min_short_blocks=2).more:
        pass


def values_for(n):
    rng = np.random.default_rng(5)
    return rng.normal(size=n).astype(np.float32).astype(np.float64)


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    """A run of a million points with one spike, one NaN and epochs, compacted but for its tail."""
    db = connection.open_database(f"sqlite:///{tmp_path_factory.mktemp('long')}/deepevent.db")
    migrate.upgrade(db)
    values = values_for(N)
    values[SPIKE], values[HOLE] = 1e6, math.nan
    steps = np.arange(N) * 2.0
    epochs = np.floor(np.arange(N) / 100_000)
    cut = N - 5000
    table = np.column_stack([steps, 1000 + steps / 10, values, epochs])
    run = fill(db, ["loss", "epoch"], table[:cut])
    compact_all(db)
    committer = ingest.Committer(db)
    writer = new_id()
    committer.submit(wire.build_batch(run, writer, 1, [wire.build_shape(1, 0, ["loss", "epoch"])]))
    committer.submit(wire.Batch(run, writer, 0, 2, N - cut, 0.0, records(np.ascontiguousarray(table[cut:]))))
    committer.close()
    yield db, run, values
    db.close()


def read(db, run, metric="loss", **options):
    return curves.read_curves(db, [Query(run, metric)], **options).curves[0]


def test_raw_points_are_what_was_logged(long_run):
    """An export gives every value bit for bit, in order, compacted or not."""
    db, run, values = long_run
    found = curves.read_points(db, run, "loss", limit=N)
    assert found.values.tobytes() == values.tobytes()
    assert np.array_equal(found.steps, np.arange(N) * 2)
    tail = curves.read_points(db, run, "loss", after_index=N - 3)
    assert (tail.first_index, tail.values.tolist()) == (N - 3, values[-3:].tolist())


@pytest.mark.parametrize("pixels", [7, 100, 1000])
@pytest.mark.parametrize("half_width", [10, 1000, 50_000, 250_000, 10**9])
def test_a_spike_of_one_point_is_in_every_zoom(long_run, half_width, pixels):
    """One point among a million is in the curve at its own step, however far one zooms out."""
    db, run, _ = long_run
    step = SPIKE * 2
    curve = read(db, run, start=step - half_width, stop=step + half_width, pixels=pixels)
    assert (step, 1e6) in list(zip(curve.step.tolist(), curve.value.tolist(), strict=True))
    assert len(curve.x) <= 2 * pixels or not curve.thinned
    assert (np.diff(curve.x) > 0).all()
    assert curve.n_points == N


@settings(max_examples=40, deadline=None)
@given(
    bounds=st.tuples(st.integers(-10, 2 * N + 10), st.integers(-10, 2 * N + 10)).map(sorted),
    pixels=st.integers(1, 1500),
    axis=st.sampled_from(["step", "time", "relative"]),
)
def test_extremes_of_any_range_are_those_of_its_points(long_run, bounds, pixels, axis):
    """First, last, lowest and highest point of any range are in the curve, and nothing outside the range."""
    db, run, values = long_run
    place = {
        "step": lambda step: step,
        "time": lambda step: 1000 + step / 10,
        "relative": lambda step: step / 10,
    }
    low, high = (place[axis](bound) for bound in bounds)
    curve = read(db, run, x=axis, start=low, stop=high, pixels=pixels)
    steps = np.arange(N) * 2
    where = place[axis](steps)
    inside = np.flatnonzero((where >= low) & (where <= high))
    if not len(inside):
        assert not len(curve.x)
        return
    truth = values[inside]
    assert curve.step[[0, -1]].tolist() == steps[inside[[0, -1]]].tolist()
    np.testing.assert_allclose(curve.x, place[axis](curve.step), atol=1e-6)
    assert np.array_equal(curve.value, values[curve.step // 2], equal_nan=True)
    if np.isfinite(truth).any():
        assert np.nanmin(curve.value) == np.nanmin(truth)
        assert np.nanmax(curve.value) == np.nanmax(truth)
    assert curve.n_nonfinite == np.count_nonzero(~np.isfinite(truth))
    assert [spot["step"] for spot in curve.nonfinite] == steps[inside[~np.isfinite(truth)]].tolist()
    assert curve.thinned == (len(inside) > 2 * pixels)
    if not curve.thinned:
        assert len(curve.x) == len(inside)


def test_each_bin_has_its_own_extremes(long_run):
    """Between neighbouring vertices nothing is higher or lower than what the bins around them show."""
    db, run, values = long_run
    curve = read(db, run, pixels=200)
    order = curve.step // 2
    for a, b in zip(order[:-1:37], order[1::37], strict=False):
        piece = values[max(0, a - 20_000) : b + 20_000]
        shown = curve.value[(order >= a - 20_000) & (order <= b + 20_000)]
        assert np.nanmax(shown) >= np.nanmax(values[a : b + 1])
        assert np.nanmin(piece) <= np.nanmin(shown)


def test_epochs_are_the_last_one_logged(long_run):
    """On the axis of epochs every vertex has its own epoch, and a range of epochs is exact."""
    db, run, values = long_run
    curve = read(db, run, x="epoch")
    assert np.array_equal(curve.x, np.floor(curve.step // 2 / 100_000))
    part = read(db, run, x="epoch", start=3, stop=4.5)
    assert part.step[0] == 600_000
    assert part.step[-1] == 999_998
    assert np.nanmax(part.value) == np.nanmax(values[300_000:500_000])
    assert not len(read(db, run, x="epoch", start=99).x)


def test_epochs_logged_between_points_hold_until_the_next(db, committer, script):
    """A step has the last epoch at or before it, nothing is interpolated, and none before the first."""
    writer = script().start()
    writer.log({"loss": 0.0}, 0).log({"epoch": 1.0}, 1).log({"loss": 1.0}, 1).log({"loss": 2.0}, 5)
    committer.submit(writer.log({"epoch": 2.0}, 6).log({"loss": 3.0}, 7).batch())
    curve = read(db, writer.run, x="epoch")
    assert list(zip(curve.x.tolist(), curve.value.tolist(), strict=True)) == [
        (1.0, 1.0),
        (1.0, 2.0),
        (2.0, 3.0),
    ]


def test_smoothing_is_computed_over_all_points(long_run, monkeypatch):
    """The moving average at a vertex is that of all points before it, thinned, zoomed or by windows."""
    db, run, values = long_run
    total, weights, expected = 0.0, 0.0, np.empty(N)
    for index, value in enumerate(values.tolist()):
        if math.isfinite(value):
            total, weights = 0.9 * total + 0.1 * value, 0.9 * weights + 0.1
        expected[index] = total / weights
    for bounds in ({}, {"start": 500_000, "stop": 502_000}, {"start": 500_000, "stop": 900_000}):
        curve = read(db, run, smoothing=EMA, **bounds)
        np.testing.assert_allclose(curve.smooth, expected[curve.step // 2], rtol=1e-6, atol=1e-6)
    monkeypatch.setattr(drawing, "SMOOTHED_LIMIT", 1000)
    curve = read(db, run, smoothing=EMA)
    last = len(curve.x) - 1
    np.testing.assert_allclose(curve.smooth[last], expected[curve.step[last] // 2], rtol=1e-6)


@pytest.mark.parametrize(("kind", "middle"), [("mean", np.nanmean), ("median", np.nanmedian)])
def test_rolling_windows_are_over_all_points(long_run, monkeypatch, kind, middle):
    """A rolling mean or median at a vertex is that of the latest points, whatever the drawing left out."""
    db, run, values = long_run
    finite = np.flatnonzero(np.isfinite(values))

    def expected(step):
        behind = int(np.searchsorted(finite, step // 2, "right"))
        return middle(values[finite[max(0, behind - 25) : behind]])

    asked = {"kind": kind, "window": 25}
    for bounds in ({}, {"start": 500_000, "stop": 502_000}, {"start": 0, "stop": 40}):
        curve = read(db, run, smoothing=asked, **bounds)
        some = range(0, len(curve.x), max(1, len(curve.x) // 200))
        for vertex in some:
            np.testing.assert_allclose(curve.smooth[vertex], expected(int(curve.step[vertex])), rtol=1e-9)
    monkeypatch.setattr(drawing, "SMOOTHED_LIMIT", 1000)
    curve = read(db, run, smoothing=asked)
    np.testing.assert_allclose(curve.smooth[-1], expected(int(curve.step[-1])), rtol=1e-9)


def test_a_thinned_curve_brings_the_mean_of_each_bin(long_run):
    """The mean is over all points of a bin, lies within its extremes, and is absent where all is shown."""
    db, run, values = long_run
    assert read(db, run, start=500_000, stop=500_100).mean is None
    for bounds in ({}, {"start": 500_000, "stop": 510_000}):
        curve = read(db, run, **bounds)
        assert curve.thinned
        new = np.flatnonzero(np.append(True, curve.mean[1:] != curve.mean[:-1]))
        middle = len(new) // 2
        first, last = new[middle], new[middle + 1] - 1
        inside = values[curve.step[first] // 2 : curve.step[last] // 2 + 1]
        inside = inside[np.isfinite(inside)]
        np.testing.assert_allclose(curve.mean[first], inside.mean(), rtol=1e-9)
        assert np.nanmax(curve.value[first : last + 1]) == inside.max()


def test_a_diverged_run_shows_where_it_went(sqlite_db):
    """With half of all values NaN, the curve has gaps, and the first NaN is named at its step."""
    values = values_for(600_000)
    values[250_000:] = math.nan
    steps = np.arange(len(values), dtype=float)
    run = fill(sqlite_db, ["loss"], np.column_stack([steps, steps, values]))
    compact_all(sqlite_db)
    curve = read(sqlite_db, run)
    assert curve.n_nonfinite == 350_000
    assert curve.nonfinite[0]["step"] == 250_000
    assert 1 < len(curve.nonfinite) <= 1000
    assert np.isnan(curve.value[curve.step > 250_000]).all()
    assert np.nanmax(curve.value) == np.nanmax(values)


def test_repeated_and_earlier_steps_show_the_newest_value(db, committer, script):
    """Points out of order are sorted, and of one step the newest is shown; the raw data keeps all."""
    writer = script().start()
    for step, value in [(10, 1.0), (5, 2.0), (7, 3.0), (5, 4.0), (12, 5.0)]:
        writer.log({"a": value}, step, time=100.0 - step)
    committer.submit(writer.batch())
    curve = read(db, writer.run, "a")
    assert list(zip(curve.step.tolist(), curve.value.tolist(), strict=True)) == [
        (5, 4.0),
        (7, 3.0),
        (10, 1.0),
        (12, 5.0),
    ]
    assert curve.n_points == 5
    by_time = read(db, writer.run, "a", x="time")
    assert by_time.step.tolist() == [12, 10, 7, 5, 5]
    assert curves.read_points(db, writer.run, "a").values.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_resumed_long_run_shows_the_newest_values(sqlite_db, monkeypatch):
    """A long run that logs steps again keeps every extreme, at a zoom exactly the newest values."""
    values = values_for(400_000)
    steps = np.concatenate([np.arange(250_000), np.arange(100_000, 250_000)]).astype(float)
    values[200_000], values[390_000] = 1e6, -1e6  # steps 200,000 (logged again) and 240,000
    run = fill(sqlite_db, ["loss"], np.column_stack([steps, np.arange(400_000.0), values]))
    compact_all(sqlite_db)
    newest = np.concatenate([values[:100_000], values[250_000:]])
    curve = read(sqlite_db, run)
    assert np.array_equal(curve.value, newest[curve.step])
    assert (curve.value.max(), curve.value.min()) == (newest.max(), -1e6)
    monkeypatch.setattr(drawing, "UNORDERED_LIMIT", 50_000)
    far = read(sqlite_db, run)
    assert (far.value.max(), far.value.min()) == (1e6, -1e6)
    assert (np.diff(far.x) >= 0).all()
    near = read(sqlite_db, run, start=199_000, stop=201_000)
    assert np.array_equal(near.value, newest[near.step])
    assert len(near.x) == 2000 or near.thinned


def test_compaction_changes_nothing_that_readers_see(db, script):
    """Raw points and curves are the same before and after, and a second call has nothing to do."""
    committer = ingest.Committer(db)
    writer = script().start()
    values = values_for(9000)
    for at in range(0, 9000, 250):
        committer.submit(writer.series("loss", values[at : at + 250], first_step=at).batch())
    committer.close()
    options = ({}, {"pixels": 50}, {"pixels": 50, "start": 100, "stop": 8000}, {"pixels": 50, "x": "time"})
    before = [read(db, writer.run, **option) for option in options]
    revision = db.revision()
    report = compaction.compact(db)
    assert (report.metrics, report.more) == (1, False)
    assert compaction.compact(db).metrics == 0
    assert db.revision() == revision
    for option, old in zip(options, before, strict=True):
        new = read(db, writer.run, **option)
        assert np.array_equal(new.step, old.step)
        assert np.array_equal(new.value, old.value)
    assert curves.read_points(db, writer.run, "loss").values.tobytes() == values.tobytes()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.integers(1, 6000), min_size=1, max_size=8), each=st.booleans(), data=st.data())
def test_blocks_and_levels_tile_whatever_the_compaction_does(sqlite_db, parts, each, data):
    """However points arrive and calls of the compaction cut in, each point is there once and levels agree."""
    total = sum(parts)
    values = values_for(total)
    steps = np.arange(total, dtype=float)
    table = np.column_stack([steps, steps, values])
    run, writer = new_id(), new_id()
    committer = ingest.Committer(sqlite_db)
    committer.submit(wire.build_batch(run, writer, 1, [wire.build_shape(1, 0, ["loss"])]))
    at = 0
    for n in parts:
        part = np.ascontiguousarray(table[at : at + n])
        committer.submit(wire.Batch(run, writer, 0, 2 + at, n, 0.0, records(part)))
        at += n
        if each:
            limit = data.draw(st.sampled_from([1, 5000, 1 << 20]))
            compaction.compact(sqlite_db, min_short_blocks=1, max_points=limit)
    committer.close()
    compact_all(sqlite_db)
    assert curves.read_points(sqlite_db, run, "loss").values.tobytes() == values.tobytes()
    curve = read(sqlite_db, run, pixels=3)
    assert (curve.value.max(), curve.value.min()) == (values.max(), values.min())


def test_many_curves_come_in_the_order_asked_for(db, committer, script):
    """Curves of many runs, ranks and missing metrics are answered in order, from one snapshot."""
    writers = [script().start() for _ in range(3)]
    for number, writer in enumerate(writers):
        committer.submit(writer.series("a", [float(number)] * 3).batch())
    other = script(writers[0].run, rank=4).start()
    committer.submit(other.series("only", [9.0]).batch())
    queries = [Query(writer.run, "a") for writer in writers]
    queries += [
        Query(writers[0].run, "missing"),
        Query(writers[0].run, "only"),
        Query(writers[0].run, "only", 0),
    ]
    found = curves.read_curves(db, queries, smoothing=EMA)
    assert [curve.value.tolist() for curve in found.curves] == [
        [0.0] * 3,
        [1.0] * 3,
        [2.0] * 3,
        [],
        [9.0],
        [],
    ]
    assert found.curves[4].rank == 4
    assert found.revision == db.revision()
    assert list(found.curves[0].columns) == ["x", "step", "value", "smooth"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"x": "weight"},
        {"pixels": 0},
        {"pixels": 10**9},
        {"start": math.nan},
        {"smoothing": {"kind": "ema", "weight": 1.0}},
        {"smoothing": {"kind": "median", "weight": 0.5}},
        {"smoothing": {"kind": "mean", "window": 0}},
        {"smoothing": {"kind": "median", "window": 1001}},
        {"smoothing": {"kind": "mean", "window": True}},
    ],
)
def test_parameters_out_of_range_are_refused(sqlite_db, wrong):
    """A wrong axis, width, range or smoothing is a QueryInvalid with a sentence."""
    with pytest.raises(QueryInvalid):
        curves.read_curves(sqlite_db, [Query(new_id(), "a")], **wrong)


def test_points_of_a_missing_metric_are_an_error(sqlite_db):
    """Raw points of something that does not exist are RunNotFound."""
    with pytest.raises(RunNotFound):
        curves.read_points(sqlite_db, new_id(), "a")
