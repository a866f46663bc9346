from __future__ import annotations

import math
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepevent import wire
from deepevent.ids import new_id
from deepevent.journal import Journal
from deepevent.segment import (
    SEGMENT_HEADER_SIZE,
    SegmentHeader,
    scan_segment,
    segment_name,
    segment_numbers,
)

MakeJournal = Callable[..., Journal]
ReadPoints = Callable[[str], list[tuple[int, dict[str, float]]]]
ReadEvents = Callable[..., list[dict[str, Any]]]
SPECIAL = [math.nan, math.inf, -math.inf, 5e-324, -0.0, 1e308, -1e308, float(2**53), 0.1]


def a_segment(n_points: int) -> tuple[bytes, int]:
    """The bytes of a journal with one segment, and where its last record ends."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / new_id()
        journal = Journal(str(path), new_id(), path.name, 0, {"type": "run"}, segment_size=4096)
        for step in range(n_points):
            journal.log({"loss": step / 3, "näme": -0.0}, step)
        end = journal.snapshot()[1]
        data = (path / segment_name(0)).read_bytes()
        journal.release()
    return data, end


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def test_every_float_survives_bit_for_bit(make_journal: MakeJournal, read_points: ReadPoints) -> None:
    """NaN, infinities, denormals, -0.0 and the largest numbers are kept as they are."""
    journal = make_journal()
    for step, value in enumerate(SPECIAL):
        journal.log({"v": value}, step)
    points = read_points(journal.folder)
    assert [bits(values["v"]) for _, values in points] == [bits(value) for value in SPECIAL]


def test_points_lie_in_the_file_before_log_returns(
    make_journal: MakeJournal, read_points: ReadPoints
) -> None:
    """What is logged can be read by another process at once, without flush or close."""
    journal = make_journal()
    for step in range(5):
        journal.log({"a": float(step)}, step)
        assert len(read_points(journal.folder)) == step + 1


def test_steps_count_by_themselves(make_journal: MakeJournal, read_points: ReadPoints) -> None:
    """Without a step, calls count on from the last one; a step may repeat or go back."""
    journal = make_journal()
    for step in (None, None, 10, None, 3, 3, None):
        journal.log({"a": 1.0}, step)
    assert [step for step, _ in read_points(journal.folder)] == [0, 1, 10, 11, 3, 3, 4]


def test_an_epoch_is_a_metric(make_journal: MakeJournal, read_points: ReadPoints) -> None:
    """The epoch travels as the value of the metric `epoch`, in the quick and in the slow path."""
    journal = make_journal()
    for step in range(3):
        journal.log({"a": 1.0}, step, 7)
    journal.log({"a": 1, "epoch": 3}, 3, 8)
    points = [values for _, values in read_points(journal.folder)]
    assert points == [{"a": 1.0, "epoch": 7.0}] * 3 + [{"a": 1.0, "epoch": 8.0}]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([f"m{i}" for i in range(9)]),
            st.floats(allow_nan=True) | st.integers(-(2**53), 2**53) | st.booleans(),
            min_size=1,
        ),
        max_size=60,
    )
)
@settings(max_examples=40, deadline=None)
def test_any_mix_of_names_comes_back(calls: list[dict[str, Any]]) -> None:
    """Whatever is logged is read back in order, over many small segments."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / new_id()
        journal = Journal(str(path), new_id(), path.name, 0, {"type": "run"}, segment_size=4096)
        for values in calls:
            journal.log(values)
        journal.seal()
        found = []
        for number in segment_numbers(str(path)):
            data = (path / segment_name(number)).read_bytes()
            header = SegmentHeader(data)
            shapes: dict[int, tuple[str, ...]] = {}
            for record in wire.iter_records(data[SEGMENT_HEADER_SIZE : header.end], header.first_sequence):
                if record.kind == wire.KIND_SHAPE:
                    shapes[record.shape_id] = record.names
                elif record.kind == wire.KIND_POINTS:  # its shape stands in the same segment
                    found.append(dict(zip(shapes[record.shape_id], record.values, strict=True)))
        journal.release()
    assert [{k: bits(v) for k, v in values.items()} for values in found] == [
        {k: bits(float(v)) for k, v in values.items()} for values in calls
    ]


def test_a_kill_at_any_byte_leaves_whole_records() -> None:
    """Cut after any byte of what was written: all records before the cut are read, and nothing else."""
    data, end = a_segment(6)
    ends = [SEGMENT_HEADER_SIZE]
    while ends[-1] < end:
        ends.append(ends[-1] + struct.unpack_from("<I", data, ends[-1])[0])
    for cut in range(SEGMENT_HEADER_SIZE, end + 1):
        # A record's bytes from 8 on are written first, its mark last: so a cut record has no mark.
        whole = max(place for place in ends if place <= cut)
        torn = bytearray(data[:cut] + bytes(len(data) - cut))
        torn[whole : whole + 8] = bytes(min(8, len(torn) - whole))
        scan = scan_segment(bytes(torn), 1, 0)
        assert not scan.damage
        assert sum(span.n_records for span in scan.spans) == ends.index(whole)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_flipped_byte_is_reported_and_never_guessed(data: st.DataObject) -> None:
    """A damaged record is reported; every record that is read is one that was written."""
    segment, end = SEGMENT_OF_TWELVE
    position = data.draw(st.integers(SEGMENT_HEADER_SIZE, end - 1))
    flip = data.draw(st.integers(1, 255))
    damaged = bytearray(segment)
    damaged[position] ^= flip
    originals = split(segment, end)
    scan = scan_segment(bytes(damaged), 1, end)
    assert scan.damage
    for span in scan.spans:
        offset = span.start
        for sequence in range(span.first_sequence, span.first_sequence + span.n_records):
            size = struct.unpack_from("<I", damaged, offset)[0]
            assert bytes(damaged[offset : offset + size]) == originals[sequence - 1]
            offset += size
    n_read = sum(span.n_records for span in scan.spans)
    size_is_hit = any(position - offset in range(4) for offset in offsets(segment, end))
    assert n_read == len(originals) - 1 or size_is_hit


