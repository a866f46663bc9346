"""`deepevent runs|show|compare|export|delete`: what a person and a program read from a real server."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import deepevent

DEEPEVENT = str(Path(sys.executable).with_name("deepevent"))
AWKWARD = [0.1, 1 / 3, 1e308, 5e-324, -0.0, float("nan"), float("inf"), float("-inf")]


def command(*words: str, code: int = 0, typed: str = "") -> str:
    done = subprocess.run([DEEPEVENT, *words], capture_output=True, text=True, input=typed, timeout=60)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout if code == 0 else done.stderr


@pytest.fixture
def two_runs(server: Any) -> list[str]:
    """Two finished runs on a real server: `first` with awkward values, `second` with another rate."""
    ids = []
    for name, lr, values in (("first", 0.1, AWKWARD), ("second", 0.2, [1.0, 2.0])):
        run = deepevent.start(name=name, project="reading", config={"lr": lr, "net": "small"}, tags=["t"])
        for step, value in enumerate(values):
            run.log({"train/loss": value}, step=step)
        assert run.flush(30)
        run.finish()
        ids.append(run.id)
    return ids


def test_runs(two_runs: list[str]) -> None:
    """The list holds the runs, filtered by the server, with a metric beside them when asked."""
    assert "first" in (text := command("runs"))
    assert "second" in text
    found = json.loads(command("runs", "--json", "--filter", "config.lr > 0.15"))["runs"]
    assert [run["name"] for run in found] == ["second"]
    lines = command("runs", "--sort", "name", "--metric", "train/loss").splitlines()
    assert lines[0].split()[-1] == "train/loss"
    assert lines[2].split()[-1] == "2"


def test_runs_from_last_to_first(two_runs: list[str]) -> None:
    """A falling order is written as it is, with a dash; a forgotten one is a mistake in usage."""
    listed = json.loads(command("runs", "--sort", "-name", "--json"))["runs"]
    assert [run["name"] for run in listed] == ["second", "first"]
    assert "--sort" in command("runs", "--sort", "--json", code=2)


def test_filter_with_a_mistake(two_runs: list[str]) -> None:
    """A wrong filter fails with the server's sentence and exit code 1."""
    assert "422" in command("runs", "--filter", "config.lr >", code=1)


def test_show(two_runs: list[str]) -> None:
    """A run is found by id and by name, with its configuration and its metrics."""
    assert json.loads(command("show", two_runs[0], "--json"))["config"] == {"lr": 0.1, "net": "small"}
    text = command("show", "second")
    assert two_runs[1] in text
    assert "config.lr" in text
    assert "train/loss" in text


def test_show_an_unknown_run(server: Any) -> None:
    """A run that is not there is one sentence and exit code 1."""
    assert "'nobody'" in command("show", "nobody", code=1)


def test_compare(two_runs: list[str]) -> None:
    """Only what differs in the configuration is shown, and every metric's last value."""
    text = command("compare", "first", "second")
    assert "config.lr" in text
    assert "config.net" not in text
    assert "train/loss last" in text
    assert set(json.loads(command("compare", *two_runs, "--json"))["metrics"]) == set(two_runs)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_export_is_exact(two_runs: list[str], kind: str) -> None:
    """What comes out is bit for bit what went in."""
    text = command("export", "first", "--format", kind)
    if kind == "csv":
        values = [float(row["value"]) for row in csv.DictReader(io.StringIO(text))]
    else:
        (series,) = json.loads(text)["runs"][0]["metrics"]
        assert series["step"] == list(range(len(AWKWARD)))
        values = [float(value) for value in series["value"]]
    assert [value.hex() for value in values] == [value.hex() for value in AWKWARD]


def test_export_is_whole(server: Any) -> None:
    """A long run is not thinned, and a step that was logged twice comes twice."""
    run = deepevent.start(name="long", project="reading")
    steps = [*range(20_000), *range(100)]
    for step in steps:
        run.log({"a": float(step)}, step=step)
    assert run.flush(30)
    run.finish()
    rows = csv.DictReader(io.StringIO(command("export", "long")))
    assert [int(row["step"]) for row in rows] == steps


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_an_exported_name_is_no_formula(server: Any, name: str) -> None:
    """A name that a spreadsheet would run comes with an apostrophe in CSV, and as it is in JSON."""
    run = deepevent.start(name=name, project="reading")
    run.log({f"{name}x": 1.0})
    assert run.flush(30)
    run.finish()
    row = next(csv.DictReader(io.StringIO(command("export", run.id))))
    assert (row["name"], row["metric"]) == (f"'{name}", f"'{name}x")
    exported = json.loads(command("export", run.id, "--format", "json"))["runs"][0]
    assert (exported["name"], exported["metrics"][0]["name"]) == (name, f"{name}x")


def test_export_to_parquet(two_runs: list[str], tmp_path: Path) -> None:
    """Parquet has all runs in one table, every value bit for bit."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    target = tmp_path / "points.parquet"
    command("export", *two_runs, "--format", "parquet", "--output", str(target))
    table = parquet.read_table(target)
    assert table.column_names == ["run", "name", "metric", "rank", "step", "time", "value"]
    assert [value.hex() for value in table["value"].to_pylist()] == [
        value.hex() for value in [*AWKWARD, 1.0, 2.0]
    ]
    assert table["step"].to_pylist() == [*range(len(AWKWARD)), 0, 1]
    assert set(table["run"].to_pylist()) == set(two_runs)
    assert "--output" in command("export", "second", "--format", "parquet", code=1)


def test_parquet_without_pyarrow(two_runs: list[str], tmp_path: Path) -> None:
    """Without pyarrow there is one sentence that says what to install, and no file."""
    target = tmp_path / "points.parquet"
    script = "import sys; sys.modules['pyarrow'] = None; from deepevent.cli import main; sys.exit(main())"
    words = ("export", "second", "--format", "parquet", "--output", str(target))
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "deepevent-monitor[parquet]" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not target.exists()


def test_delete(two_runs: list[str]) -> None:
    """Nothing goes without a yes, and a deleted run is gone."""
    assert "nothing was deleted" in command("delete", "first", code=1, typed="n\n")
    assert json.loads(command("delete", "first", "--json"))["deleted"] == [two_runs[0]]
    assert [run["name"] for run in json.loads(command("runs", "--json"))["runs"]] == ["second"]


def test_no_server(home: Path) -> None:
    """Without a server the command says how to get one."""
    assert "deepevent serve" in command("runs", code=1)


def test_a_name_cannot_steer_the_terminal(server: Any) -> None:
    """Control characters of a run's name are not printed."""
    run = deepevent.start(name="\x1b[31mred", project="reading")
    run.log({"a": 1.0})
    assert run.flush(30)
    run.finish()
    assert "\x1b" not in command("runs") + command("show", run.id)
