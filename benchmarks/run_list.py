"""Claim: the list of 100,000 runs, filtered and sorted, opens at once."""

from __future__ import annotations

import random
import time
from pathlib import Path

from benchmarks.claim import Claim, Column, Subject

RUNS = 100_000
METRICS = ("train/loss", "val/accuracy")
FILTER = 'status = "completed" and config.lr < 0.01 and metrics["val/accuracy"].max > 0.9'
QUERIES = {
    "newest": {},
    "filtered": {"filter": FILTER},
    "by_config": {"sort": "-config.lr"},
    "by_metric": {"sort": '-metrics["val/accuracy"].max'},
    "both": {"filter": FILTER, "sort": '-metrics["val/accuracy"].max'},
}


def prepare(subject: Subject, folder: Path) -> None:
    """Write the rows of finished runs straight into the tables: how they came is not what is measured."""
    import sqlalchemy as sa

    from deepevent.store import connection, migrate, schema
    from deepevent.store.apply import new_run
    from deepevent.store.runs import new_id
    from deepevent.store.values import dumps

    chance = random.Random(11)
    database = connection.open_database(f"sqlite:///{folder / 'runs.db'}")
    migrate.upgrade(database)
    for start in range(0, RUNS, 10_000):
        runs, values, tags, metrics = [], [], [], []
        for number in range(start, start + 10_000):
            created = 1.7e9 + number * 60
            config = {
                "lr": 10 ** chance.uniform(-5, -1),
                "layers": chance.randrange(2, 20),
                "net": chance.choice("abc"),
            }
            row = new_run(new_id(created), created).row
            row |= {"name": f"run {number}", "project": f"project {number % 20}", "config": dumps(config)}
            row |= {"status": chance.choice(("completed", "completed", "failed")), "finished": created + 3600}
            row |= {"n_metrics": len(METRICS), "revision": number}
            runs.append(row)
            for key, value in config.items():
                numeric = isinstance(value, int | float)
                flat = {"number": value if numeric else None, "text": None if numeric else value}
                values.append({"run_id": row["id"], "source": "config", "key": key, **flat})
            tags.append({"run_id": row["id"], "tag": f"tag {number % 50}"})
            for ordinal, name in enumerate(METRICS):
                low, high = sorted((chance.random(), chance.random()))
                metric = {
                    "id": number * len(METRICS) + ordinal + 1,
                    "run_id": row["id"],
                    "name": name,
                    "rank": 0,
                }
                metric |= {"ordinal": ordinal, "n_points": 1000, "first_step": 0, "last_step": 999}
                metric |= {"last_time": created + 3600, "last": high, "min": low, "min_step": 5, "max": high}
                metric |= {"max_step": 900, "n_nan": 0, "n_positive_infinity": 0, "n_negative_infinity": 0}
                metric |= {"breaks": b"", "n_breaks": 0, "times_ordered": True, "n_compacted": 0}
                metrics.append(metric | {"n_short_blocks": 0, "revision": number})
        with database.write() as connected:
            for table, rows in (
                (schema.runs, runs),
                (schema.run_values, values),
                (schema.run_tags, tags),
                (schema.metrics, metrics),
            ):
                connected.execute(sa.insert(table), rows)
    database.close()


def measure(subject: Subject, folder: Path) -> dict[str, float]:
    from deepevent.store import connection, runs

    database = connection.open_database(f"sqlite:///{folder / 'runs.db'}")
    runs.list_runs(database, limit=1)
    took = {}
    for name, query in QUERIES.items():
        start = time.perf_counter()
        page = runs.list_runs(database, limit=100, **query)
        took[name] = (time.perf_counter() - start) * 1e3
        assert page.runs, f"the query {query} finds runs"
    database.close()
    return took


CLAIM = Claim(
    name="run_list",
    title="The first page of 100,000 runs, ms",
    how=(
        "`runs.list_runs` in the process, 100 runs a page, on a database that was opened just before. The"
        f" filter is `{FILTER}`."
    ),
    columns=(
        Column("newest", "newest first", budget=100),
        Column("filtered", "filtered", budget=100),
        Column("by_config", "by config.lr", budget=100),
        Column("by_metric", "by a metric's maximum", budget=100),
        Column("both", "filtered, by metric", budget=100),
    ),
    prepare=prepare,
    measure=measure,
    peers=(),
)
