"""The SummaryWriter that logs to a run: what scripts for TensorBoard call, and what becomes of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

import deepevent
from deepevent.integrations.tensorboard import SummaryWriter

ReadPoints = Callable[[str], list[tuple[int, dict[str, float]]]]
ReadEvents = Callable[[str], list[dict[str, Any]]]


def test_a_script_for_tensorboard(home: Path, read_points: ReadPoints, read_events: ReadEvents) -> None:
    """Numbers keep tags and steps, media their kinds; the run has the folder's name and ends with it."""
    with SummaryWriter("runs/lenet", comment="-2") as writer:
        folder = writer.run.folder
        for step in range(3):
            writer.add_scalar("Loss/train", numpy.float32(step), step)
        writer.add_scalars("Accuracy", {"train": 0.5, "val": 0.25}, global_step=2)
        writer.add_image("chw", numpy.zeros((3, 4, 6)), 1)
        writer.add_image("hw", numpy.zeros((4, 6)), 1, dataformats="HW")
        writer.add_images("batch", numpy.zeros((2, 1, 4, 6)), 1)
        writer.add_image_with_boxes("boxed", numpy.zeros((3, 8, 8)), [[0, 0, 4, 4]], 1)
        writer.add_histogram("weights", numpy.arange(10.0), 1)
        writer.add_text("note", "hello", 1)
        writer.add_hparams({"lr": 0.1}, {"best": 0.9})
    assert writer.run.name == "lenet-2"
    assert read_points(folder) == [
        (0, {"Loss/train": 0.0}),
        (1, {"Loss/train": 1.0}),
        (2, {"Loss/train": 2.0}),
        (2, {"Accuracy/train": 0.5, "Accuracy/val": 0.25}),
    ]
    events = read_events(folder)
    media = [(event["kind"], event["name"]) for event in events if event["type"] == "media"]
    assert media == [
        ("image", "chw"),
        ("image", "hw"),
        ("image", "batch/0"),
        ("image", "batch/1"),
        ("image", "boxed"),
        ("histogram", "weights"),
        ("text", "note"),
    ]
    assert [event["values"] for event in events if event["type"] in ("config", "summary")] == [
        {"lr": 0.1},
        {"best": 0.9},
    ]
    assert events[-1]["status"] == "completed"
    assert deepevent.current_run() is None
    assert not Path("runs/lenet").exists()


def test_it_joins_the_run_that_is_there(home: Path, read_points: ReadPoints) -> None:
    """With a run open, the writer logs to it and leaves its end alone."""
    run = deepevent.start()
    with SummaryWriter() as writer:
        writer.add_scalar("a", 1.0, 7)
    assert writer.run is run
    assert not run.finished
    assert read_points(run.folder) == [(7, {"a": 1.0})]


def test_what_has_no_place_is_said_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Graphs, embeddings and the like are left out, and the script goes on."""
    with SummaryWriter() as writer:
        capsys.readouterr()
        for _ in range(3):
            writer.add_graph(object())
            writer.add_embedding(numpy.zeros((2, 2)), global_step=1)
    said = capsys.readouterr().err
    assert said.count("add_graph") == said.count("add_embedding") == 1
    with pytest.raises(AttributeError):
        writer.no_such_thing  # noqa: B018


def test_signatures_are_those_of_the_real_one() -> None:
    """Every argument that the real writer takes by name is taken here, in the same place."""
    real = pytest.importorskip("tensorboardX", reason="tensorboardX is not installed").SummaryWriter
    for name in ("add_scalar", "add_scalars", "add_histogram", "add_image", "add_images", "add_text"):
        theirs = list(inspect.signature(getattr(real, name)).parameters)
        ours = list(inspect.signature(getattr(SummaryWriter, name)).parameters)
        shared = [argument for argument in ours if argument in theirs]
        assert shared == [argument for argument in theirs if argument in ours], name
        assert {"tag", "global_step", "walltime"} & set(theirs) <= set(ours), name


def test_a_time_that_is_given(home: Path, read_points: ReadPoints, ingest_server: Any) -> None:
    """`walltime` is the time of the point."""
    ingest_server.announce(home)
    with SummaryWriter() as writer:
        writer.add_scalar("a", 1.0, 3, walltime=1234.5)
        writer.flush()
    records = [record for records in ingest_server.records.values() for record in records]
    assert [(record.step, record.time) for record in records if record.values] == [(3, 1234.5)]


def test_what_cannot_be_logged_is_no_reason_to_stop(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong value, a wrong shape and a wrong axis are said, and the script goes on."""
    with SummaryWriter() as writer:
        capsys.readouterr()
        writer.add_scalar("a", "much", 1)
        writer.add_scalar("a", "much", 1, walltime=1.0)
        writer.add_image("i", numpy.zeros((2, 2, 2, 2)), 1)
        writer.add_image("i", numpy.zeros((2, 2)), 1, dataformats="XY")
    assert len(capsys.readouterr().err.splitlines()) >= 3
