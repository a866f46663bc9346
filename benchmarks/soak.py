"""Ten minutes under a steady load: log → pixel, memory over time, and growth per million points.

`--minutes 60` makes it an hour. It fails if a point is missing.
"""

from __future__ import annotations

import argparse

from benchmarks.playing import BUDGET_P99_MS, Load, Outcome, percentile, play

SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    """Play, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--scripts", type=int, default=8)
    parser.add_argument("--metrics", type=int, default=20)
    parser.add_argument("--rate", type=float, default=50.0, help="calls a second of each script (50)")
    parser.add_argument("--watchers", type=int, default=5)
    args = parser.parse_args()
    seconds = 60 * args.minutes
    load = Load(args.scripts, args.metrics, args.rate, args.watchers, seconds, max(0.5, seconds / 1500))
    outcome = play(load)
    _print(load, outcome)
    if outcome.logged != outcome.stored:
        raise SystemExit(f"{outcome.logged:,} points were logged and {outcome.stored:,} are stored")


def _print(load: Load, outcome: Outcome) -> None:
    millions = outcome.logged / 1e6
    pixel, socket = outcome.to_pixel_ms, outcome.to_socket_ms
    print(
        f"{load.scripts} scripts × {load.metrics} metrics × {load.calls_per_s:g}/s = "
        f"{load.points_per_s:,.0f} points/s for {load.seconds / 60:.0f} minutes; "
        f"{load.watchers} sockets and a page watch"
    )
    print(f"points     {outcome.logged:,} logged, {outcome.stored:,} stored")
    print(f"drained    in {outcome.drained_s:.1f} s")
    print(
        f"to pixel   p50 {percentile(pixel, 50):.0f} ms, p99 {percentile(pixel, 99):.0f} ms "
        f"(budget {BUDGET_P99_MS:.0f}), worst {percentile(pixel, 100):.0f} ms of {len(pixel)} points"
    )
    print(f"to socket  p50 {percentile(socket, 50):.0f} ms, p99 {percentile(socket, 99):.0f} ms")
    per_million = outcome.cpu * load.seconds / millions
    print(f"server     {100 * outcome.cpu:.0f} % of a core, {per_million:.0f} s of it per million points")
    over = ", ".join(f"{100 * share:.0f} % {outcome.at(outcome.memory, share) / 1e6:.1f}" for share in SHARES)
    print(f"memory     MB after {over}")
    # From a tenth on: by then every metric is known and every cache is warm.
    grown = outcome.at(outcome.memory, 1.0) - outcome.at(outcome.memory, 0.1)
    print(f"memory     {grown / 1e6 / (0.9 * millions):+.2f} MB per million points")
    disk = outcome.at(outcome.disk, 1.0) - outcome.at(outcome.disk, 0.1)
    print(f"disk       {disk / 1e6 / (0.9 * millions):.2f} MB per million points")


if __name__ == "__main__":
    main()
