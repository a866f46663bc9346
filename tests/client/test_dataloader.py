"""PyTorch's DataLoader with workers by fork and by spawn that log."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

ReadPoints = Callable[[str], list[tuple[int, dict[str, float]]]]

SCRIPT = """
import sys
import torch
import deepevent

class Numbers(torch.utils.data.Dataset):
    def __init__(self, run):
        self.run = run
    def __len__(self):
        return 40
    def __getitem__(self, index):
        self.run.log({"loaded": float(index)}, index)
        return torch.tensor([float(index)])

if __name__ == "__main__":
    run = deepevent.start(name="loader")
    loader = torch.utils.data.DataLoader(
        Numbers(run), batch_size=4, num_workers=int(sys.argv[2]), multiprocessing_context=sys.argv[1])
    for epoch in range(int(sys.argv[3])):
        for batch in loader:
            run.log({"loss": batch.mean()})
    print(run.id)
"""


@pytest.mark.parametrize(
    ("method", "n_workers", "n_epochs"),
    [("fork", 2, 2), ("spawn", 1, 1)],  # a spawned worker imports torch afresh
)
def test_workers_of_a_loader(
    home: Path, tmp_path: Path, method: str, n_workers: int, n_epochs: int, read_points: ReadPoints
) -> None:
    """A worker that logs is a writer of its own; a loader makes its workers anew in each epoch."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), method, str(n_workers), str(n_epochs)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    writers = sorted((home / "spool" / done.stdout.strip()).iterdir())
    assert len(writers) == 1 + n_workers * n_epochs
    found = [read_points(str(writer)) for writer in writers]
    assert [step for step, values in found[0] if "loss" in values] == list(range(10 * n_epochs))
    loaded = sorted(step for points in found[1:] for step, _ in points)
    assert loaded == sorted([*range(40)] * n_epochs)
