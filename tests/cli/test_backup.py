"""`deepevent backup` and `restore`: all that was acknowledged before is in it, and nothing half."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deepevent
from deepevent import wire
from deepevent.errors import StoreError
from deepevent.ids import new_id
from deepevent.store import archive, blobs, connection, copying, curves, ingest, media, migrate

PER_RUN = 300


def _call(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import sys; from deepevent.cli import main; sys.exit(main())", *words],
        env={**os.environ, "DEEPEVENT_HOME": str(home)},
        capture_output=True,
        text=True,
    )


def _backup(home: Path, file: Path, *words: str) -> dict[str, Any]:
    done = _call("backup", str(file), "--json", *words, home=home)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def _restore(file: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return _call("restore", str(file), "--home", str(home), "--json", *words, home=home)


def _stored(url: str, run: str) -> list[float]:
    db = connection.open_database(url)
    try:
        found: list[float] = []
        while len(values := curves.read_points(db, run, "value", after_index=len(found)).values):
            found += map(float, values)
        return found
    finally:
        db.close()


def test_a_backup_under_live_writing_is_whole(server: Any, tmp_path: Path) -> None:
    """What was acknowledged before the backup is in it, as a prefix of what was logged, with its image."""
    ended, begun = threading.Event(), threading.Event()
    run = deepevent.start(name="live")
    run.log_image("sample", np.arange(48, dtype=np.uint8).reshape(4, 4, 3), step=0)
    run.log({"value": 0.0}, step=0)
    assert run.flush(timeout=60)

    def write() -> None:
        step = 1
        while not ended.is_set():
            run.log({"value": float(step)}, step=step)
            step += 1
            if step % PER_RUN == 0:
                run.flush(timeout=60)
                begun.set()
        run.finish()

    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(60)
    before = len(_stored(f"sqlite:///{server.home}/deepevent.db", run.id))
    file = tmp_path / "backup.tar"
    manifest = _backup(server.home, file)
    ended.set()
    writer.join()
    assert manifest["blobs"] >= 1 and manifest["missing"] == manifest["damaged"] == []
    assert file.stat().st_mode & 0o777 == 0o600

    home = tmp_path / "again"
    assert _restore(file, home).returncode == 0
    values = _stored(f"sqlite:///{home}/deepevent.db", run.id)
    assert len(values) >= before >= PER_RUN - 1
    assert values == [float(step) for step in range(len(values))]
    assert not [path for path in home.iterdir() if path.name.startswith(".")]


def test_a_restored_home_serves_and_takes_what_comes_next(
    start_server: Any, home: Path, tmp_path: Path
) -> None:
    """Runs, images and tokens are there; a script goes on in the same run."""
    server = start_server()
    run = deepevent.start(name="first")
    run.log_image("sample", np.zeros((4, 4, 3), dtype=np.uint8), step=0)
    run.log({"value": 1.0}, step=0)
    run.finish()
    _backup(home, tmp_path / "backup.tar")
    server.stop()
    assert _restore(tmp_path / "backup.tar", tmp_path / "again").returncode == 0
    again = start_server(home=tmp_path / "again")
    listed = again.call("GET", f"/api/v1/runs/{run.id}/media").json()["media"]
    shown = again.call("GET", f"/api/v1/blobs/{listed[0]['blob']}?type=image/png")
    assert shown.status_code == 200 and shown.content.startswith(b"\x89PNG")
    answer = again.call(
        "POST", "/api/v1/events", json={"run": run.id, "events": [{"metrics": {"value": 2.0}}]}
    )
    assert answer.status_code == 200
    assert _stored(f"sqlite:///{again.home}/deepevent.db", run.id) == [1.0, 2.0]


def test_a_backup_goes_between_the_databases(
    postgresql: Callable[[], str], new_store: Callable[[str], str], tmp_path: Path
) -> None:
    """Out of PostgreSQL into a home, and from there into another PostgreSQL store: every table agrees."""
    first, second = postgresql(), postgresql()
    run = new_store(first)
    _backup(tmp_path / "home", tmp_path / "one.tar", "--store", first)
    assert _restore(tmp_path / "one.tar", tmp_path / "home").returncode == 0
    middle = f"sqlite:///{tmp_path}/home/deepevent.db"
    assert _stored(middle, run) == [0.0, 1.0, 2.0]
    _backup(tmp_path / "home", tmp_path / "two.tar")
    done = _restore(tmp_path / "two.tar", tmp_path / "other", "--store", second)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "other" / "deepevent.db").exists()
    sums = []
    for url in (first, middle, second):
        db = connection.open_database(url)
        sums.append(copying.sums(db))
        db.close()
    assert sums[0] == sums[1] == sums[2]


@pytest.fixture(scope="module")
def new_store() -> Callable[[str], str]:
    """Put a small run into a store; gives its id."""

    def fill(url: str) -> str:
        db = connection.open_database(url)
        committer = ingest.Committer(db)
        run = new_id()
        records = [
            wire.build_event(1, {"type": "run", "name": "a", "project": "p", "created": 1.0, "rank": 0})
        ]
        records.append(wire.build_shape(2, 0, ["value"]))
        records += [wire.build_points(3 + step, 0, step, 1000.0 + step, [float(step)]) for step in range(3)]
        committer.submit(wire.build_batch(run, run, 1, records))
        committer.close()
        assert media.list_alerts(db, run) == []
        db.close()
        return run

    return fill


@pytest.fixture(scope="module")
def archive_file(
    new_store: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path]]:
    """A back-up of a small home with one file, and that home."""
    home = tmp_path_factory.mktemp("small")
    db = connection.open_database(f"sqlite:///{home}/deepevent.db")
    migrate.upgrade(db)
    new_store(f"sqlite:///{home}/deepevent.db")
    name = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of the letter x
    place = blobs.open_blobs(home / "blobs")
    place.put(io.BytesIO(b"x"), name, 1)
    file = home / "good.tar"
    archive.back_up(db, place, file)
    with pytest.raises(StoreError, match="exists already"):
        archive.back_up(db, place, file)
    yield file, home
    db.close()


def _rewrite(source: Path, target: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> Path:
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for entry in old:
            file = old.extractfile(entry)
            assert file is not None
            changed = change(entry.name, file.read())
            if changed is not None:
                fresh = tarfile.TarInfo(changed[0])
                fresh.size = len(changed[1])
                new.addfile(fresh, io.BytesIO(changed[1]))
    return target


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("a bit of the tables", "damaged"),
        ("a bit of a file", "damaged"),
        ("no manifest", "not whole"),
        ("cut", "not whole"),
        ("a file less", "damaged"),
        ("a path", "no back-up does"),
        ("no archive", "not whole"),
    ],
)
def test_what_is_not_whole_is_refused_and_leaves_no_store(
    archive_file: tuple[Path, Path], tmp_path: Path, harm: str, said: str
) -> None:
    """Whatever was done to the archive: one sentence, and no store in the home."""
    bad = tmp_path / "bad.tar"

    def change(name: str, content: bytes) -> tuple[str, bytes] | None:
        if harm == "a bit of the tables" and name == "deepevent.db":
            return name, content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]
        if harm == "a bit of a file" and name.startswith("blobs/"):
            return name, b"y"
        if (harm == "no manifest" and name == "manifest.json") or (
            harm == "a file less" and name.startswith("blobs/")
        ):
            return None
        if harm == "a path" and name.startswith("blobs/"):
            return "blobs/../../escaped", content
        return name, content

    if harm == "no archive":
        bad.write_bytes(b"hello")
    else:
        _rewrite(archive_file[0], bad, change)
    if harm == "cut":
        os.truncate(bad, bad.stat().st_size // 3)
    (tmp_path / "target").mkdir()
    with pytest.raises(StoreError, match=said):
        archive.restore(
            bad, tmp_path / "target" / "deepevent.db", blobs.open_blobs(tmp_path / "target" / "blobs")
        )
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["blobs"]
    assert not list(tmp_path.rglob("escaped"))


def test_a_store_is_not_overwritten(archive_file: tuple[Path, Path]) -> None:
    """A restore wants an empty home, and says so in one sentence."""
    done = _restore(*archive_file)
    assert done.returncode == 1 and "exists already" in done.stderr and "Traceback" not in done.stderr
