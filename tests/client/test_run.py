from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

import deepevent
from deepevent.errors import SettingsError
from deepevent.ids import new_id
from deepevent.runids import find_run_id, shared_run_id
from deepevent.wire import is_ulid

ReadPoints = Callable[[str], list[tuple[int, dict[str, float]]]]
ReadEvents = Callable[..., list[dict[str, Any]]]


def of_type(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == kind]


def test_the_first_event_says_what_the_run_is(home: Path, read_events: ReadEvents) -> None:
    """Name, project, config, tags, notes, group and the process are told first."""
    run = deepevent.start(
        name="n",
        project="p",
        config={"lr": numpy.float32(0.5), "path": Path("/x"), "nested": {"a": (1, 2)}},
        tags=["b", "a"],
        notes="note",
        group="g",
    )
    first = read_events(run.folder)[0]
    assert first["type"] == "run"
    expected = {
        "name": "n",
        "project": "p",
        "tags": ["a", "b"],
        "notes": "note",
        "group": "g",
        "resumed": False,
    }
    assert {key: first[key] for key in expected} == expected
    assert first["config"] == {"lr": 0.5, "path": "/x", "nested": {"a": [1, 2]}}
    assert (first["pid"], first["rank"]) == (os.getpid(), 0)
    assert run.config == first["config"]
    assert is_ulid(run.id)


def test_changes_are_recorded(home: Path, read_events: ReadEvents) -> None:
    """Config, summary, tags, notes and alerts become events as they are changed."""
    run = deepevent.start(config={"a": 1}, tags=["old"])
    run.config.update({"b": numpy.int64(2)}, c=3)
    run.config["d"] = None
    run.config |= {"e": 5}
    assert run.config.setdefault("a", 9) == 1
    run.summary["best"] = float("nan")
    run.tags.add("new")
    run.tags.add("new")
    run.tags.discard("old")
    run.set_notes("text")
    run.alert("plateau", "since step 3", level="error")
    events = read_events(run.folder)
    assert [e["values"] for e in of_type(events, "config")] == [{"b": 2, "c": 3}, {"d": None}, {"e": 5}]
    assert of_type(events, "summary")[0]["values"] == {"best": "NaN"}
    assert [e["tags"] for e in of_type(events, "tags")] == [["new", "old"], ["new"]]
    assert list(run.tags) == ["new"]
    assert of_type(events, "notes")[0]["notes"] == "text"
    assert of_type(events, "alert")[0]["level"] == "error"


def test_media_take_the_step_of_the_last_point(home: Path, read_events: ReadEvents) -> None:
    """Without a step, an image belongs to what was logged last."""
    run = deepevent.start()
    run.log({"a": 1.0}, step=41)
    run.log_text("t", "hello")
    run.log_histogram("h", [1.0, 2.0, float("nan")], step=3, bins=2)
    run.log_table("rows", [{"a": 1, "b": 2.5}, {"a": 3}])
    run.log_image("i", numpy.zeros((4, 6, 3), numpy.uint8), boxes=[[0, 0, 2, 2.5]], caption="c", epoch=2)
    text, histogram, table, image = of_type(read_events(run.folder), "media")
    assert (text["step"], text["data"]) == (41, {"text": "hello"})
    assert histogram["step"] == 3
    assert histogram["data"]["counts"] == [1, 1]
    assert histogram["data"]["nan"] == 1
    assert table["data"] == {"columns": ["a", "b"], "rows": [[1, 2.5], [3, None]]}
    assert image["data"] == {"boxes": [[0.0, 0.0, 2.0, 2.5]], "caption": "c"}
    assert (image["epoch"], image["mime"]) == (2.0, "image/png")
    assert (Path(run.folder) / "blobs" / image["blob"]).read_bytes().startswith(b"\x89PNG")


