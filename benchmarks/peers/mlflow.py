"""MLflow: SQLite, `mlflow server`."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from worker import request


def _environment(folder: Path) -> dict[str, str]:
    return {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    }


class Run:
    """A run by the fluent interface, synchronous as it is by default."""

    def __init__(self, folder: Path, name: str) -> None:
        os.environ.update(_environment(folder))
        import mlflow

        self._mlflow = mlflow
        mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
        self.id = mlflow.start_run(run_name=name).info.run_id

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Log one step."""
        if len(scalars) == 1:
            ((key, value),) = scalars.items()
            self._mlflow.log_metric(key, value, step=step)
        else:
            self._mlflow.log_metrics(scalars, step=step)

    def close(self) -> None:
        """Finish the run."""
        self._mlflow.end_run()


def open_run(folder: Path, name: str) -> Run:
    """Start a run."""
    return Run(folder, name)


def write_run(folder: Path, name: str, steps: list[dict[str, float]]) -> str:
    """Write a whole run in batches of 1,000 values, the most that one call takes."""
    from mlflow.entities import Metric

    run = Run(folder, name)
    now = int(time.time() * 1000)
    batch = [
        Metric(key, value, now + step, step)
        for step, scalars in enumerate(steps)
        for key, value in scalars.items()
    ]
    for start in range(0, len(batch), 1000):
        run._mlflow.MlflowClient().log_batch(run.id, metrics=batch[start : start + 1000])
    run.close()
    return run.id


def server(folder: Path, port: int) -> tuple[list[str], dict[str, str], str]:
    """Return its command, with its default number of workers."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += [
        "--default-artifact-root",
        str(folder / "artifacts"),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    return command, _environment(folder), "/"


def read_curve(url: str, run: str, metric: str) -> list[float]:
    """Fetch one curve as its run page does."""
    return [point["value"] for point in _history(url, [run], metric)]


def compare(url: str, runs: list[str], metrics: list[str]) -> int:
    """Fetch one metric of all runs with one request, at the 320 points a run that its page asks for."""
    return sum(len(_history(url, runs, metric)) for metric in metrics)


def _history(url: str, runs: list[str], metric: str) -> list[dict[str, float]]:
    query = "&".join(
        [*(f"run_ids={run}" for run in runs), f"metric_key={metric.replace('/', '%2F')}", "max_results=320"]
    )
    answer = json.loads(request(f"{url}/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?{query}"))
    history: list[dict[str, float]] = answer.get("metrics", [])
    return history
