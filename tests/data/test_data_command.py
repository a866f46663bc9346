"""`deepevent data`: fetching a set, looking sets over, and showing the findings as a run."""

from __future__ import annotations

import argparse
import hashlib
import http.server
import io
import json
import struct
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from deepevent.errors import ArchiveUnsafe
from deepevent_trainer import data_command
from deepevent_trainer.data.sources import DataSet, RemoteFile


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    data_command.configure(parser)
    return data_command.execute(parser.parse_args(list(arguments)))


def make_set(folder: Path, pictures: dict[str, int], boxes: str = "") -> Path:
    """Write a set in our own layout; each picture is random clouds of its seed."""
    (folder / "images").mkdir(parents=True)
    for name, seed in pictures.items():
        small = np.random.default_rng(seed).integers(0, 255, (8, 10, 3), dtype=np.uint8)
        cv2.imwrite(
            str(folder / "images" / name), cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC)
        )
    rows = "".join(f"{name},40,30,50,60,face\n" for name in pictures)
    (folder / "annotations.csv").write_text("image,x,y,w,h,label\n" + rows + boxes)
    return folder


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}"
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def archive(path: Path, name: str) -> str:
    """Write a small archive; return its MD5 sum."""
    with tarfile.open(path, "w:gz") as opened:
        entry = tarfile.TarInfo(name)
        entry.size = 4
        opened.addfile(entry, io.BytesIO(b"face"))
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_a_set_is_fetched_unpacked_and_not_fetched_twice(tmp_path: Path) -> None:
    """Archives go once they are unpacked; a second call needs no server; a third file is added alone."""
    (tmp_path / "site").mkdir()
    first = archive(tmp_path / "site" / "one.tgz", "one/a.txt")
    second = archive(tmp_path / "site" / "two.tgz", "two/b.txt")
    with serve(tmp_path / "site") as url:
        files = (
            RemoteFile("one.tgz", f"{url}/one.tgz", first),
            RemoteFile("two.tgz", f"{url}/two.tgz", second),
        )
        folder = data_command.get_data_set(DataSet("tiny", "Tiny", "none", files[:1], 1000), tmp_path / "to")
    assert (folder / "one" / "a.txt").read_bytes() == b"face"
    assert not (folder / "one.tgz").exists()
    with serve(tmp_path / "site") as url:
        moved = (files[0], RemoteFile("two.tgz", f"{url}/two.tgz", second))
        data_command.get_data_set(
            DataSet("tiny", "Tiny", "none", moved, 1000), tmp_path / "to", keep_archives=True
        )
    assert (folder / "two" / "b.txt").is_file()
    assert (folder / "two.tgz").is_file()
    data_command.get_data_set(DataSet("tiny", "Tiny", "none", moved, 1000), tmp_path / "to")


def test_a_set_whose_archive_leads_outside_is_refused(tmp_path: Path) -> None:
    """The bound and the rules of unpacking hold for downloads."""
    (tmp_path / "site").mkdir()
    md5 = archive(tmp_path / "site" / "one.tgz", "../evil")
    with serve(tmp_path / "site") as url, pytest.raises(ArchiveUnsafe):
        files = (RemoteFile("one.tgz", f"{url}/one.tgz", md5),)
        data_command.get_data_set(DataSet("tiny", "Tiny", "none", files, 1000), tmp_path / "to")
    assert not (tmp_path / "to" / "evil").exists()


def test_a_leak_fails_the_check_and_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Training and test are told apart by folder; the text and the JSON say the same."""
    training = make_set(tmp_path / "training", {"a.png": 1, "b.png": 2})
    testing = make_set(tmp_path / "testing", {"c.png": 3, "d.png": 2}, "c.png,500,500,20,20,face\n")
    assert run("check", "--train", str(training), "--test", str(testing)) == 1
    text = capsys.readouterr().out
    assert "4 photographs, 5 faces" in text
    assert "1 leak" in text
    assert "testing/" in text
    assert run("check", "--train", str(training), "--test", str(testing), "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["counts"] | {"leak": 1, "outside": 1} == report["counts"]
    assert report["findings"][0]["kind"] == "leak"


def test_a_clean_set_passes_and_a_wrong_folder_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0 for a clean set, 1 for a folder that is none, 2 for no folder at all."""
    clean = make_set(tmp_path / "clean", {"a.png": 1, "b.png": 2})
    assert run("check", str(clean)) == 0
    assert run("check", str(tmp_path / "nowhere")) == 1
    assert "nowhere" in capsys.readouterr().err
    assert run("check") == 2


def test_findings_are_logged_as_a_run(home: Path, tmp_path: Path) -> None:
    """With --log, the counts, a table of all findings and the pictures with their boxes are in a run."""
    pictures = make_set(tmp_path / "set", {"a.png": 1, "b.png": 1}, "a.png,500,500,20,20,face\n")
    assert run("check", str(pictures), "--log") == 0
    events = logged_events(home)
    started = next(event for event in events if event["type"] == "run")
    assert (started["project"], started["name"]) == ("data", "data check")
    media = {(event["kind"], event["name"]): event for event in events if event["type"] == "media"}
    assert set(media) == {
        ("table", "findings"),
        ("image", "outside"),
        ("image", "duplicate"),
        ("image", "duplicate/other"),
    }
    assert "500" in json.dumps(media["image", "outside"]["data"])
    assert "b" in json.dumps(media["table", "findings"]["data"])
    assert events[-1] | {"type": "finish", "status": "completed"} == events[-1]


def logged_events(home: Path) -> list[dict[str, Any]]:
    """Return the events in the spool, read as docs/formats.md describes it."""
    events = []
    for segment in sorted(home.glob("spool/*/*/*.seg")):
        data, offset = segment.read_bytes(), 128
        while offset + 16 <= len(data):
            size, _, kind, _, length = struct.unpack_from("<IIHHI", data, offset)
            if size == 0:
                break
            if kind == 3:
                events.append(json.loads(data[offset + 16 : offset + 16 + length]))
            offset += size
    return events
