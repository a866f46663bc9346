"""One net of many, trained as a run of its own: gone on with where it was cut off, passed over when done.

What `deepevent train NET` does for a person at the keyboard, this does for a program that trains a dozen nets
behind each other. Knows the loop, checkpoints and runs; not what the nets are for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import deepevent
from deepevent.errors import TrainingStopped
from deepevent_trainer import checkpoint
from deepevent_trainer.data.batches import Source
from deepevent_trainer.distributed import ALONE, Group
from deepevent_trainer.loop import Progress, Sampler, Schedule, train
from deepevent_trainer.networks import Network


@dataclass(frozen=True)
class RunLabels:
    """What a run is called: see `deepevent.start`."""

    name: str
    project: str
    group: str | None = None
    tags: Sequence[str] = ()
    config: dict[str, Any] = field(default_factory=dict)
    notes: str = ""


@dataclass(frozen=True, eq=False)
class TrainedNet:
    """A net that is done.

    Attributes:
        network: ready to judge.
        measures: of its last epoch.
        run: the id of its run.
    """

    network: Network
    measures: dict[str, float]
    run: str


def train_net(
    network: Network,
    make_source: Callable[[], Source],
    schedule: Schedule,
    labels: RunLabels,
    save_to: Path,
    *,
    sampler: Sampler | None = None,
    stop: Callable[[], bool] = lambda: False,
    group: Group = ALONE,
) -> TrainedNet:
    """Train `network` to the end of `schedule`, or take what `save_to` already has.

    Args:
        network: fresh weights.
        make_source: called only when there is something left to train, before the run begins.
        schedule: how long and how fast.
        labels: of the run.
        save_to: the checkpoint.
        sampler: as `loop.train` takes it.
        stop: asked after every step, besides `run.should_stop`.
        group: this process alone, with the device that it trains on; the net comes back to the processor.

    Raises:
        TrainingStopped: if somebody stopped it; the checkpoint is there to go on from.
        CheckpointInvalid: if `save_to` belongs to another training.
        NonFiniteLoss: see `loop.train`.
    """
    state = checkpoint.load(save_to) if save_to.exists() else None
    if state is not None and Progress(**state["progress"]).epoch >= schedule.epochs:
        trained = checkpoint.network_from(state)
        if checkpoint.architecture(trained) == checkpoint.architecture(network):
            return TrainedNet(trained, dict(state["measures"]), state["note"].get("run", ""))
    source = make_source()
    run = deepevent.start(
        name=labels.name,
        project=labels.project,
        group=labels.group,
        tags=tuple(labels.tags),
        config=labels.config,
        notes=labels.notes,
        resume=None if state is None else state["note"].get("run"),
    )
    with run:
        outcome = train(
            network,
            source,
            schedule,
            run,
            save_to=save_to,
            sampler=sampler,
            stop=stop,
            resume_from=state,
            note={"run": run.id},
            group=group,
        )
        run.summary.update(outcome.measures)
        run.finish(outcome.status)
    if outcome.status == "stopped":
        raise TrainingStopped(labels.name, str(save_to))
    told = ", ".join(f"{name} {value:.4g}" for name, value in outcome.measures.items() if "val/" in name)
    sys.stderr.write(f"{labels.name}: {told}\n")
    return TrainedNet(network.cpu().eval(), outcome.measures, run.id)
