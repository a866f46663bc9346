from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deepevent.cli import main
from deepevent.wire import is_ulid

Deepevent = Callable[..., "subprocess.CompletedProcess[str]"]
COMMAND = "import sys; from deepevent.cli import main; sys.exit(main())"


@pytest.fixture
def command(home: Path) -> Deepevent:
    """Runs `deepevent …` as a shell does."""

    def run(*words: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", COMMAND, *words],
            input=stdin,
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )

    return run


def points(home: Path, run_id: str, read_points: Any) -> list[tuple[int, dict[str, float]]]:
    folders = sorted((home / "spool" / run_id).iterdir())
    return [point for folder in folders for point in read_points(str(folder))]


def test_log_makes_a_run_and_prints_its_id(home: Path, command: Deepevent, read_points: Any) -> None:
    """The first call makes a run; with the printed id, the next calls go on with it and count the steps."""
    done = command("log", "loss=0.5", "train/accuracy=1e-3", "bad=nan", "--epoch", "3")
    run_id = done.stdout.strip()
    assert done.returncode == 0
    assert is_ulid(run_id)
    assert command("log", "loss=0.25", DEEPEVENT_RUN=run_id).stdout == ""
    assert command("log", "--run", run_id, "--step=7", "loss=1").returncode == 0
    first, second, third = points(home, run_id, read_points)
    assert first[1].pop("bad") != 0
    assert first == (0, {"loss": 0.5, "train/accuracy": 0.001, "epoch": 3.0})
    assert (second, third) == ((1, {"loss": 0.25}), (7, {"loss": 1.0}))


def test_calls_at_the_same_time_join_one_run(home: Path, command: Deepevent, read_points: Any) -> None:
    """Several calls with one name mean one run, even when they start together and without a server."""
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda i: command("log", "--run", "sweep 1", f"a={i}"), range(8)))
    assert [d.returncode for d in done] == [0] * 8
    (run_id,) = [d.stdout.strip() for d in done if d.stdout]
    found = points(home, run_id, read_points)
    assert sorted(values["a"] for _, values in found) == list(range(8))
    assert sorted(step for step, _ in found) == list(range(8))


def test_finish_ends_a_named_run(home: Path, command: Deepevent, read_events: Any) -> None:
    """`--finish` ends the run; the next call with that name starts a new one."""
    first = command("log", "--run", "night", "a=1").stdout.strip()
    assert command("log", "--run", "night", "--finish", "failed").returncode == 0
    folders = sorted((home / "spool" / first).iterdir())
    assert read_events(str(folders[-1]))[-1]["status"] == "failed"
    assert command("log", "--run", "night", "a=1").stdout.strip() not in ("", first)


def test_json_lines(home: Path, command: Deepevent, read_points: Any) -> None:
    """`--stdin` reads one object a line; a broken line is said, and the others are kept."""
    lines = '{"loss": 1, "step": 4, "epoch": 2}\n\n{"loss": NaN}\nbroken\n[1]\n{"loss": 3}\n'
    done = command("log", "--stdin", stdin=lines)
    assert done.returncode == 1
    assert "2 lines were left out" in done.stderr
    found = points(home, done.stdout.strip(), read_points)
    assert [step for step, _ in found] == [4, 5, 6]
    assert found[0][1] == {"loss": 1.0, "epoch": 2.0}


def test_patterns(home: Path, command: Deepevent, read_points: Any) -> None:
    """`--pattern` picks values out of a program's output and lets the output through."""
    lines = "Epoch 1/9  loss: 0.5 (acc 91.5%)\nnothing\nEpoch 2/9 loss: -1.5e-3 (acc nan%)\nlr=3\n"
    done = command(
        "log",
        "--pattern",
        "Epoch {epoch}/9 loss: {train/loss} (acc {acc}%)",
        "--pattern",
        "lr={lr}",
        stdin=lines,
    )
    assert done.returncode == 0
    assert done.stdout == lines
    run_id = next(word for word in done.stderr.split() if is_ulid(word))
    found = points(home, run_id, read_points)
    assert found[0] == (0, {"train/loss": 0.5, "acc": 91.5, "epoch": 1.0})
    assert found[1][1]["train/loss"] == -0.0015
    assert found[2] == (2, {"lr": 3.0})


def test_images(home: Path, tmp_path: Path, command: Deepevent, read_events: Any) -> None:
    """`--image` logs a file."""
    path = tmp_path / "face.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n...")
    done = command("log", "--image", f"sample={path}", "--step", "3")
    (folder,) = (home / "spool" / done.stdout.strip()).iterdir()
    event = read_events(str(folder))[-1]
    assert (event["type"], event["name"], event["step"]) == ("media", "sample", 3)
    missing = command("log", "--image", "sample=/no/such/file")
    assert missing.returncode == 1
    assert "no file" in missing.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["log", "loss"], "KEY=VALUE"),
        (["log", "=3"], "KEY=VALUE"),
        (["log", "loss=low"], "must be a number, got 'low'"),
        (["log", "--step", "-1", "a=1"], "--step"),
        (["log", "--step", "x", "a=1"], "--step"),
        (["log", "--epoch"], "needs a value"),
        (["log", "--colour", "a=1"], "--colour"),
        (["log", "--stdin", "--pattern", "{a}"], "stdin"),
        (["log", "--finish", "never"], "--finish"),
        (["lgo"], "did you mean 'log'?"),
        (["sync", "--colour"], "--colour"),
    ],
)
def test_usage_errors(words: list[str], said: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake on the command line is one sentence on stderr and exit code 2."""
    assert main(words) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_help_lists_the_commands(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`deepevent`, `--help` and `COMMAND --help` answer on stdout with exit code 0."""
    for words in ([], ["--help"], ["help"]):
        assert main(words) == 0
        printed = capsys.readouterr().out
        assert "log numbers and images" in printed
        assert "sync" in printed
    assert main(["log", "--help"]) == 0
    assert "--pattern" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("deepevent ")


def test_log_ships_at_once_if_a_server_is_there(home: Path, command: Deepevent, ingest_server: Any) -> None:
    """With a server, a call's points arrive before it returns, and leave no file."""
    ingest_server.announce(home)
    done = command("log", "--run", "live", "a=1")
    assert done.returncode == 0
    assert ingest_server.points() == [(0, {"a": 1.0})]
    assert list((home / "spool").iterdir()) == []


def test_sync(home: Path, command: Deepevent, ingest_server: Any) -> None:
    """What was logged without a server is sent by `deepevent sync`, and reported."""
    assert command("sync").returncode == 1
    command("log", "a=1")
    command("log", "a=2")
    done = command("sync", "--json", DEEPEVENT_URL=ingest_server.url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_writers"] == 2
    assert sorted(values["a"] for _, values in ingest_server.points()) == [1.0, 2.0]
    assert "0 writers" in command("sync", "--url", ingest_server.url).stdout


def test_disabled_passes_output_through(home: Path, command: Deepevent) -> None:
    """With monitoring disabled a pipeline still works."""
    done = command("log", "--pattern", "{a}", stdin="1\n", DEEPEVENT_MODE="disabled")
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert list(home.iterdir()) == []
