"""`deepevent import tensorboard DIR`, on files that tensorboardX writes and on bytes made by hand."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

from deepevent.importers.eventfiles import Reader, event_files
from deepevent.importers.tfrecord import RecordBroken, fields, masked_crc32c, read_records, write_record
from deepevent.store import connection, curves

COMMAND = str(Path(sys.executable).with_name("deepevent"))
STARTED = 1_700_000_000.0


def run_it(*words: str, code: int = 0) -> str:
    done = subprocess.run([COMMAND, "import", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout if code == 0 else done.stderr


def proto(number: int, content: bytes | float | str) -> bytes:
    """A field of a message: bytes and text with their length, a float as a double."""
    if isinstance(content, float):
        return bytes([number << 3 | 1]) + struct.pack("<d", content)
    raw = content.encode() if isinstance(content, str) else content
    return bytes([number << 3 | 2]) + varint(len(raw)) + raw


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def scalar(tag: str, value: float, step: int, time: float) -> bytes:
    summary = proto(1, proto(1, tag) + b"\x15" + struct.pack("<f", value))
    return proto(1, time) + b"\x10" + varint(step) + proto(5, summary)


def write_file(folder: Path, *events: bytes, name: str = "events.out.tfevents.1.host") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    version = proto(1, STARTED) + proto(3, "brain.Event:2")
    (folder / name).write_bytes(b"".join(write_record(event) for event in (version, *events)))
    return folder / name


def test_the_checksum_is_castagnoli_s() -> None:
    """The masked CRC32C of a known text is what TensorFlow writes."""
    crc = 0xE3069283  # of "123456789", the check value in the catalogue of CRCs
    assert masked_crc32c(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_a_folder_of_runs(server: Any, tmp_path: Path) -> None:
    """Every folder of event files is a run, with its own steps, times, name and group."""
    points = [(step, float(numpy.float32(1 / (step + 1)))) for step in range(100)]
    for name in ("seed-1", "deep/seed-2"):
        events = [scalar("loss", value, step, STARTED + step) for step, value in points]
        write_file(tmp_path / "logs" / name, *events)
    out = run_it("tensorboard", str(tmp_path / "logs"), "--project", "old")
    assert out.count("100 scalars") == 2
    listed = server.call("GET", "/api/v1/runs", params={"filter": 'project = "old"'}).json()["runs"]
    assert {run["name"] for run in listed} == {"seed-1", "deep/seed-2"}
    assert {(run["group"], run["status"], run["created"]) for run in listed} == {
        ("logs", "completed", STARTED)
    }
    db = connection.open_database(f"sqlite:///{server.home}/deepevent.db")
    for run in listed:
        found = curves.read_points(db, run["id"], "loss")
        assert list(zip(found.steps.tolist(), found.values.tolist(), strict=True)) == points
        assert found.times.tolist() == [STARTED + step for step, _ in points]
        assert run["finished"] == STARTED + 99
    db.close()
    assert not any((server.home / "spool").iterdir())


def test_an_import_that_is_repeated_adds_what_is_new(server: Any, tmp_path: Path) -> None:
    """The same files again change nothing; those of a training that went on add the rest."""
    events = [scalar("loss", float(step), step, STARTED + step) for step in range(50)]
    write_file(tmp_path / "logs", *events[:20])
    ids = set()
    for n in (20, 20, 35):
        write_file(tmp_path / "logs", *events[:n])
        (imported,) = json.loads(run_it("tensorboard", str(tmp_path / "logs"), "--json"))["runs"]
        ids.add(imported["run"])
        (metric,) = server.call("GET", f"/api/v1/runs/{imported['run']}/metrics").json()["metrics"]
        assert (metric["n"], metric["last_step"]) == (n, n - 1)
    write_file(tmp_path / "logs", *events[35:], name="events.out.tfevents.2.host")
    run_it("tensorboard", str(tmp_path / "logs"))
    (run_id,) = ids
    (metric,) = server.call("GET", f"/api/v1/runs/{run_id}/metrics").json()["metrics"]
    assert metric["n"] == 50
    assert server.call("GET", f"/api/v1/runs/{run_id}").json()["status"] == "completed"


def test_everything_that_a_writer_writes(server: Any, tmp_path: Path) -> None:
    """Scalars, NaN, images, text, histograms and hyperparameters of a real writer are in the run."""
    tensorboardx = pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    chance = numpy.random.default_rng(1)
    with tensorboardx.SummaryWriter(str(tmp_path / "logs" / "one")) as writer:
        for step in range(20):
            writer.add_scalar("train/loss", 1 / (step + 1), step)
        writer.add_scalar("train/loss", math.nan, 20)
        writer.add_image("sample", chance.random((3, 8, 12)), 3)
        writer.add_text("note", "a **word**", 4)
        writer.add_histogram("weights", chance.standard_normal(1000), 5)
        writer.add_pr_curve("found", chance.integers(2, size=50), chance.random(50), 6)
        writer.add_hparams({"lr": 0.1, "net": "small", "deep": True}, {"best": 0.9}, name="hp")
    out = run_it("tensorboard", str(tmp_path / "logs"))
    assert "left out: 1 of pr_curves" in out
    runs = server.call("GET", "/api/v1/runs").json()["runs"]
    main = next(run for run in runs if run["name"] == "one")
    loss = main["metrics"]["train/loss"]
    assert (loss["n"], loss["n_nan"], loss["last_step"]) == (21, 1, 20)
    media = server.call("GET", f"/api/v1/runs/{main['id']}/media").json()["media"]
    by_kind = {medium["kind"]: medium for medium in media}
    assert {kind: medium["step"] for kind, medium in by_kind.items()} == {
        "image": 3,
        "text": 4,
        "histogram": 5,
    }
    assert by_kind["text"]["data"]["text"] == "a **word**"
    histogram = by_kind["histogram"]["data"]
    assert histogram["n"] == sum(histogram["counts"]) == 1000
    assert len(histogram["edges"]) == len(histogram["counts"]) + 1
    assert -6 < histogram["edges"][0] < histogram["edges"][-1] < 6
    blob = server.call("GET", f"/api/v1/blobs/{by_kind['image']['blob']}").content
    assert blob.startswith(b"\x89PNG")
    hyper = next(run for run in runs if run["name"] == "one/hp")
    config = server.call("GET", f"/api/v1/runs/{hyper['id']}").json()["config"]
    assert config == {"lr": 0.1, "net": "small", "deep": True}


def test_tensors_of_the_newer_kind(tmp_path: Path) -> None:
    """A plugin is named in the first summary of a tag alone; numbers lie packed or raw."""

    def tensor(tag: str, plugin: str, content: bytes, step: int) -> bytes:
        metadata = proto(9, proto(1, proto(1, plugin))) if plugin else b""
        summary = proto(1, proto(1, tag) + metadata + proto(8, content))
        return proto(1, STARTED + step) + b"\x10" + varint(step) + proto(5, summary)

    single = b"\x08\x01" + proto(4, struct.pack("<f", 0.5))
    packed = b"\x08\x01" + proto(5, struct.pack("<f", 0.25))
    picture = b"\x08\x07" + proto(8, "12") + proto(8, "8") + proto(8, b"\x89PNG...")
    rows = b"\x08\x02" + proto(4, struct.pack("<6d", 0, 1, 3, 1, 2, 4))
    path = write_file(
        tmp_path,
        tensor("loss", "scalars", single, 1),
        tensor("loss", "", packed, 2),
        tensor("seen", "images", picture, 3),
        tensor("spread", "histograms", rows, 4),
        tensor("curve", "pr_curves", rows, 5),
    )
    found = [(value.tag, value.step, value.kind, value.content) for value in Reader().read(path)]
    assert found == [
        ("loss", 1, "scalar", 0.5),
        ("loss", 2, "scalar", 0.25),
        ("seen", 3, "image", [b"\x89PNG..."]),
        ("spread", 4, "histogram", ([0.0, 1.0, 2.0], [3.0, 4.0])),
        ("curve", 5, "pr_curves", None),
    ]


def test_a_file_that_is_cut_or_damaged(tmp_path: Path) -> None:
    """A file that ends anywhere gives its whole records; a flipped bit makes nothing up."""
    events = [scalar("loss", float(step), step, STARTED) for step in range(10)]
    whole = write_file(tmp_path / "logs", *events)
    content = whole.read_bytes()
    n_before = 0
    for end in range(0, len(content), 7):
        whole.write_bytes(content[:end])
        reader = Reader()
        values = [value.content for value in reader.read(whole)]
        assert values == [float(step) for step in range(len(values))]
        assert not reader.damage
        assert len(values) >= n_before
        n_before = len(values)
    for place in range(0, len(content), 11):
        broken = bytearray(content)
        broken[place] ^= 4
        whole.write_bytes(broken)
        reader = Reader()
        values = [value.content for value in reader.read(whole)]
        assert values == [float(step) for step in range(len(values))]
        assert len(values) < 10
        assert reader.damage or place < 12 or len(values) < 10


def test_rubbish_is_refused(tmp_path: Path) -> None:
    """Messages that are none raise RecordBroken and nothing else."""
    chance = numpy.random.default_rng(2)
    for size in range(1, 60):
        message = chance.bytes(size)
        try:
            for number, value in fields(message):
                assert number >= 0
                assert isinstance(value, (int, bytes))
        except RecordBroken:
            continue
    path = write_file(tmp_path, *(chance.bytes(30) for _ in range(20)))
    with path.open("rb") as file:
        assert len(list(read_records(file))) == 21
    assert list(Reader().read(path)) == []
    assert event_files(tmp_path) == [path]


def test_a_folder_without_event_files(home: Path, tmp_path: Path) -> None:
    """One sentence says what is looked for; without a server what was read waits for one."""
    assert "no event files" in run_it("tensorboard", str(tmp_path), code=1)
    write_file(tmp_path / "logs", scalar("loss", 1.0, 0, STARTED))
    assert "wait in" in run_it("tensorboard", str(tmp_path / "logs"))
    assert any((home / "spool").iterdir())
