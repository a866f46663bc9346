"""`deepevent train` as a person runs it."""

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from deepevent.cli import main
from deepevent_trainer import checkpoint
from deepevent_trainer.children import COMMAND

SMALL = ["--epochs", "1", "--crops-per-epoch", "256", "--threads", "1"]


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command offline, with its home and its files in a folder of the test's."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=tmp_path,
        env=offline(tmp_path),
        capture_output=True,
        text=True,
        timeout=150,
    )


def offline(tmp_path: Path) -> dict[str, str]:
    own = {"DEEPEVENT_HOME": str(tmp_path / "home"), "DEEPEVENT_MODE": "offline"}
    return {key: value for key, value in os.environ.items() if not key.startswith("DEEPEVENT_")} | own


def test_train_leaves_a_checkpoint_and_says_its_accuracy(tmp_path: Path) -> None:
    """Exit 0, one sentence with the accuracy, a checkpoint that names its run."""
    done = run(tmp_path, "train", "det12", *SMALL)
    assert done.returncode == 0, done.stderr
    assert re.search(r"completed after 1 epochs, validation accuracy 0\.\d+; checkpoint in", done.stderr)
    state = checkpoint.load(tmp_path / "checkpoints" / "det12.pt")
    assert state["note"]["run"]
    assert checkpoint.network_from(state).name == "det12"


def begin_and_terminate(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """Train, send SIGTERM as soon as the run begins, and return the checkpoint it left."""
    command = [*COMMAND, "train", "det12", "--epochs", "500", "--crops-per-epoch", "256", "--threads", "1"]
    with subprocess.Popen(
        [*command, *arguments], cwd=tmp_path, env=offline(tmp_path), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = ""
        while "begins" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGTERM)
        said += process.stderr.read()
    assert process.returncode == 0, said
    assert "det12: stopped" in said
    return checkpoint.load(tmp_path / "checkpoints" / "det12.pt")


def test_a_terminated_training_keeps_its_checkpoint_and_goes_on(tmp_path: Path) -> None:
    """SIGTERM: exit 0, stopped; --resume goes on behind the last step, in the same run."""
    first = begin_and_terminate(tmp_path)
    second = begin_and_terminate(tmp_path, "--resume")
    assert first["progress"]["step"] >= 1
    assert second["progress"]["step"] > first["progress"]["step"]
    assert second["note"]["run"] == first["note"]["run"]
    refused = run(tmp_path, "train", "det12", *SMALL, "--resume")
    assert refused.returncode == 1
    assert "of another training: schedule was" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["det13"], 2, "invalid choice: 'det13'"),
        (["det12", "--data", "none"], 1, "--data 'none' is not a folder"),
        (["det12", "--epochs", "0"], 1, "epochs must be at least 1, got 0"),
        (["det12", "--threads", "0"], 1, "--threads must be at least 1, got 0"),
        (["det12", "--batch-size", "1"], 1, "batch_size must be at least 2, got 1"),
        (["det12", "--resume"], 1, "there is no checkpoint"),
        (["cal12", "--det12", "none.pt"], 1, "there is no checkpoint 'none.pt'"),
    ],
)
def test_a_mistake_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    sentence: str,
) -> None:
    """Exit 2 for a usage error, 1 for the rest; no traceback, and no run is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEEPEVENT_HOME", str(tmp_path / "home"))
    n_threads = torch.get_num_threads()
    try:
        found = main(["train", *arguments])
    except SystemExit as usage:
        found = int(str(usage.code))
    assert found == code
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert torch.get_num_threads() == n_threads
    assert not (tmp_path / "home" / "spool").exists()


def test_describe_prints_layers_and_cost(tmp_path: Path) -> None:
    """The table is on stdout and nothing is trained."""
    done = run(tmp_path, "train", "cal12", "--describe")
    assert done.returncode == 0
    assert "FLOP a window" in done.stdout
    assert not (tmp_path / "checkpoints").exists()
