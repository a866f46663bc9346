"""Milliseconds to read a long curve at several zooms, and many short ones; bytes on disk per point.

    python -m benchmarks.curve_read [--points 10000000] [--store FILE]

A spike of one point lies in the long curve, and every zoom that holds it must show it. With --store the
file is kept, and filled only the first time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.ingest import fill, training_columns
from deepevent.store import compaction, connection, curves, ingest, migrate, runs
from deepevent.store.runs import new_id

CHUNK = 1_000_000
SPIKE = 1e6
REPEATS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = (options.store or Path(folder) / "deepevent.db").resolve()
        db = connection.open_database(f"sqlite:///{path}")
        migrate.upgrade(db)
        if runs.list_runs(db).total == 0:
            fill_long(db, options.points)
            print(f"{path.stat().st_size / options.points:.2f} bytes on disk per point")
            fill_many(db)
        long = runs.list_runs(
            db, filter='project = "default" and name = "benchmark"', sort="created", limit=1
        )
        measure_long(db, long.runs[0]["id"])
        measure_many(db)
        db.close()


def fill_long(db: connection.Database, n: int) -> None:
    run, at = new_id(), 0
    committer = ingest.Committer(db)
    while at < n:
        columns = training_columns(min(CHUNK, n - at), 1, seed=at)
        columns[:, 0] += at
        columns[:, 1] += at * 0.01 + (0.1 * at / CHUNK)  # chunks follow each other in time
        if at <= n * 2 // 3 < at + len(columns):
            columns[n * 2 // 3 - at, 2] = SPIKE
        fill(committer, run, columns)
        at += len(columns)
        while compaction.compact(db).more:
            pass
    committer.close()
    while compaction.compact(db, min_short_blocks=2).more:
        pass


def fill_many(db: connection.Database) -> None:
    committer = ingest.Committer(db)
    for number in range(100):
        fill(committer, new_id(), training_columns(1000, 5, seed=number))
    committer.close()


def measure_long(db: connection.Database, run: str) -> None:
    metric = runs.list_metrics(db, run)[0]
    n, spike = metric["n"], metric["max_step"]
    query = [curves.Query(run, metric["name"])]
    for title, share in (("all", 2.0), ("a tenth", 0.05), ("a hundredth", 0.005), ("2,000 points", 1000 / n)):
        width = max(1, int(n * share))
        zoom = {"start": max(0, spike - width), "stop": spike + width}
        took, found = timed(lambda zoom=zoom: curves.read_curves(db, query, **zoom))
        assert found.curves[0].value.max() == SPIKE, "the spike is gone"
        print(f"{n:,} points, {title}: {took * 1000:.1f} ms, {len(found.curves[0].x)} vertices, spike shown")
    for title, extra in (
        ("time axis", {"x": "time"}),
        ("smoothed", {"smoothing": {"kind": "ema", "weight": 0.99}}),
    ):
        took, _ = timed(lambda extra=extra: curves.read_curves(db, query, **extra))
        print(f"{n:,} points, all, {title}: {took * 1000:.1f} ms")


def measure_many(db: connection.Database) -> None:
    listed = runs.list_runs(db, limit=100, metrics=[]).runs
    queries = [curves.Query(run["id"], f"metric/{number}") for run in listed for number in range(5)]
    took, found = timed(lambda: curves.read_curves(db, queries))
    n = sum(len(curve.x) for curve in found.curves)
    print(f"{len(queries)} curves, {n:,} vertices: {took * 1000:.1f} ms")


def timed(call: Callable[[], curves.CurveSet]) -> tuple[float, curves.CurveSet]:
    """Return the median time of a call, and its result."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times), result


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
