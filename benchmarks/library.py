"""Writes a store full of finished runs straight through the tables: how they came is not what is tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from deepevent.store import connection, migrate, schema
from deepevent.store.apply import new_run
from deepevent.store.blocks import encode
from deepevent.store.runs import new_id
from deepevent.store.values import dumps, flatten

METRICS = ("train/loss", "val/loss", "val/accuracy")
POINTS = 20
FIRST_CREATED = 1.7e9
RATES = (0.1, 0.03, 0.01, 0.003)


def fill(home: Path, n_runs: int) -> list[str]:
    """Make a home with `n_runs` runs, oldest first; each has a config, a tag and three short metrics.

    Returns: their ids, oldest first. Run i is named `run 00000i` and logs `val/accuracy` up to i / n_runs.
    """
    db = connection.open_database(f"sqlite:///{home / 'deepevent.db'}")
    migrate.upgrade(db)
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("runs", "run_values", "run_tags", "metrics", "blocks")
    }
    steps = np.arange(POINTS, dtype=np.int64)
    with db.write() as c:
        revision = c.execute(sa.select(schema.store.c.revision)).scalar_one() + 1
        for number in range(n_runs):
            created = FIRST_CREATED + number * 60
            config = {"lr": RATES[number % 4], "seed": number % 5, "net": f"net{number % 3}"}
            row = new_run(new_id(created), created).row
            row |= {"name": f"run {number:06}", "project": "library", "config": dumps(config)}
            row |= {"group": f"group {number % 7}", "status": "completed", "finished": created + 600}
            row |= {"n_metrics": len(METRICS), "revision": revision, "heartbeat": created + 600}
            rows["runs"].append(row)
            for key, (value, text) in flatten(config).items():
                rows["run_values"].append(
                    {"run_id": row["id"], "source": "config", "key": key, "number": value, "text": text}
                )
            rows["run_tags"].append({"run_id": row["id"], "tag": f"tag {number % 50}"})
            for ordinal, name in enumerate(METRICS):
                top = (number + 1) / n_runs
                ends = (0, top) if name == "val/accuracy" else (2, 1 - top / 2)
                values = np.linspace(*ends, POINTS)
                times = created + np.arange(POINTS, dtype=np.float64)
                metric = number * len(METRICS) + ordinal + 1
                rows["metrics"].append(_metric(metric, row["id"], name, ordinal, values, times, revision))
                rows["blocks"].append(_block(metric, steps, times, values))
        for name, found in rows.items():
            c.execute(sa.insert(schema.metadata.tables[name]), found)
        c.execute(sa.update(schema.store).values(revision=revision, next_metric_id=n_runs * len(METRICS) + 1))
    db.close()
    return [row["id"] for row in rows["runs"]]


def _metric(
    number: int, run: str, name: str, ordinal: int, values: Any, times: Any, revision: int
) -> dict[str, Any]:
    return {
        "id": number,
        "run_id": run,
        "name": name,
        "rank": 0,
        "ordinal": ordinal,
        "n_points": POINTS,
        "first_step": 0,
        "last_step": POINTS - 1,
        "last_time": float(times[-1]),
        "last": float(values[-1]),
        "min": float(values.min()),
        "min_step": int(values.argmin()),
        "max": float(values.max()),
        "max_step": int(values.argmax()),
        "n_nan": 0,
        "n_positive_infinity": 0,
        "n_negative_infinity": 0,
        "n_breaks": 0,
        "times_ordered": True,
        "n_compacted": 0,
        "n_short_blocks": 0,
        "revision": revision,
    }


def _block(metric: int, steps: Any, times: Any, values: Any) -> dict[str, Any]:
    return {
        "metric_id": metric,
        "first_index": 0,
        "n": POINTS,
        "min_step": 0,
        "max_step": POINTS - 1,
        "min_time": float(times[0]),
        "max_time": float(times[-1]),
        "steps": encode(steps),
        "times": encode(times),
        "values": encode(values),
    }