def offsets(segment: bytes, end: int) -> list[int]:
    places = []
    offset = SEGMENT_HEADER_SIZE
    while offset < end:
        places.append(offset)
        offset += struct.unpack_from("<I", segment, offset)[0]
    return places


def split(segment: bytes, end: int) -> list[bytes]:
    places = offsets(segment, end)
    return [segment[a:b] for a, b in zip(places, [*places[1:], end], strict=True)]


SEGMENT_OF_TWELVE = a_segment(12)


def test_a_large_record_gets_a_segment_of_its_size(
    make_journal: MakeJournal, read_events: ReadEvents
) -> None:
    """An event larger than a segment is kept whole; one above a mebibyte is refused in one sentence."""
    journal = make_journal(segment_size=4096, strict=True)
    journal.append_event({"type": "media", "data": "x" * 900_000})
    journal.log({"a": 1.0})
    assert len(read_events(journal.folder)[-1]["data"]) == 900_000
    with pytest.raises(ValueError, match="1048576"):
        journal.append_event({"type": "media", "data": "x" * 1_100_000})


def test_the_last_segment_shrinks_when_the_writer_ends(
    make_journal: MakeJournal, read_points: ReadPoints
) -> None:
    """A finished writer leaves only what it wrote on disk."""
    journal = make_journal()
    journal.log({"a": 1.0})
    journal.seal()
    assert (Path(journal.folder) / segment_name(0)).stat().st_size < 1000
    assert read_points(journal.folder) == [(0, {"a": 1.0})]


def test_log_after_the_end_keeps_nothing(
    make_journal: MakeJournal, read_points: ReadPoints, capsys: pytest.CaptureFixture[str]
) -> None:
    """A call after the end is told so and changes nothing."""
    journal = make_journal()
    journal.log({"a": 1.0})
    journal.seal()
    journal.log({"a": 2.0})
    assert len(read_points(journal.folder)) == 1
    assert "finished" in capsys.readouterr().err


def test_the_limit_of_names_has_a_clear_answer(
    make_journal: MakeJournal, read_points: ReadPoints, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names beyond the limit are not kept and said once; the known ones go on."""
    journal = make_journal(metric_limit=50)
    for i in range(80):
        journal.log({f"limited/{i}": 1.0, "limited/0": 2.0})
    names = {name for _, values in read_points(journal.folder) for name in values}
    assert len(names) == 50
    assert capsys.readouterr().err.count("at most 50 metric names") == 1


def test_ten_thousand_names_in_one_call(make_journal: MakeJournal, read_points: ReadPoints) -> None:
    """A call may hold as many names as a run may have."""
    journal = make_journal()
    values = {f"layer/{i}/weight/norm": float(i) for i in range(10_000)}
    for _ in range(3):
        journal.log(values)
    assert [found for _, found in read_points(journal.folder)] == [values] * 3


def test_combinations_of_names_do_not_pile_up(make_journal: MakeJournal, read_points: ReadPoints) -> None:
    """A script that logs ever new combinations of names gets records of one name each, and loses nothing."""
    journal = make_journal()
    calls = [{f"c{i % 97}": 1.0, f"d{i % 89}": 2.0} for i in range(6000)]
    for values in calls:
        journal.log(values)
    found: list[tuple[str, float]] = [
        item for _, values in read_points(journal.folder) for item in values.items()
    ]
    assert found == [item for values in calls for item in values.items()]


def test_a_journal_that_nobody_tends_keeps_few_files_open(
    make_journal: MakeJournal, read_points: ReadPoints
) -> None:
    """Where no thread can be started, full segments are let go of all the same."""
    journal = make_journal(segment_size=4096)
    before = len(list(Path("/proc/self/fd").iterdir()))
    step = 0
    while journal.snapshot()[0] < 200:
        journal.log({"a": float(step)}, step)
        step += 1
    assert len(list(Path("/proc/self/fd").iterdir())) - before < 100
    assert [found for found, _ in read_points(journal.folder)] == list(range(step))


def test_a_journal_belongs_to_one_process(make_journal: MakeJournal) -> None:
    """The writer's lock is held as long as the journal is open."""
    import fcntl

    journal = make_journal()
    with (Path(journal.folder) / "lock").open("r+") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        journal.release()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_files_are_private(make_journal: MakeJournal) -> None:
    """Folders have mode 0700 and files 0600."""
    journal = make_journal()
    folder = Path(journal.folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
