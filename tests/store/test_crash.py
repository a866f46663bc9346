"""kill -9 of a process that ingests loses nothing that it acknowledged and doubles nothing."""

from __future__ import annotations

import subprocess
import sys

from deepevent.store import connection, curves, ingest

CHILD = """
import sys, threading
sys.path.insert(0, sys.argv[2])
from conftest import Script
from deepevent.store import connection, ingest

db = connection.open_database(sys.argv[1])
committer = ingest.Committer(db)
lock = threading.Lock()

def work():
    script = Script().start()
    for number in range(10**6):
        first = number * 50
        batch = script.series("x", [float(step) for step in range(first, first + 50)], first).batch()
        last = committer.submit(batch).last_sequence
        with lock:
            print(script.run, script.writer, number, last, flush=True)

threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
"""


def test_killed_while_it_commits(url, script, request):
    """After a kill at a random moment every acknowledged batch is whole, and a resend is counted once."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, url, str(request.path.parent)], stdout=subprocess.PIPE, text=True
    )
    acknowledged: dict[str, tuple[str, int, int]] = {}
    assert child.stdout is not None
    for n_lines, line in enumerate(child.stdout, 1):
        run, writer, number, last = line.split()
        acknowledged[run] = writer, int(number), int(last)
        if n_lines == 60:
            child.kill()
    child.wait()
    child.stdout.close()
    assert len(acknowledged) == 3
    db = connection.open_database(url)
    committer = ingest.Committer(db)
    for run, (writer, number, last) in acknowledged.items():
        found = curves.read_points(db, run, "x").values.tolist()
        assert found[: 50 * (number + 1)] == [float(step) for step in range(50 * (number + 1))]
        assert len(found) in (50 * (number + 1), 50 * (number + 2))
        again = script(run)
        again.writer, again.next, again.shapes = writer, last + 1, {("x",): 0}
        batch = again.series(
            "x", [float(step) for step in range(len(found) + 50)][50 * (number + 1) :]
        ).batch()
        committer.submit(batch)
        assert curves.read_points(db, run, "x").values.tolist() == [
            float(step) for step in range(len(found) + 50)
        ]
    committer.close()
    db.close()
