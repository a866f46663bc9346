"""Write a spool of thousands of batches, as a script does that logged for days without a server.

A batch never spans segments, so small segments make many batches out of few points.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from deepevent.ids import new_id
from deepevent.journal import Journal

SMALL_SEGMENT = 4096


def value_of(step: int) -> float:
    """Return the value that belongs to a step; the same as in `script.py`."""
    return (step * 2654435761 % 2**31) / 2**20 + step


def main() -> None:
    """Log until the folder holds as many segments as were asked for; print run id and number of points."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("segments", type=int)
    args = parser.parse_args()
    run_id, writer_id = new_id(), new_id()
    folder = args.home / "spool" / run_id / writer_id
    first = {"type": "run", "name": "days offline", "project": "faults", "created": time.time()}
    journal = Journal(str(folder), run_id, writer_id, 0, first, segment_size=SMALL_SEGMENT)
    step = 0
    while journal.snapshot()[0] < args.segments:
        journal.log({"value": value_of(step)}, step)
        step += 1
    journal.seal()
    journal.release()
    print(run_id, step)


if __name__ == "__main__":
    main()
