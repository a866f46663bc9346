"""The highest load that is sustained: log → pixel p99 within its budget while scripts log and pages watch.

Each step plays twice the load of the one before against a fresh server, until a step misses: not every point
arrived, the last was durable too late, or the page fell behind. Where the first misses already, each step
plays half, until one holds.
"""

from __future__ import annotations

import argparse

from benchmarks.playing import BUDGET_P99_MS, Load, Outcome, percentile, play


def main() -> None:
    """Search, and print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scripts", type=int, default=8)
    parser.add_argument("--metrics", type=int, default=20)
    parser.add_argument("--watchers", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each step (default: 30)")
    parser.add_argument("--first", type=float, default=20_000, help="points a second of the first step")
    parser.add_argument("--steps", type=int, default=7, help="at most so many (default: 7)")
    args = parser.parse_args()
    print(
        f"{args.scripts} scripts × {args.metrics} metrics, {args.watchers} sockets and a page watch, "
        f"{args.seconds:.0f} s a step; budget: p99 ≤ {BUDGET_P99_MS:.0f} ms"
    )
    print("points/s    to pixel p50   p99   to socket p50   p99    server CPU   memory   drained")
    best, wanted, factor = 0.0, args.first, 2.0
    for step in range(args.steps):
        rate = wanted / (args.scripts * args.metrics)
        load = Load(args.scripts, args.metrics, rate, args.watchers, args.seconds)
        outcome = play(load)
        print(_line(load, outcome), flush=True)
        if outcome.sustained:
            best = outcome.logged / args.seconds
        if step == 0 and not outcome.sustained:
            factor = 0.5
        if outcome.sustained != (factor > 1):
            break
        wanted *= factor
    print(f"highest load sustained: {best:,.0f} points/s" if best else "no load was sustained")


def _line(load: Load, outcome: Outcome) -> str:
    pixel, socket = outcome.to_pixel_ms, outcome.to_socket_ms
    arrived = "" if outcome.logged == outcome.stored else f"  {outcome.stored:,} of {outcome.logged:,} stored"
    return (
        f"{load.points_per_s:9,.0f}   {percentile(pixel, 50):9.0f} ms {percentile(pixel, 99):5.0f}"
        f"   {percentile(socket, 50):10.0f} ms {percentile(socket, 99):5.0f}"
        f"   {100 * outcome.cpu:9.0f} %   {outcome.at(outcome.memory, 1) / 1e6:4.0f} MB"
        f"   {outcome.drained_s:5.1f} s{arrived}"
    )


if __name__ == "__main__":
    main()