def test_detections_are_recorded(home: Path, read_events: ReadEvents) -> None:
    """Stages with boxes, scores and parents travel as data beside the image's hash."""
    run = deepevent.start()
    stages = [
        {"name": "det12", "kind": "classify", "boxes": numpy.array([[0, 0, 9, 9]]), "scores": [0.75]},
        {"name": "cal12", "kind": "calibrate", "boxes": [[1, 1, 8, 8]], "scores": [0.75], "parents": [0]},
    ]
    run.log_detections(
        "sample/1", numpy.zeros((10, 10)), {"truth": [], "train": True, "stages": stages}, step=4
    )
    (event,) = of_type(read_events(run.folder), "media")
    assert event["kind"] == "detections"
    assert event["data"]["train"] is True
    assert event["data"]["stages"][1] == {**stages[1], "boxes": [[1.0, 1.0, 8.0, 8.0]]}


def test_artifacts(home: Path, tmp_path: Path, read_events: ReadEvents) -> None:
    """A file or all files of a folder are kept by hash; links are not followed."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"aaa")
    (folder / "sub" / "b.bin").write_bytes(b"bb")
    (folder / "secret").symlink_to("/etc/hostname")
    run = deepevent.start()
    run.log_artifact(folder, kind="checkpoint")
    run.log_artifact(folder / "a.bin", name="weights")
    events = of_type(read_events(run.folder), "artifact")
    assert [(e["name"], e["path"], e["size_bytes"], e["kind"]) for e in events] == [
        ("model", "a.bin", 3, "checkpoint"),
        ("model", "sub/b.bin", 2, "checkpoint"),
        ("weights", "a.bin", 3, "file"),
    ]
    assert (Path(run.folder) / "blobs" / events[0]["blob"]).read_bytes() == b"aaa"


MISTAKES: list[Callable[[deepevent.Run], None]] = [
    lambda run: run.log_image("i", "no/such/file.png"),
    lambda run: run.log_image("i", object()),
    lambda run: run.log_image("i", numpy.zeros((2, 2, 2, 2, 2))),
    lambda run: run.log_image("", b"\x89PNG\r\n\x1a\n"),
    lambda run: run.log_image("i", b"GIF"),
    lambda run: run.log_image("i", numpy.zeros((5000, 5000), numpy.uint8)),
    lambda run: run.log_detections("d", numpy.zeros((2, 2)), {"stages": [{"name": "x", "kind": "y"}]}),
    lambda run: run.log_histogram("h", ["a"]),
    lambda run: run.log_histogram("h", [1.0], bins=0),
    lambda run: run.log_text("t", 3),  # type: ignore[arg-type]
    lambda run: run.log_table("t", [1, 2]),
    lambda run: run.log_table("t", [{}] * 10_001),
    lambda run: run.log_figure("f", "no figure"),
    lambda run: run.log_artifact("no/such/file"),
    lambda run: run.alert("a", level="loud"),
    lambda run: run.log_text("t", "x", step=-1),
    lambda run: run.finish("gone"),
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_said_and_not_raised(
    home: Path, mistake: Callable[[deepevent.Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """By default no call raises; what was wrong is one line on stderr, once."""
    run = deepevent.start()
    capsys.readouterr()
    mistake(run)
    mistake(run)
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("mistake", [m for i, m in enumerate(MISTAKES) if i not in (0, 13)])
def test_a_mistake_raises_in_strict_mode(
    home: Path, mistake: Callable[[deepevent.Run], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DEEPEVENT_STRICT=1 turns the caller's mistakes into TypeError and ValueError."""
    monkeypatch.setenv("DEEPEVENT_STRICT", "1")
    run = deepevent.start()
    with pytest.raises((TypeError, ValueError)):
        mistake(run)


def test_a_with_block_ends_the_run(home: Path, read_events: ReadEvents) -> None:
    """Leaving the block completes the run; an exception marks it failed and passes on."""
    with deepevent.start() as run:
        pass
    assert of_type(read_events(run.folder), "finish")[0]["status"] == "completed"
    with pytest.raises(ZeroDivisionError), deepevent.start() as run:
        1 / 0  # noqa: B018
    (event,) = of_type(read_events(run.folder), "finish")
    assert event["status"] == "failed"
    assert "ZeroDivisionError" in event["traceback"]
    with pytest.raises(KeyboardInterrupt), deepevent.start() as run:
        raise KeyboardInterrupt
    assert of_type(read_events(run.folder), "finish")[0]["status"] == "stopped"


