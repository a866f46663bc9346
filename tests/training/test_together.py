"""Several processes train one net: real torchrun, gloo on the CPU."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from deepevent.errors import CheckpointInvalid, SettingsError
from deepevent_trainer import checkpoint
from deepevent_trainer.data.batches import Batch
from deepevent_trainer.distributed import Group
from deepevent_trainer.loop import train

SCRIPT = Path(__file__).with_name("together.py")
spec = importlib.util.spec_from_file_location("together", SCRIPT)
assert spec
assert spec.loader
together = importlib.util.module_from_spec(spec)
spec.loader.exec_module(together)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes have left."""
    folder = tmp_path_factory.mktemp("together")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launcher, SCRIPT, folder],
        env={key: value for key, value in os.environ.items() if not key.startswith("DEEPEVENT_")},
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    return folder


def weights(path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return found


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], two[name]) for name in one | two)


def test_processes_end_in_the_same_weights(folder: Path) -> None:
    """Gradients are averaged, so every process holds the same net, and the checkpoint has it."""
    first = weights(folder / "whole-0.pt")
    assert same(first, weights(folder / "whole-1.pt"))
    assert same(first, checkpoint.load(folder / "whole.pt")["weights"])


def test_resumed_equals_uninterrupted(folder: Path) -> None:
    """Stopped by one process in the middle of an epoch, and gone on with: bit for bit the same."""
    for rank in (0, 1):
        assert same(weights(folder / "whole-0.pt"), weights(folder / f"again-{rank}.pt"))


class Pairs:
    """Batches of twice the size: what two processes show in one step."""

    def __init__(self) -> None:
        self._source = together.source()
        self.n_batches = self._source.n_batches // 2

    def epoch(self, epoch: int, first_batch: int = 0, stride: int = 1) -> Iterator[Batch]:
        assert (first_batch, stride) == (0, 1)
        batches = list(self._source.epoch(epoch))
        for one, two in zip(batches[::2], batches[1::2], strict=True):
            yield Batch(torch.cat([one.pixels, two.pixels]), torch.cat([one.targets, two.targets]))

    def validation(self) -> Iterator[Batch]:
        return self._source.validation()


def test_two_processes_learn_what_one_with_twice_the_batch_learns(folder: Path, tmp_path: Path) -> None:
    """Each shows every second batch, and the step is that of both batches together."""
    network = together.fresh(drop=False)
    train(network, Pairs(), together.SCHEDULE, together.Silent(), save_to=tmp_path / "one.pt")
    both = checkpoint.load(folder / "plain.pt")
    for name, found in both["weights"].items():
        assert torch.allclose(found, network.state_dict()[name], atol=1e-5), name
    told, alone = both["measures"], checkpoint.load(tmp_path / "one.pt")["measures"]
    assert told["train/loss"] == pytest.approx(alone["train/loss"], abs=1e-5)
    assert told["train/accuracy"] == alone["train/accuracy"]


def test_a_training_does_not_go_on_with_another_number_of_processes(folder: Path, tmp_path: Path) -> None:
    """The batches would be others: one sentence says so."""
    state = checkpoint.load(folder / "part.pt")
    with pytest.raises(CheckpointInvalid, match="n_batches was 4 and is now 8"):
        train(
            together.fresh(),
            together.source(),
            together.SCHEDULE,
            together.Silent(),
            save_to=tmp_path / "x.pt",
            resume_from=state,
        )


def test_no_batch_is_shown_twice() -> None:
    """The processes' batches of an epoch, from a step on, are apart and as many for each."""
    source = together.source()
    shown = [list(Group(rank, 3).batches(source, 1, 1)) for rank in range(3)]
    everything = list(source.epoch(1))
    assert [len(batches) for batches in shown] == [1, 1, 1]
    for rank, (batch,) in enumerate(shown):
        assert torch.equal(batch.pixels, everything[3 + rank].pixels)
    with pytest.raises(SettingsError, match="9 processes need as many batches"):
        Group(0, 9).n_steps(source)
