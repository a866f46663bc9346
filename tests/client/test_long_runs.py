"""Runs of millions of calls and thousands of names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import deepevent

SCRIPT = """
import deepevent, os
def resident():
    with open('/proc/self/statm') as file:
        whole = file.read().split()
    return (int(whole[1]) - int(whole[2])) * os.sysconf('SC_PAGE_SIZE')  # without mapped files
run = deepevent.start()
values = {'loss': 0.5, 'accuracy': 0.25}
for step in range(100_000):
    run.log(values, step)
before = resident()
for step in range(100_000, 2_000_000):
    run.log(values, step)
print(resident() - before)
"""


def test_memory_is_flat(home: Path) -> None:
    """Two million calls take no more memory than a hundred thousand."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4 << 20


def test_ten_thousand_names_cost_nothing_more(run_here: Any) -> None:
    """With 10,000 names known, a call still writes one record, of the size of its own values."""
    journal = run_here._journal
    names = [f"layer/{number}" for number in range(10_000)]
    for start in range(0, 10_000, 100):
        run_here.log(dict.fromkeys(names[start : start + 100], 1.0))
    values = dict.fromkeys(names[:100], 2.0)
    run_here.log(values)  # declares its shape again, if the segment is a new one
    _, offset, sequence = journal.snapshot()
    run_here.log(values)
    _, later, following = journal.snapshot()
    assert following - sequence == 1
    assert later - offset == 8 * (4 + 100)
    assert deepevent.current_run() is run_here
