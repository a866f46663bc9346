"""A cascade from photographs to found faces: trained, resumed, exported, run without torch."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepevent.cli import main
from deepevent_trainer import checkpoint
from deepevent_trainer.data.bundled import bundled_photographs
from deepevent_trainer.recipes import CASCADES
from deepevent_trainer.runtime import Detector

SMALL = ["--epochs", "1", "--crops-per-epoch", "256", "--mining-photographs", "2", "--threads", "1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A few composed scenes as a set in the project's own layout, some of them for validation."""
    (tmp_path / "set" / "images").mkdir(parents=True)
    scenes = [one for one in bundled_photographs() if one.path is None and len(one.faces)]
    chosen = [one for split in ("train", "val") for one in scenes if one.split == split][:3]
    chosen += [one for one in scenes if one.split == "val"][:2]
    boxes, splits = ["image,x,y,w,h,label"], ["image,split"]
    for number, scene in enumerate(chosen):
        name = f"{number}.png"
        cv2.imwrite(str(tmp_path / "set" / "images" / name), scene.read()[..., ::-1])
        sizes = np.concatenate([scene.faces[:, :2], scene.faces[:, 2:] - scene.faces[:, :2]], axis=1)
        boxes += [f"{name},{','.join(map(str, row))},face" for row in sizes.tolist()]
        splits.append(f"{name},{scene.split}")
    (tmp_path / "set" / "annotations.csv").write_text("\n".join(boxes) + "\n")
    (tmp_path / "set" / "images.csv").write_text("\n".join(splits) + "\n")
    return tmp_path / "set"


def test_photographs_become_a_detector(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """All rounds of the three nets, with mining; a second start trains nothing; the file runs without torch.

    So short a training finds no faces worth the name: what counts is that every step hands on to the next.
    """
    monkeypatch.setenv("DEEPEVENT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DEEPEVENT_MODE", "offline")
    out = tmp_path / "nets"
    command = ["train", "cascade", "--recipe", "best", "--data", str(folder), "--out", str(out), *SMALL]
    assert main(command) == 0
    told = capfd.readouterr().err
    assert "det48, round 3" in told
    thresholds = json.loads((out / "thresholds.json").read_text())
    assert tuple(thresholds) == tuple(CASCADES["best"])
    written = {path: path.stat().st_mtime_ns for path in out.glob("*.pt")}
    assert main(command) == 0
    assert capfd.readouterr().err.count("trained already") == 3
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.pt")} == written
    measures = checkpoint.load(out / "det48.pt")["measures"]
    assert {"val/roc_area", "val/iou_of_box"} <= set(measures)

    model = tmp_path / "own.cascade"
    assert main(["export-model", str(out), str(model)]) == 0
    picture = cv2.imread(str(next((folder / "images").iterdir())))
    assert picture is not None
    found = Detector(model, min_face=24, threshold=0.0).explain(picture[..., ::-1].copy())
    assert [stage.name for stage in found.stages][::3][:3] == ["det12", "det24", "det48"]
    assert found.stages[0].n_seen > 100
