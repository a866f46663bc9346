"""A curve of 100 million points at every zoom, with the one-point spike found; and what deleting it holds up.

    python -m benchmarks.curve_read [--points 100000000] [--store FILE]

Milliseconds are those of the read in the server's process; the budget is that of DESIGN §11. The blocks and
levels are written straight into the store, as the compaction leaves them: how points come in is measured by
`ingest`. With --store the file is kept, and filled only the first time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from benchmarks.ingest import batches, fill, training_columns
from deepevent.store import compaction, connection, curves, deletion, ingest, migrate, runs, schema
from deepevent.store.apply import new_run
from deepevent.store.blocks import BLOCK_POINTS, Points
from deepevent.store.reader import METRIC_COLUMNS, Metric
from deepevent.store.runs import new_id
from deepevent.store.series import SUMMARY, Series

CHUNK = 1 << 20
SPIKE = 1e6
REPEATS = 9
BUDGET_MS = 20.0
METRIC_ID = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100_000_000)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = (options.store or Path(folder) / "deepevent.db").resolve()
        db = connection.open_database(f"sqlite:///{path}")
        migrate.upgrade(db)
        if runs.list_runs(db).total == 0:
            began = time.perf_counter()
            fill_long(db, options.points // BLOCK_POINTS * BLOCK_POINTS)
            took, size = time.perf_counter() - began, path.stat().st_size
            print(f"filled in {took:.0f} s, {size / options.points:.2f} bytes on disk per point")
            fill_many(db)
        long = runs.list_runs(db, filter='name = "long"', limit=1).runs[0]["id"]
        measure_long(db, long)
        measure_many(db)
        if options.store is None:
            measure_deletion(db, long)
        db.close()


def fill_long(db: connection.Database, n: int) -> None:
    """Write a run of one metric, a training that goes on and on, with the spike at two thirds."""
    run = new_run(new_id(), time.time()).row | {"name": "long", "n_metrics": 1, "revision": 1}
    series = Series(METRIC_ID, run["id"], "metric/0", 0, 0)
    table = schema.metrics
    with db.write() as c:
        c.execute(sa.insert(schema.runs), run)
        c.execute(sa.insert(table), _row(series) | {"n_compacted": 0, "n_short_blocks": 0, "revision": 1})
        c.execute(sa.update(schema.store).values(next_metric_id=METRIC_ID + 1, revision=1))
    for at in range(0, n, CHUNK):
        size = min(CHUNK, n - at)
        columns = training_columns(size, 1, seed=at)
        times = columns[:, 1] + at * 0.01 + 0.2 * at / CHUNK  # chunks follow each other in time
        if at <= n * 2 // 3 < at + size:
            columns[n * 2 // 3 - at, 2] = SPIKE
        points = Points(at, np.arange(at, at + size), times, columns[:, 2].copy())
        with db.write() as c:
            row = c.execute(sa.select(*(table.c[name] for name in METRIC_COLUMNS))).one()
            compaction.write_blocks(c, Metric(*row), points, points)
            series.absorb(points)
            c.execute(sa.update(table).values(**_row(series), n_compacted=at + size))


def _row(series: Series) -> dict[str, object]:
    return {name: getattr(series, name) for name in ("id", "run_id", "name", "rank", "ordinal", *SUMMARY)}


def fill_many(db: connection.Database) -> None:
    committer = ingest.Committer(db)
    for number in range(100):
        fill(committer, new_id(), training_columns(1000, 5, seed=number))
    committer.close()


def measure_long(db: connection.Database, run: str) -> None:
    metric = runs.list_metrics(db, run)[0]
    n, spike = metric["n"], metric["max_step"]
    query = [curves.Query(run, metric["name"])]
    slowest = 0.0
    zooms = ("all", 2.0), ("a tenth", 0.05), ("a hundredth", 0.005), ("a ten-thousandth", 0.00005)
    for title, share in (*zooms, ("2,000 points", 1000 / n)):
        width = max(1, int(n * share))
        zoom = {"start": max(0, spike - width), "stop": spike + width}
        took, cpu, found = timed(lambda zoom=zoom: curves.read_curves(db, query, **zoom))
        assert found.curves[0].value.max() == SPIKE, "the spike is gone"
        slowest = max(slowest, took * 1000)
        vertices = len(found.curves[0].x)
        print(f"{n:,} points, {title}: {took * 1000:.1f} ms ({cpu * 1000:.1f} ms of a core), ", end="")
        print(f"{vertices} vertices, spike shown")
    for title, extra in (
        ("time axis", {"x": "time"}),
        ("smoothed", {"smoothing": {"kind": "ema", "weight": 0.99}}),
    ):
        took, cpu, _ = timed(lambda extra=extra: curves.read_curves(db, query, **extra))
        print(f"{n:,} points, all, {title}: {took * 1000:.1f} ms ({cpu * 1000:.1f} ms of a core)")
    if slowest > BUDGET_MS:
        print(f"MISSED: the slowest zoom took {slowest:.1f} ms, the budget is {BUDGET_MS:.0f}")


def measure_many(db: connection.Database) -> None:
    listed = runs.list_runs(db, filter='name = "benchmark"', limit=100, metrics=[]).runs
    queries = [curves.Query(run["id"], f"metric/{number}") for run in listed for number in range(5)]
    took, _, found = timed(lambda: curves.read_curves(db, queries))
    n = sum(len(curve.x) for curve in found.curves)
    print(f"{len(queries)} curves, {n:,} vertices: {took * 1000:.1f} ms")


def measure_deletion(db: connection.Database, run: str) -> None:
    """Delete the long run while a script logs, and print what its batches waited for their commit."""
    done = threading.Event()
    waits: list[float] = []

    def log() -> None:
        committer = ingest.Committer(db)
        for batch in batches(new_id(), training_columns(4_000_000, 1))[:-1]:
            if done.is_set():
                break
            began = time.perf_counter()
            committer.submit(batch)
            waits.append(time.perf_counter() - began)
            done.wait(0.02)
        committer.close()

    script = threading.Thread(target=log)
    script.start()
    began = time.perf_counter()
    deletion.delete_run(db, run, limit_s=300.0)
    took = time.perf_counter() - began
    done.set()
    script.join()
    print(
        f"deleted in {took:.1f} s; {len(waits)} batches of another script meanwhile waited "
        f"{statistics.median(waits) * 1000:.0f} ms, the longest {max(waits) * 1000:.0f} ms"
    )


def timed(call: Callable[[], curves.CurveSet]) -> tuple[float, float, curves.CurveSet]:
    """Return the median time of a call, that of its processor, and its result."""
    times, cpus = [], []
    for _ in range(REPEATS):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        result = call()
        times.append(time.perf_counter() - begin)
        cpus.append(time.process_time() - begin_cpu)
    return statistics.median(times), statistics.median(cpus), result


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
