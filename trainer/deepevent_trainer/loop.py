"""The training loop, to be read from top to bottom.

One net, one source of batches, one run to log to. Everything random follows from the seed and the place in
the training, so a training that was stopped and goes on ends in the same weights, bit for bit on a CPU, as
one that was not. Knows nets, batches and what a run can do; not files of photographs, nor the command line.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from deepevent.errors import CheckpointInvalid, NonFiniteLoss, SettingsError
from deepevent_trainer import checkpoint
from deepevent_trainer.data.batches import Source
from deepevent_trainer.distributed import ALONE, Group
from deepevent_trainer.losses import Rule, loss_of
from deepevent_trainer.networks import Network
from deepevent_trainer.validation import Judged, validate

# An image of an epoch's sample: its name, its pixels and what the cascade so far finds on it.
Sample = tuple[str, NDArray[np.uint8], dict[str, Any]]
Sampler = Callable[[Network, dict[str, float]], Iterable[Sample]]


class Run(Protocol):
    """What the loop asks of a run (`deepevent.start()` returns one)."""

    def log(self, metrics: dict[str, float], step: int | None = None, epoch: int | None = None) -> None:
        """Log numbers."""
        ...

    def log_detections(
        self,
        name: str,
        image: NDArray[np.uint8],
        detections: dict[str, Any],
        step: int | None = None,
        epoch: int | None = None,
    ) -> None:
        """Log boxes on an image."""
        ...

    def log_histogram(
        self, name: str, values: object, step: int | None = None, *, epoch: int | None = None
    ) -> None:
        """Log the distribution of many numbers."""
        ...

    def log_figure(
        self, name: str, figure: object, step: int | None = None, epoch: int | None = None
    ) -> None:
        """Log a figure."""
        ...

    @property
    def should_stop(self) -> bool:
        """Return whether somebody pressed Stop."""
        ...


@dataclass(frozen=True)
class Schedule:
    """How a net is trained.

    Attributes:
        epochs: how often all of the data is shown.
        learning_rate: the highest; it rises for the first epoch and then falls along a half cosine to 1/100.
        momentum: of stochastic gradient descent, with Nesterov's look ahead.
        weight_decay: on weights of convolutions and dense layers only.
        seed: of weights, dropout, order and augmentation.
        loss: which windows of a batch count, see `losses`.
        mixed_precision: whether the net computes in bfloat16 where that is precise enough. Its range is that
            of float32, so that no loss need be scaled.
    """

    epochs: int
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    seed: int = 0
    loss: Rule = "plain"
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        problems = []
        if self.epochs < 1:
            problems.append(f"epochs must be at least 1, got {self.epochs!r}")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            problems.append(f"learning_rate must be > 0, got {self.learning_rate!r}")
        if not 0 <= self.momentum < 1:
            problems.append(f"momentum must be in [0, 1), got {self.momentum!r}")
        if self.weight_decay < 0:
            problems.append(f"weight_decay must be >= 0, got {self.weight_decay!r}")
        if problems:
            raise SettingsError("; ".join(problems))

    def identity(self) -> dict[str, Any]:
        """Return it as a checkpoint keeps it: what older versions did not have is left out at its default."""
        values = asdict(self)
        for name in ("loss", "mixed_precision"):
            if values[name] == getattr(Schedule, name):
                del values[name]
        return values

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        total = self.epochs * steps_per_epoch
        warm_up = min(steps_per_epoch, total - 1)
        if step < warm_up:
            return self.learning_rate * (step + 1) / warm_up
        done = (step - warm_up) / max(1, total - warm_up)
        return self.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


@dataclass
class Progress:
    """Where a training is, and what this epoch has summed up so far."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    n_right: int = 0
    n_crops: int = 0

    def count(self, loss: float, n_right: int, n_crops: int) -> None:
        """Take a step into account."""
        self.loss_sum += loss * n_crops
        self.n_right += n_right
        self.n_crops += n_crops
        self.batch += 1
        self.step += 1


@dataclass(frozen=True)
class Outcome:
    """How a training ended: `status` as a run has it, and the last epoch's `measures`."""

    status: Literal["completed", "stopped"]
    progress: Progress
    measures: dict[str, float] = field(default_factory=dict)


