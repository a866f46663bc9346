"""kill -9 of a real script at random moments: every point whose `log` call had returned is found again."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deepevent import wire
from deepevent.spool import Report, adopt

SCRIPT = """
import sys
import deepevent
run = deepevent.start(name="victim")
sys.stdout.write(run.id + "\\n")
step = 0
while True:
    run.log({"a": step / 7, "b": float(step), f"c/{step % 5}": -0.0}, step=step, epoch=step // 100)
    step += 1
    sys.stdout.write(f"{step}\\n")  # said before the next call
"""
N_KILLS = 12


def kill_a_script(home: Path, after_lines: int) -> int:
    """Let the script log about that many points, kill it, and return how many calls had surely returned."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", SCRIPT],
        env={"DEEPEVENT_HOME": str(home), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    last = ""
    for _ in range(after_lines):
        last = process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().splitlines()
    process.stdout.close()
    process.wait()
    said = [line for line in [last, *rest] if line.strip().isdecimal()]
    return int(said[-1]) if said else 0


@pytest.mark.parametrize("kill", range(N_KILLS))
def test_no_logged_point_is_lost(tmp_path: Path, kill: int) -> None:
    """The spool of a killed script holds every point that was logged, once, and nothing made up."""
    generator = random.Random(kill)
    n_logged = kill_a_script(
        tmp_path, generator.randrange(1, 20_000) if kill % 3 else generator.randrange(2, 60)
    )
    shapes: dict[int, tuple[str, ...]] = {}
    points: list[wire.Record] = []
    sequences: list[int] = []

    def commit(batch: wire.Batch) -> int:
        for record in wire.iter_records(batch.body, batch.first_sequence):
            sequences.append(record.sequence)
            if record.kind == wire.KIND_SHAPE:
                shapes[record.shape_id] = record.names
            elif record.kind == wire.KIND_POINTS:
                points.append(record)
        return batch.last_sequence

    report = adopt(tmp_path, commit, lambda *_: None, Report())
    assert not report.damage
    assert not report.refused
    assert sequences == list(range(1, len(sequences) + 1))
    assert [point.step for point in points] == list(range(len(points)))
    assert n_logged <= len(points) <= n_logged + 2
    for point in points:
        values = dict(zip(shapes[point.shape_id], point.values, strict=True))
        step = point.step
        assert values == {"a": step / 7, "b": float(step), f"c/{step % 5}": -0.0, "epoch": float(step // 100)}
    assert list((tmp_path / "spool").iterdir()) == []
