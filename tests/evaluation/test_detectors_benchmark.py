"""The benchmark of face detectors runs from photographs to tables, with whoever can take part."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import pytest
from skimage import data

from benchmarks import detectors


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A set of two photographs with one face, in the project's own layout."""
    folder = tmp_path / "faces"
    (folder / "images").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / "images" / name), data.astronaut()[..., ::-1])
    rows = "".join(f"{name},173,64,103,103,face\n" for name in ("a.png", "b.png"))
    (folder / "annotations.csv").write_text("image,x,y,w,h,label\n" + rows)
    return folder


def test_it_prints_quality_and_time_and_who_is_missing(
    photographs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Our own detector finds the face in its own process; a peer without weights is named with the reason."""
    asked = ["--quick", "--data", str(photographs), "--min-face", "80", "--peers", "cascade,yunet"]
    monkeypatch.setattr(sys, "argv", ["detectors", *asked])
    assert detectors.main() == 0
    told = capsys.readouterr().out
    quality = [line for line in told.splitlines() if line.startswith("| DeepEvent")][-1]
    assert quality.endswith("| 1.000 / 1.000 |")
    assert "| ≤ 2.5 |" in told
    assert "not measured: no package carries its weights" in told


def test_without_photographs_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No folder given: one sentence, and what was measured before stays in the page."""
    monkeypatch.setattr(sys, "argv", ["detectors"])
    monkeypatch.delenv("DEEPEVENT_BENCHMARK_DATA", raising=False)
    assert detectors.main() == 0
    assert capsys.readouterr().out.startswith("not measured")