def test_the_second_finish_does_nothing(home: Path, read_events: ReadEvents) -> None:
    """A run ends once."""
    run = deepevent.start()
    run.finish("stopped")
    run.finish()
    assert [e["status"] for e in of_type(read_events(run.folder), "finish")] == ["stopped"]
    assert deepevent.current_run() is None


@pytest.mark.parametrize(
    ("ending", "status", "code"),
    [
        ("", "completed", 0),
        ("1/0", "failed", 1),
        ("sys.exit(3)", "completed", 3),
        # The signal may reach another thread first: the script must still be there when it is taken up.
        # Where the tests themselves run in the background of a shell, a script is born deaf to SIGINT.
        (
            "import signal, time; signal.signal(2, signal.default_int_handler)\n"
            "os.kill(os.getpid(), 2); time.sleep(30)",
            "stopped",
            -2,
        ),
    ],
)
def test_the_end_of_the_script_ends_the_run(
    home: Path, ending: str, status: str, code: int, read_events: ReadEvents
) -> None:
    """A script that says nothing about its end is still told apart: completed, failed or stopped."""
    script = f"import deepevent, os, sys\nrun = deepevent.start()\nprint(run.folder, flush=True)\n{ending}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == code
    (event,) = of_type(read_events(done.stdout.strip()), "finish")
    assert event["status"] == status


def test_the_module_logs_to_the_current_run(home: Path, read_points: ReadPoints) -> None:
    """`deepevent.log` is the newest run's; when that ends, the one before it is current again."""
    first = deepevent.start()
    second = deepevent.start()
    deepevent.log({"a": 1.0})
    deepevent.finish()
    deepevent.log({"a": 2.0})
    assert deepevent.current_run() is first
    assert read_points(second.folder) == [(0, {"a": 1.0})]
    assert read_points(first.folder) == [(0, {"a": 2.0})]


def test_log_without_a_run_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Logging before start is no error, and not silent."""
    deepevent.log({"a": 1.0})
    deepevent.finish()
    assert "deepevent.start()" in capsys.readouterr().err


def test_a_process_that_was_told_its_run_joins_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, read_events: ReadEvents
) -> None:
    """DEEPEVENT_RUN, an id or a name, names the run for a whole tree of processes."""
    run_id = new_id()
    monkeypatch.setenv("DEEPEVENT_RUN", run_id.upper())
    deepevent.log({"a": 1.0})
    run = deepevent.current_run()
    assert run is not None
    assert run.id == run_id
    assert deepevent.start() is run
    first = read_events(run.folder)[0]
    assert (first["resumed"], first["name"], first["project"]) == (True, None, None)


def test_whoever_is_owned_does_not_end_the_run(
    home: Path, monkeypatch: pytest.MonkeyPatch, read_events: ReadEvents
) -> None:
    """Under `deepevent run` and in ranks above 0, the end of one process is not the end of the run."""
    monkeypatch.setenv("DEEPEVENT_RUN", new_id())
    ranked = deepevent.start(rank=3)
    ranked.finish()
    monkeypatch.setenv("DEEPEVENT_RUN_OWNED", "1")
    owned = deepevent.start()
    owned.finish()
    for run in (ranked, owned):
        assert not of_type(read_events(run.folder), "finish")


def test_resume(home: Path, read_events: ReadEvents) -> None:
    """A run goes on by its id; what is no id is refused before anything is written."""
    run_id = new_id()
    run = deepevent.start(resume=run_id)
    assert run.id == run_id
    assert read_events(run.folder)[0]["resumed"] is True
    with pytest.raises(ValueError, match="26 characters"):
        deepevent.start(resume="../../etc")


def test_disabled(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEEPEVENT_MODE=disabled makes every call a no-op with the same surface."""
    monkeypatch.setenv("DEEPEVENT_MODE", "disabled")
    with deepevent.start(config={"a": 1}) as run:
        run.log({"a": 1.0}, step=1, epoch=2)
        run.log_image("i", numpy.zeros((2, 2)))
        run.log_text("t", "x")
        run.log_artifact(__file__)
        run.config["b"] = 2
        run.tags.add("x")
        assert not run.flush()
        assert run.url is None
        assert not run.should_stop
    assert list(home.iterdir()) == []


