"""What one `run.log` costs the script: median and 99th percentile, for one and for ten scalars.

Run it alone: `python benchmarks/log_call.py [--calls N]`. The budgets are those of DESIGN §11. Each call is
timed by itself, the clock's own cost included; the shipper's thread runs beside it, as in a training.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence

CALLS = 200_000
WARM_UP = 2_000
BUDGETS_US = {1: (1.5, 10.0), 10: (5.0, 25.0)}  # scalars → median, 99th percentile


def measure(values: dict[str, float], n_calls: int) -> tuple[float, float, float]:
    """Return median, 99th percentile and mean in microseconds of `run.log(values, step)`."""
    import deepevent

    run = deepevent.start(name="log_call")
    clock = time.perf_counter_ns
    for step in range(WARM_UP):
        run.log(values, step=step)
    costs = [0] * n_calls
    begun = clock()
    for step in range(n_calls):
        before = clock()
        run.log(values, step=step)
        costs[step] = clock() - before
    whole = clock() - begun
    run.finish()
    costs.sort()
    return statistics.median(costs) / 1e3, costs[n_calls * 99 // 100] / 1e3, whole / n_calls / 1e3


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    rows = []
    for n_scalars, (median_budget, p99_budget) in BUDGETS_US.items():
        values = {f"metric/{i}": i / 3 for i in range(n_scalars)}
        with tempfile.TemporaryDirectory() as home:
            os.environ["DEEPEVENT_HOME"] = home
            median, p99, mean = measure(values, arguments.calls)
        rows.append(
            {
                "scalars": n_scalars,
                "median_us": median,
                "p99_us": p99,
                "mean_us": mean,
                "within_budget": median <= median_budget and p99 <= p99_budget,
            }
        )
    if arguments.json:
        print(json.dumps(rows))
        return 0
    print(f"Python {sys.version.split()[0]}, {arguments.calls} calls each")
    print("scalars   median µs   p99 µs   mean µs   budget (median, p99)")
    for row in rows:
        budget = BUDGETS_US[int(row["scalars"])]
        print(
            f"{row['scalars']:7}   {row['median_us']:9.2f}   {row['p99_us']:6.2f}   {row['mean_us']:7.2f}   "
            f"{budget[0]}, {budget[1]}: {'held' if row['within_budget'] else 'missed'}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
