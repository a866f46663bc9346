"""Claim: importing the client costs next to nothing and brings nothing along."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import environments
from benchmarks.claim import Claim, Column, NotMeasured, Subject

MODULES = {"tensorboard": "tensorboardX"}
STARTS_PER_ROUND = 5
ROOT = Path(__file__).parent.parent


def measure(subject: Subject, folder: Path) -> dict[str, float]:
    module = MODULES.get(subject.name, subject.name)
    python, searched = subject.python, ""
    if subject.name == "deepevent":
        # A stranger's environment: a bare interpreter and our client, none of our own server's packages.
        python, searched = (
            Path(getattr(sys, "_base_executable", sys.executable)),
            f"import sys; sys.path.append({str(ROOT)!r}); ",
        )
    bare, loaded = [], []
    for _ in range(STARTS_PER_ROUND):
        bare.append(_start(python, searched + "pass"))
        loaded.append(_start(python, searched + f"import {module}"))
    figures = {"ms": statistics.median(loaded) - statistics.median(bare)}
    if subject.name == "deepevent":
        size = sum(file.stat().st_size for file in (ROOT / "deepevent").rglob("*.py"))
        return figures | {"distributions": 1, "mb": size / 1e6}
    n, size_mb = environments.count_distributions(python)
    return figures | {"distributions": n, "mb": size_mb}


def _start(python: Path, code: str) -> float:
    start = time.perf_counter()
    done = subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, cwd=tempfile.gettempdir()
    )
    took = (time.perf_counter() - start) * 1e3
    if done.returncode != 0:
        raise NotMeasured(
            f"the import failed: {(done.stderr.strip().splitlines() or ['no message'])[-1][:200]}"
        )
    return took


CLAIM = Claim(
    name="import_time",
    title="Import",
    how=(
        "Wall time of `python -c 'import X'` less that of `python -c pass` in the same environment,"
        " alternated; the distributions that its installation brings, itself included, and their size."
    ),
    columns=(
        Column("ms", "import, ms over bare Python", 1, budget=30),
        Column("distributions", "distributions", 0, budget=1),
        Column("mb", "installed, MB", 1),
    ),
    measure=measure,
)