def test_offline_does_not_ship(home: Path, monkeypatch: pytest.MonkeyPatch, ingest_server: Any) -> None:
    """DEEPEVENT_MODE=offline spools, whatever server is there."""
    ingest_server.announce(home)
    monkeypatch.setenv("DEEPEVENT_MODE", "offline")
    with deepevent.start() as run:
        run.log({"a": 1.0})
    assert ingest_server.n_requests == 0
    assert Path(run.folder).is_dir()


def test_a_run_can_be_pickled_here(home: Path) -> None:
    """In its own process, a pickled run is the run itself."""
    run = deepevent.start()
    assert pickle.loads(pickle.dumps(run)) is run


def test_bad_settings_are_told_all_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting that cannot be used is named, with its value and what is allowed."""
    monkeypatch.setenv("DEEPEVENT_EXIT_TIMEOUT", "soon")
    monkeypatch.setenv("DEEPEVENT_MODE", "maybe")
    (home / "settings.toml").write_text('metric_limit = 0\ncolour = "red"\n')
    with pytest.raises(SettingsError) as caught:
        deepevent.start(url="ftp://x")
    said = str(caught.value)
    for word in ("EXIT_TIMEOUT", "'soon'", "'maybe'", "metric_limit", "colour", "ftp://x"):
        assert word in said


def test_the_settings_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag beats the environment, that beats the file, that beats the default."""
    from deepevent.settings import Settings

    (home / "settings.toml").write_text(
        'project = "file"\nspool_limit_bytes = "1.5GiB"\nexit_timeout_s = 3\n'
    )
    assert Settings().project == "file"
    assert Settings().spool_limit_bytes == 3 << 29
    assert Settings().exit_timeout_s == 3.0
    monkeypatch.setenv("DEEPEVENT_PROJECT", "environment")
    assert Settings().project == "environment"
    assert Settings({"project": "flag"}).project == "flag"
    assert Settings().metric_limit == 10_000


def test_names_of_runs(home: Path) -> None:
    """A name means one run in a project, whatever characters it has, until that run is over."""
    first, is_new = find_run_id(str(home), "p", "../ü b")
    assert is_new
    assert find_run_id(str(home), "p", "../ü b") == (first, False)
    assert find_run_id(str(home), "q", "../ü b")[0] != first
    assert find_run_id(str(home), "p", first) == (first, False)
    assert {path.parent for path in home.rglob("*") if path.is_file()} == {home / "names"}


def test_ranks_of_one_launcher_share_a_run() -> None:
    """Ranks that one launcher started on this machine mean the same run, without talking to each other."""
    script = "import os; from deepevent.runids import shared_run_id; print(shared_run_id(os.environ))"
    environment = {**os.environ, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_PORT": "29500"}
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**environment, "RANK": rank},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for rank in "01"
    }
    assert len(found) == 1
    assert is_ulid(found.pop().strip())
    assert shared_run_id({"RANK": "0", "WORLD_SIZE": "1"}) is None
    assert shared_run_id({"RANK": "0", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}) is None


def test_every_setting_is_documented() -> None:
    """docs/client.md names each setting and its variables."""
    from deepevent.settings import SETTINGS

    text = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
    for setting in SETTINGS:
        assert f"| `{setting.name}` | `{'`, `'.join(setting.variables)}` |" in text
