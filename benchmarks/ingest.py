"""Points per second from a batch's bytes to the durable commit, and bytes per point after compaction.

    python -m benchmarks.ingest [--points 4000000] [--store URL]

One writer that waits for each acknowledgement: the commits are not grouped, the disk is waited for.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import numpy as np
import sqlalchemy as sa

from deepevent import wire
from deepevent.store import compaction, connection, ingest, migrate, schema
from deepevent.store.runs import new_id

BATCH_BYTES = 1 << 20


def training_columns(n: int, n_metrics: int, seed: int = 0) -> np.ndarray:
    """Return (n, 2 + n_metrics) float64: step, time and values as a training gives them.

    A step every 10 ms with a jitter of 0.1 ms; losses are float32 numbers that fall and are noisy.
    """
    rng = np.random.default_rng(seed)
    step = np.arange(n, dtype=np.float64)
    clock = 1.79e9 + np.cumsum(0.01 + rng.normal(0, 1e-4, n))
    columns = [step, clock]
    for _ in range(n_metrics):
        loss = np.exp(-step / n * 3) + rng.normal(0, 0.05, n)
        columns.append(loss.astype(np.float32).astype(np.float64))
    return np.column_stack(columns)


def points_records(columns: np.ndarray) -> bytes:
    """Return the records of shape 0; their own CRCs are left out, since a batch has one over all."""
    width = columns.shape[1]
    rows = np.zeros((len(columns), width + 2), "<u8")
    rows[:, 0], rows[:, 1] = 16 + 8 * width, 1 | (width - 2) << 16
    rows[:, 2] = columns[:, 0].astype(np.int64)
    rows[:, 3:] = np.ascontiguousarray(columns[:, 1:]).view("<u8")
    return rows.tobytes()


def batches(run: str, columns: np.ndarray) -> list[wire.Batch]:
    """Return what a writer sends to log these columns, in batches of about a megabyte."""
    writer, names = new_id(), [f"metric/{number}" for number in range(columns.shape[1] - 2)]
    start = {"type": "run", "name": "benchmark", "created": time.time()}
    first = [wire.build_event(1, start), wire.build_shape(2, 0, names)]
    made = [wire.build_batch(run, writer, 1, first)]
    rows = max(1, BATCH_BYTES // (16 + 8 * columns.shape[1]))
    for at in range(0, len(columns), rows):
        part = columns[at : at + rows]
        made.append(wire.Batch(run, writer, 0, 3 + at, len(part), time.time(), points_records(part)))
    return made


def fill(committer: ingest.Committer, run: str, columns: np.ndarray) -> None:
    """Log all of it."""
    for batch in batches(run, columns):
        committer.submit(batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=4_000_000)
    parser.add_argument("--store", help="address of an empty store; else a SQLite file that is removed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        db = connection.open_database(options.store or f"sqlite:///{folder}/deepevent.db")
        migrate.upgrade(db)
        for n_metrics in (1, 10, 100):
            measure(db, n_metrics, options.points)
        db.close()


def measure(db: connection.Database, n_metrics: int, n_points: int) -> None:
    run = new_id()
    sent = [wire.encode(batch) for batch in batches(run, training_columns(n_points // n_metrics, n_metrics))]
    committer = ingest.Committer(db)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    for data in sent:
        committer.submit(wire.decode(data))
    took, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    committer.close()
    begin = time.perf_counter()
    while compaction.compact(db, min_short_blocks=2).more:
        pass
    compacted = time.perf_counter() - begin
    print(
        f"{n_metrics:4} metrics: {n_points / took / 1e6:6.2f} M points/s "
        f"({n_points / cpu / 1e6:.2f} M per second of one core), "
        f"compaction {n_points / compacted / 1e6:.2f} M points/s, "
        f"{stored_bytes(db, run) / n_points:.2f} bytes a point"
    )


def stored_bytes(db: connection.Database, run: str) -> int:
    """Return the bytes of a run's blocks and levels; the file has about 3 % more for pages and keys."""
    blocks, levels, metrics = schema.blocks.c, schema.levels.c, schema.metrics.c
    ids = sa.select(metrics.id).where(metrics.run_id == run)
    size = sa.func.sum(
        sa.func.length(blocks.steps) + sa.func.length(blocks.times) + sa.func.length(blocks["values"])
    )
    with db.read() as c:
        points = c.execute(sa.select(size).where(blocks.metric_id.in_(ids))).scalar_one()
        buckets = sa.select(sa.func.sum(sa.func.length(levels.buckets))).where(levels.metric_id.in_(ids))
        return int(points) + int(c.execute(buckets).scalar() or 0)


if __name__ == "__main__":
    main()
