"""A store's process whose power goes: commits batches of one run, and notes each acknowledgement.

Runs under `disk_shim.c`; an acknowledgement is a record of kind 4 in the shim's own log, so that it stands
between the disk operations before it and those after it.
"""

from __future__ import annotations

import math
import os
import struct
import sys

from deepevent import wire
from deepevent.store import compaction, connection, ingest

POINTS_PER_BATCH = 400
N_BATCHES = 220
COMPACT_EVERY = 60


def value_of(step: int) -> float:
    """Return the value of a step: no two alike in any byte, so that they take room."""
    return math.sin(step * step + 0.5)


def main() -> None:
    """Log until the end; the caller cuts the power at any place afterwards."""
    url, run, writer, log_path = sys.argv[1:]
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND)
    db = connection.open_database(url)
    committer = ingest.Committer(db)
    sequence = 1
    for number in range(N_BATCHES):
        first = number * POINTS_PER_BATCH
        records = []
        if number == 0:
            records.append(wire.build_event(1, {"type": "run", "name": "power", "created": 1.0}))
            records.append(wire.build_shape(2, 0, ["value"]))
        for step in range(first, first + POINTS_PER_BATCH):
            records.append(wire.build_points(sequence + len(records), 0, step, step * 0.1, [value_of(step)]))
        last = committer.submit(wire.build_batch(run, writer, sequence, records)).last_sequence
        sequence += len(records)
        assert last == sequence - 1
        os.write(log, struct.pack("<BBHIq", 4, 0, 0, 0, first + POINTS_PER_BATCH))
        if number % COMPACT_EVERY == COMPACT_EVERY - 1:
            compaction.compact(db, min_short_blocks=2)
    committer.close()
    db.close()


if __name__ == "__main__":
    main()
