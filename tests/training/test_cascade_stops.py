"""A cascade's training that is stopped goes on, and ends as if nothing had been, bit for bit."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from deepevent.errors import CheckpointInvalid, TrainingStopped
from deepevent_trainer import checkpoint
from deepevent_trainer.calibrated_training import SIZES_PX, CascadeSettings, train_levels
from deepevent_trainer.cascade_training import Workshop, train_nets
from deepevent_trainer.data.bundled import bundled_photographs
from deepevent_trainer.data.split import Division, divide
from deepevent_trainer.loop import Schedule


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs go nowhere."""
    monkeypatch.setenv("DEEPEVENT_MODE", "disabled")


@pytest.fixture(scope="module")
def division() -> Division:
    """A few composed scenes."""
    return divide(bundled_photographs()[::12], 0)


def same(one: Path, other: Path) -> None:
    """Two folders hold the same nets and thresholds."""
    names = sorted(path.name for path in one.glob("*.pt"))
    assert names == sorted(path.name for path in other.glob("*.pt"))
    for name in names:
        left, right = checkpoint.load(one / name), checkpoint.load(other / name)
        assert left["progress"] == right["progress"], name
        assert all(torch.equal(tensor, right["weights"][key]) for key, tensor in left["weights"].items()), (
            name
        )
    assert checkpoint.load_thresholds(one) == checkpoint.load_thresholds(other)


def test_the_cascade_that_ships_goes_on(division: Division, tmp_path: Path) -> None:
    """Stopped while a threshold is searched, and in an epoch of the first and the second round of det24."""

    def work(out: str, stop: Callable[[], bool] = lambda: False) -> Workshop:
        args = argparse.Namespace(
            recipe="best",
            nets="det12,det24",
            epochs=2,
            learning_rate=0.05,
            weight_decay=5e-4,
            batch_size=32,
            crops_per_epoch=128,
            mining_photographs=4,
            seed=0,
            out=tmp_path / out,
            project="p",
            group=None,
            loss="plain",
            amp=False,
        )
        return Workshop(args, division, stop, n_windows=(300, 100))

    assert train_nets(work("whole")) == 0
    for name in ("det12.pt", "det24.round1.pt", "det24.pt"):
        reached = tmp_path / "cut" / name
        with pytest.raises(TrainingStopped, match="the same command goes on from"):
            train_nets(work("cut", reached.exists))
        progress = checkpoint.load(reached)["progress"]
        # One epoch of det12's last round; of the others two, and a step of the second is done.
        assert (progress["epoch"], progress["batch"]) == ((1, 0) if name == "det12.pt" else (1, 1))
    assert train_nets(work("cut")) == 0
    same(tmp_path / "whole", tmp_path / "cut")


def test_the_cascade_of_the_article_goes_on(division: Division, tmp_path: Path) -> None:
    """Stopped in an epoch of a detection and a calibration net, and while det24's background is searched."""
    settings = CascadeSettings(
        recipe="article",
        schedules=dict.fromkeys(SIZES_PX, Schedule(2, 0.02)),
        crops_per_epoch=dict.fromkeys(SIZES_PX, 128),
        batch_size=32,
        min_face_px=80,
        mining_photographs=4,
        threshold_photographs=4,
    )

    def until(out: Path, name: str, done: bool = False) -> None:
        """Train until the first step of a net's second epoch, or until the net is done."""

        def stop() -> bool:
            path = out / name
            return path.exists() and (not done or checkpoint.load(path)["progress"]["epoch"] == 2)

        with pytest.raises(TrainingStopped):
            train_levels(division, settings, out, stop)

    cut, whole = tmp_path / "cut", tmp_path / "whole"
    until(cut, "det12.pt")
    until(cut, "cal12.pt")
    until(cut, "cal12.pt", done=True)
    assert not (cut / "det24.pt").exists()
    until(cut, "cal24.pt")
    until(whole, "cal24.pt")
    same(whole, cut)


def test_a_broken_table_of_thresholds_is_named(tmp_path: Path) -> None:
    """What somebody else wrote there is refused in one sentence."""
    (tmp_path / checkpoint.THRESHOLDS).write_text("[0.5")
    with pytest.raises(CheckpointInvalid, match=r"thresholds\.json' is not a table of thresholds"):
        checkpoint.load_thresholds(tmp_path)
