from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepevent import wire
from deepevent.errors import BatchInvalid, BlobInvalid, SequenceGap, ServerUnreachable
from deepevent.ids import new_id
from deepevent.journal import Journal
from deepevent.segment import SEGMENT_HEADER_SIZE, segment_name, segment_numbers
from deepevent.spool import Report, adopt


class Store:
    """Takes batches exactly once and strictly, as the server does."""

    def __init__(self) -> None:
        self.records: dict[str, list[wire.Record]] = {}
        self.blobs: dict[str, bytes] = {}

    def send(self, batch: wire.Batch) -> int:
        batch = wire.decode(wire.encode(batch))
        known = self.records.setdefault(batch.writer_id, [])
        if batch.first_sequence > len(known) + 1:
            raise SequenceGap("gap", len(known) + 1)
        shapes = {r.shape_id: len(r.names) for r in known if r.kind == wire.KIND_SHAPE}
        for record in wire.iter_records(batch.body, batch.first_sequence):
            if record.kind == wire.KIND_SHAPE:
                assert shapes.setdefault(record.shape_id, len(record.names)) == len(record.names)
            elif record.kind == wire.KIND_POINTS and shapes.get(record.shape_id) != len(record.values):
                raise BatchInvalid("a shape that nobody declared")
            if record.sequence == len(known) + 1:
                known.append(record)
        return len(known)

    def put(self, sha256: str, file: Any, size: int) -> None:
        self.blobs[sha256] = file.read()
        assert len(self.blobs[sha256]) == size

    def points(self) -> list[tuple[int, dict[str, float]]]:
        found = []
        for records in self.records.values():
            shapes = {}
            for record in records:
                if record.kind == wire.KIND_SHAPE:
                    shapes[record.shape_id] = record.names
                elif record.kind == wire.KIND_POINTS:
                    found.append(
                        (record.step, dict(zip(shapes[record.shape_id], record.values, strict=True)))
                    )
        return found

    def dropped(self) -> int:
        events = [r.event for records in self.records.values() for r in records if r.event]
        return sum(event["count"] for event in events if event["type"] == "dropped")  # type: ignore[misc]


def abandon(home: Path, n_points: int = 400, segment_size: int = 4096, blob: bytes = b"") -> Path:
    """Leave a writer's folder behind, as a script without a server does."""
    run_id, writer_id = new_id(), new_id()
    folder = home / "spool" / run_id / writer_id
    journal = Journal(str(folder), run_id, writer_id, 2, {"type": "run"}, segment_size=segment_size)
    for step in range(n_points):
        journal.log({"a": float(step), "b": 1.0} if step % 3 else {"a": float(step)}, step)
    if blob:
        sha256 = journal.keep_blob(blob)
        journal.append_event({"type": "media", "blob": sha256})
    journal.release()
    return folder


def take_in(home: Path, store: Store | None = None) -> tuple[Store, Report]:
    store = store or Store()
    return store, adopt(home, store.send, store.put)


def test_abandoned_writers_are_taken_in_and_tidied_away(tmp_path: Path) -> None:
    """All points and blobs arrive, once and in order, and the spool is empty afterwards."""
    abandon(tmp_path, blob=b"an image")
    abandon(tmp_path, n_points=50)
    store, report = take_in(tmp_path)
    assert sorted(step for step, _ in store.points()) == sorted([*range(400), *range(50)])
    assert list(store.blobs.values()) == [b"an image"]
    assert (report.n_writers, report.n_blobs, report.damage, report.refused) == (2, 1, [], [])
    assert list((tmp_path / "spool").iterdir()) == []
    assert take_in(tmp_path, store)[1].n_writers == 0


def test_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    """What its own process still writes is not touched."""
    run_id, writer_id = new_id(), new_id()
    journal = Journal(str(tmp_path / "spool" / run_id / writer_id), run_id, writer_id, 0, {"type": "run"})
    assert take_in(tmp_path)[1].n_writers == 0
    journal.release()
    assert take_in(tmp_path)[1].n_writers == 1


def test_a_server_that_goes_away_loses_nothing(tmp_path: Path) -> None:
    """An error in the middle passes through; the next adoption goes on, and nothing is doubled."""
    abandon(tmp_path)
    store = Store()
    n_sent = 0

    def send(batch: wire.Batch) -> int:
        nonlocal n_sent
        n_sent += 1
        if n_sent == 3:
            raise ServerUnreachable("gone")
        return store.send(batch)

    with pytest.raises(ServerUnreachable):
        adopt(tmp_path, send, store.put)
    take_in(tmp_path, store)
    assert [step for step, _ in store.points()] == list(range(400))


def test_the_note_of_what_is_acknowledged_is_not_trusted(tmp_path: Path) -> None:
    """A note that claims too much costs a question, and no record."""
    folder = abandon(tmp_path)
    (folder / "acked").write_text("300")
    store, report = take_in(tmp_path)
    assert [step for step, _ in store.points()] == list(range(400))
    assert not report.refused


