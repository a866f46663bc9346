"""The processes that train one net together: torchrun starts them, DistributedDataParallel averages.

Every process takes every `size`-th batch of an epoch, so one step shows `size` batches, and none is shown
twice. What is random in a net follows from seed, rank and step, so that a training which goes on needs no
other process's state. A process alone is a group of one, to which nothing of this happens.

Knows torch; not photographs, runs or files. We write no collective of our own.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor, distributed, nn

from deepevent.errors import SettingsError
from deepevent_trainer.data.batches import Batch, Source


@dataclass(frozen=True)
class Group:
    """This process among those of its training.

    Attributes:
        rank: 0 leads: it judges, shows samples and writes checkpoints.
        size: how many there are.
        device: where this one computes.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - a device is a value

    @property
    def leads(self) -> bool:
        """Return whether this is the process that speaks for all."""
        return self.rank == 0

    def n_steps(self, source: Source) -> int:
        """Return how many steps an epoch has.

        Raises:
            SettingsError: there are more processes than batches.
        """
        if source.n_batches < self.size:
            raise SettingsError(
                f"{self.size} processes need as many batches an epoch, got {source.n_batches}: "
                "lower the batch size or raise the crops per epoch"
            )
        return source.n_batches // self.size

    def batches(self, source: Source, epoch: int, first_step: int) -> Iterator[Batch]:
        """Yield this process's batches of an epoch, from a step on, where it computes."""
        mine = source.epoch(epoch, first_step * self.size + self.rank, self.size)
        for batch in islice(mine, self.n_steps(source) - first_step):
            yield batch if self.device.type == "cpu" else _moved(batch, self.device)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return the net to call in training: its gradients are the average over all processes."""
        if self.size == 1:
            return network
        return nn.parallel.DistributedDataParallel(network)

    def begin_step(self, seed: int, step: int) -> None:
        """Let what is random in the step follow from seed, rank and step alone; alone, it runs on."""
        if self.size > 1:
            key = np.random.SeedSequence((seed, 30, self.rank, step))
            torch.manual_seed(int(key.generate_state(1, dtype=np.uint64)[0]) >> 1)

    def any(self, flag: bool) -> bool:
        """Return whether the flag is up in any process: all of them then do the same."""
        return flag if self.size == 1 else self.sums(float(flag))[0] > 0

    def sums(self, *numbers: float) -> list[float]:
        """Return the sums of numbers over all processes."""
        if self.size == 1:
            return list(numbers)
        table = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(table)
        return [float(number) for number in table.tolist()]


ALONE = Group()


@contextmanager
def joined(device: str = "cpu") -> Iterator[Group]:
    """Join the other processes that torchrun has started, if it has; leave them at the end.

    Args:
        device: `cpu` talks by gloo; `cuda` takes the GPU of this process's number on its machine, and NCCL.

    Raises:
        SettingsError: there is no such GPU.
    """
    size, local_rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cuda" and torch.cuda.device_count() <= local_rank:
        raise SettingsError(
            f"--device cuda needs a GPU for each process, got {torch.cuda.device_count()} GPUs"
        )
    place = torch.device("cuda", local_rank) if device == "cuda" else torch.device("cpu")
    if place.type == "cuda":
        torch.cuda.set_device(place)
    if size == 1:
        yield Group(device=place)
        return
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    leaving = _Leaving()
    atexit.register(leaving)  # before all others are registered, so that it runs behind them
    try:
        yield Group(distributed.get_rank(), distributed.get_world_size(), place)
    except BaseException:
        leaving.code = 1
        raise
    finally:
        distributed.destroy_process_group()


class _Leaving:
    """Ends the process without taking down the interpreter.

    Torch's threads of a group are not always over by then, and one that is not aborts a process whose work is
    done: torchrun then calls the whole training failed.
    """

    code = 0

    def __call__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.code)


def _moved(batch: Batch, device: torch.device) -> Batch:
    boxes: Tensor | None = None if batch.boxes is None else batch.boxes.to(device)
    return Batch(batch.pixels.to(device), batch.targets.to(device), boxes)