def train(
    network: Network,
    source: Source,
    schedule: Schedule,
    run: Run,
    *,
    save_to: Path,
    sampler: Sampler | None = None,
    stop: Callable[[], bool] = lambda: False,
    resume_from: dict[str, Any] | None = None,
    note: dict[str, Any] | None = None,
    group: Group = ALONE,
) -> Outcome:
    """Train `network` and leave its checkpoint in `save_to` after every epoch, and when stopped.

    Args:
        network: fresh weights; with `resume_from` they are replaced by the checkpoint's.
        source: batches and validation set.
        schedule: how long and how fast.
        run: where everything is logged: `step/loss` and `learning_rate` each step; `train/…` and `val/…`, the
            ROC curve and histograms of scores and weights each epoch.
        save_to: the checkpoint file.
        sampler: gives sample photographs with what the net, of these measures, finds on them; once an epoch.
        stop: asked after every step, besides `run.should_stop`.
        resume_from: a checkpoint of the same training.
        note: plain values to keep in the checkpoint, such as the run's id.
        group: the processes that train it together; its first one judges, shows samples and saves.

    Raises:
        NonFiniteLoss: when the loss becomes NaN or infinite; the checkpoint then holds the last good epoch.
        CheckpointInvalid: if `resume_from` belongs to another training.
    """
    network.to(group.device)
    optimiser = torch.optim.SGD(
        _weight_groups(network, schedule.weight_decay),
        lr=schedule.learning_rate,
        momentum=schedule.momentum,
        nesterov=schedule.momentum > 0,
    )
    n_steps = group.n_steps(source)
    identity: dict[str, Any] = {"schedule": schedule.identity(), "n_batches": n_steps}
    identity |= {"n_processes": group.size} if group.size > 1 else {}
    progress, measures = Progress(), dict[str, float]()
    if resume_from is None:
        torch.manual_seed(schedule.seed)
    else:
        progress, measures = _restore(resume_from, identity, network, optimiser, group)
    model = group.wrap(network)

    def save() -> None:
        if not group.leads:
            return
        state = checkpoint.network_state(network) | identity | {
            "optimiser": optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "progress": asdict(progress),
            "measures": measures,
            "note": note or {},
        }  # fmt: skip
        checkpoint.save(save_to, state)

    while progress.epoch < schedule.epochs:
        network.train()
        started, n_before = time.perf_counter(), progress.n_crops
        for batch in group.batches(source, progress.epoch, progress.batch):
            rate = schedule.learning_rate_at(progress.step, n_steps)
            _set_rate(optimiser, rate)
            group.begin_step(schedule.seed, progress.step)
            with torch.autocast(group.device.type, torch.bfloat16, enabled=schedule.mixed_precision):
                outputs = model(batch.pixels)
            outputs = outputs.flatten(1).float()
            loss = loss_of(network.plan, outputs, batch, schedule.loss)
            logits = outputs[:, : network.plan.n_classes]
            value = loss.item()
            if not math.isfinite(value):
                raise NonFiniteLoss(network.name, progress.step, progress.batch, value)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimiser.step()

            run.log({"step/loss": value, "learning_rate": rate}, step=progress.step)
            n_judged = int((batch.targets >= 0).sum())
            progress.count(value, int((logits.argmax(1) == batch.targets).sum()), n_judged)
            if group.any(stop() or run.should_stop):
                progress = _summed(progress, group)
                save()
                return Outcome("stopped", progress, measures)

        progress = _summed(progress, group)
        crops_per_s = (progress.n_crops - n_before) / max(time.perf_counter() - started, 1e-9)
        if not group.leads:
            progress = Progress(epoch=progress.epoch + 1, step=progress.step)
            continue
        judged = validate(network, source)
        measures = {
            "train/loss": progress.loss_sum / max(1, progress.n_crops),
            "train/accuracy": progress.n_right / max(1, progress.n_crops),
            **{f"val/{name}": value for name, value in judged.measures.items()},
        }
        progress = Progress(epoch=progress.epoch + 1, step=progress.step)
        run.log(measures | {"crops_per_s": crops_per_s}, step=progress.step - 1, epoch=progress.epoch)
        _show(run, network, judged, progress, sampler, measures)
        save()
    return Outcome("completed", progress, measures)


def _summed(progress: Progress, group: Group) -> Progress:
    """Return it with the sums of all processes."""
    loss_sum, n_right, n_crops = group.sums(progress.loss_sum, progress.n_right, progress.n_crops)
    return replace(progress, loss_sum=loss_sum, n_right=int(n_right), n_crops=int(n_crops))


def _show(
    run: Run,
    network: Network,
    judged: Judged,
    progress: Progress,
    sampler: Sampler | None,
    measures: dict[str, float],
) -> None:
    """Log what an epoch's figures were made of, and sample photographs."""
    step, epoch = progress.step - 1, progress.epoch
    for name, values in judged.distributions.items():
        if len(values):
            run.log_histogram(f"val/{name}", values, step=step, epoch=epoch)
    for name, weights in network.named_parameters():
        if weights.dim() > 1:
            run.log_histogram(f"weights/{name}", weights.detach().cpu().numpy(), step=step, epoch=epoch)
    if judged.roc is not None:
        run.log_figure("val/roc", judged.roc.figure(), step=step, epoch=epoch)
    if sampler is not None:
        on_cpu = next(network.parameters()).device.type == "cpu"
        shown = network if on_cpu else deepcopy(network).cpu()
        for name, image, found in sampler(shown.eval(), measures):
            run.log_detections(name, image, found, step=step, epoch=epoch)


def _weight_groups(network: Network, weight_decay: float) -> list[dict[str, Any]]:
    """Return the parameters with and without decay: a small bias or norm scale gains nothing."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for weights in optimiser.param_groups:
        weights["lr"] = rate


def _restore(
    state: dict[str, Any],
    identity: dict[str, Any],
    network: Network,
    optimiser: torch.optim.Optimizer,
    group: Group,
) -> tuple[Progress, dict[str, float]]:
    """Bring everything to where `state` was saved."""
    problems = [
        f"{key} was {state.get(key)!r} and is now {value!r}"
        for key, value in (checkpoint.architecture(network) | identity).items()
        if state.get(key) != value
    ]
    if problems:
        raise CheckpointInvalid("this checkpoint is of another training: " + "; ".join(problems))
    network.load_state_dict(state["weights"])
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["random"])
    progress = Progress(**state["progress"])
    if not group.leads:  # what was summed up so far counts once
        progress = Progress(progress.epoch, progress.batch, progress.step)
    return progress, dict(state["measures"])
