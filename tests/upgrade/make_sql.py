"""Write the SQL text of a small store at this program's revision: `python tests/upgrade/make_sql.py FILE`.

Run once for every released revision; the file is kept and never changed again.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from pathlib import Path

from deepevent import wire
from deepevent.store import connection, ingest, migrate

RUN, WRITER = "01m86zzzzz0000000000000000", "01m86zzzzz0000000000000001"


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deepevent.db"
        db = connection.open_database(f"sqlite:///{path}")
        migrate.upgrade(db)
        committer = ingest.Committer(db, clock=lambda: 2000.0)
        records = [
            wire.build_event(
                1, {"type": "run", "name": "kept", "project": "p", "config": {"lr": 0.1}, "tags": ["old"]}
            ),
            wire.build_shape(2, 0, ("loss",)),
            *(wire.build_points(3 + step, 0, step, 1000.0 + step, [1.0 / (1 + step)]) for step in range(300)),
            wire.build_event(303, {"type": "log", "stream": "stdout", "text": "hello\n", "time": 1.0}),
            wire.build_event(304, {"type": "finish", "status": "completed", "time": 1500.0}),
        ]
        committer.submit(wire.build_batch(RUN, WRITER, 1, records, 0))
        committer.close()
        db.close()
        source = sqlite3.connect(path)
        target.write_text("\n".join(source.iterdump()) + "\n", encoding="utf-8")
        source.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