def test_a_killed_writer_in_the_middle_of_a_switch(tmp_path: Path) -> None:
    """A segment without an end mark, followed by another, was full: its records are all there."""
    folder = abandon(tmp_path)
    for number in segment_numbers(str(folder)):
        path = folder / segment_name(number)
        data = bytearray(path.read_bytes())
        struct.pack_into("<Q", data, 88, 0)
        path.write_bytes(data)
    store, report = take_in(tmp_path)
    assert [step for step, _ in store.points()] == list(range(400))
    assert not report.damage


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_byte_anywhere(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """One damaged byte costs at most its segment: it is reported and counted, the rest arrives unchanged."""
    home = tmp_path_factory.mktemp("home")
    folder = abandon(home, n_points=300)
    number = data.draw(st.sampled_from(segment_numbers(str(folder))))
    path = folder / segment_name(number)
    content = bytearray(path.read_bytes())
    end = struct.unpack_from("<Q", content, 88)[0]
    position = data.draw(st.integers(0, end - 1).filter(lambda p: not 96 <= p < 128))
    content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    store, report = take_in(home)
    assert not report.refused
    expected = {
        step: ({"a": float(step), "b": 1.0} if step % 3 else {"a": float(step)}) for step in range(300)
    }
    points = store.points()
    assert all(expected[step] == values for step, values in points)
    steps = [step for step, _ in points]
    assert steps == sorted(set(steps))
    n_in_segment = (end - SEGMENT_HEADER_SIZE) // 40 + 1
    assert len(points) >= 300 - n_in_segment
    if len(points) < 300:
        assert report.damage
        assert (
            store.dropped() >= 1 or position < SEGMENT_HEADER_SIZE
        )  # how much a lost last segment held is unknown
        assert list((home / "quarantine").rglob("*.seg"))


def test_a_lost_shape_is_found_in_another_segment(tmp_path: Path) -> None:
    """A damaged shape record costs nothing: the other segments declare the same shape."""
    folder = abandon(tmp_path, n_points=300)
    path = folder / segment_name(1)
    content = bytearray(path.read_bytes())
    assert content[SEGMENT_HEADER_SIZE + 8] == wire.KIND_SHAPE
    content[SEGMENT_HEADER_SIZE + 18] ^= 1
    path.write_bytes(content)
    store, report = take_in(tmp_path)
    assert len(report.damage) == 1
    assert [step for step, _ in store.points()] == list(range(300))
    assert store.dropped() == 0


def test_what_can_never_be_taken_is_set_aside(tmp_path: Path) -> None:
    """A writer that the server refuses for good is moved out of the way, not deleted and not sent again."""
    abandon(tmp_path, n_points=10)

    def refuse(_: wire.Batch) -> int:
        raise BatchInvalid("no")

    report = adopt(tmp_path, refuse, lambda *_: None)
    assert len(report.refused) == 1
    assert list((tmp_path / "quarantine").rglob("*.seg"))
    assert take_in(tmp_path)[1].n_writers == 0


@pytest.mark.parametrize("error", [BatchInvalid, BlobInvalid])
def test_a_blob_that_is_never_taken_holds_nothing_up(tmp_path: Path, error: type[Exception]) -> None:
    """It is reported and set aside, and every record of its writer and of the others arrives."""
    damaged = abandon(tmp_path, n_points=20, blob=b"damaged")
    abandon(tmp_path, n_points=10, blob=b"sound")
    store = Store()

    def put(sha256: str, file: Any, size: int) -> None:
        if size == len(b"damaged"):
            raise error("its content has another hash")
        store.put(sha256, file, size)

    report = adopt(tmp_path, store.send, put)
    assert sorted(step for step, _ in store.points()) == sorted([*range(20), *range(10)])
    assert (report.n_writers, report.n_blobs) == (2, 1)
    assert [sentence for sentence in report.refused if "another hash" in sentence] == report.refused
    assert len(report.refused) == 1
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert b"damaged" in kept, "what a script wanted to keep is not thrown away"
    assert not any((damaged / "blobs").glob("*"))


def test_a_large_segment_is_sent_in_batches(tmp_path: Path) -> None:
    """Batches stay within the limit of the wire."""
    run_id, writer_id = new_id(), new_id()
    folder = tmp_path / "spool" / run_id / writer_id
    journal = Journal(str(folder), run_id, writer_id, 0, {"type": "run"}, segment_size=6 << 20)
    for _ in range(5):
        journal.append_event({"type": "media", "data": json.loads(json.dumps("x" * 1_000_000))})
    journal.release()
    sizes = []
    store = Store()

    def send(batch: wire.Batch) -> int:
        sizes.append(len(batch.body))
        return store.send(batch)

    adopt(tmp_path, send, store.put)
    assert len(sizes) == 5
    assert max(sizes) <= wire.BATCH_BODY_LIMIT


def test_strangers_in_the_spool_are_ignored(tmp_path: Path) -> None:
    """Files and folders that are no writers, and links, are neither read nor deleted."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "lock").touch()
    spool = tmp_path / "spool"
    (spool / "notes").mkdir(parents=True)
    (spool / "file").touch()
    (spool / new_id()).symlink_to(outside)
    run = spool / new_id()
    run.mkdir()
    (run / new_id()).symlink_to(outside)
    assert take_in(tmp_path)[1].n_writers == 0
    assert (outside / "lock").exists()
