"""What torchrun starts in two processes: trainings without interruption, and one that is stopped and resumed.

Each process leaves its weights in the folder that it is given.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from deepevent_trainer import checkpoint
from deepevent_trainer.data import crops
from deepevent_trainer.data.bundled import bundled_photographs
from deepevent_trainer.data.detection_crops import DetectionCrops
from deepevent_trainer.distributed import Group, joined
from deepevent_trainer.loop import Schedule, train
from deepevent_trainer.networks import Network, build_network

SCHEDULE = Schedule(epochs=2, learning_rate=0.05)


class Silent:
    """A run that keeps nothing."""

    should_stop = False

    def log(self, metrics: dict[str, float], step: int | None = None, epoch: int | None = None) -> None:
        self.measured = metrics

    def log_histogram(self, name: str, values: np.ndarray, **at: int | None) -> None:
        assert np.isfinite(values).all()

    def log_figure(self, name: str, figure: object, **at: int | None) -> None:
        assert name == "val/roc"

    def log_detections(self, name: str, image: np.ndarray, detections: dict, **at: int | None) -> None:
        raise AssertionError("no samples were asked for")


def source() -> DetectionCrops:
    scenes = bundled_photographs()
    handful = crops.positives(scenes[:2], 12, 0), crops.negatives(scenes[:2], 12, 40, 0)
    return DetectionCrops(handful, handful, batch_size=16, crops_per_epoch=128, seed=3)


def fresh(drop: bool = True) -> Network:
    """A net of the seed; without dropout, it is the batches alone that count."""
    torch.manual_seed(0)
    network = build_network("det12", colour="grey")
    for layer in network.modules():
        if isinstance(layer, torch.nn.Dropout) and not drop:
            layer.p = 0.0
    return network


def run(folder: Path, group: Group) -> None:
    whole, part, batches = fresh(), fresh(), source()
    train(whole, batches, SCHEDULE, Silent(), save_to=folder / "whole.pt", group=group)
    torch.save(whole.state_dict(), folder / f"whole-{group.rank}.pt")
    plain = fresh(drop=False)
    train(plain, batches, SCHEDULE, Silent(), save_to=folder / "plain.pt", group=group)
    asked = iter(range(1_000))
    # Only the second process wants to stop, in the middle of the second epoch: both do.
    outcome = train(
        part,
        batches,
        SCHEDULE,
        Silent(),
        save_to=folder / "part.pt",
        stop=lambda: group.rank == 1 and next(asked) == 5,
        group=group,
    )
    assert (outcome.status, outcome.progress.step) == ("stopped", 6)
    torch.distributed.barrier()
    again = fresh()
    state = checkpoint.load(folder / "part.pt")
    torch.distributed.barrier()
    train(again, batches, SCHEDULE, Silent(), save_to=folder / "part.pt", resume_from=state, group=group)
    torch.save(again.state_dict(), folder / f"again-{group.rank}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined() as all_of_us:
        run(Path(sys.argv[1]), all_of_us)
