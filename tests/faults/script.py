"""The training script that the fault tests kill: it logs numbered points and keeps a ledger of them.

The ledger is a mapped file of two numbers, the last step handed to `log` and the last for which `log` has
returned. It survives kill -9 as the journal does, and is the only witness of what must be in the store.
"""

from __future__ import annotations

import argparse
import mmap
import time
from pathlib import Path

import deepevent
from deepevent import transport


def value_of(step: int) -> float:
    """Return the value that belongs to a step: all bits in use, and never the same twice."""
    return (step * 2654435761 % 2**31) / 2**20 + step


def main() -> None:
    """Log until the count is reached, or for ever."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--resume")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1 << 60)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two calls")
    parser.add_argument("--name", default="fault")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds that flush may take at the end")
    parser.add_argument("--patience", type=float, help="seconds that the client waits for an answer")
    args = parser.parse_args()
    if args.patience:
        transport.ANSWER_TIMEOUT_S = args.patience

    run = deepevent.start(name=args.name, project="faults", resume=args.resume)
    args.ledger.with_suffix(".run").write_text(run.id)
    with (
        args.ledger.open("r+b") as file,
        mmap.mmap(file.fileno(), 16) as ledger,
        memoryview(ledger).cast("q") as numbers,
    ):
        # One aligned store each: struct.pack_into clears the bytes first, and a kill in between would show 0.
        for step in range(args.first, args.first + args.count):
            numbers[0] = step
            run.log({"value": value_of(step)}, step=step)
            numbers[1] = step
            if args.pause:
                time.sleep(args.pause)
    run.flush(timeout=args.wait)
    run.finish()


if __name__ == "__main__":
    main()
