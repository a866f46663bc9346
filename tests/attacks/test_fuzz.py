"""Bytes that nobody wrote by hand: the batch format at the server, the journal's reader, the image reader."""

from __future__ import annotations

import io
import math
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepevent import spool, wire
from deepevent.errors import BatchInvalid, SequenceGap
from deepevent.ids import new_id
from deepevent.journal import Journal
from deepevent.media import encode_png
from deepevent_web import images

pytestmark = pytest.mark.usefixtures("unharmed")

QUICK = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
BATCH = {"Content-Type": wire.CONTENT_TYPE}
TYPES = ["run", "config", "summary", "environment", "tags", "notes", "media", "artifact", "alert", "log"]
KEYS = ["name", "kind", "data", "values", "tags", "notes", "text", "title", "level", "step", "time", "blob"]
KEYS += [
    "stream",
    "status",
    "path",
    "size_bytes",
    "config",
    "created",
    "host",
    "pid",
    "epoch",
    "mime",
    "count",
]

SIGNATURES = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF1234WEBPVP8X", b""]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("a\0b"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
events = st.builds(
    lambda kind, rest: {"type": kind, **rest},
    st.sampled_from([*TYPES, "finish", "dropped", "unheard of", None]),
    st.dictionaries(st.sampled_from(KEYS), anything, max_size=6),
)
names = st.lists(st.text(max_size=5) | st.just("a\0b") | st.just("x" * 251), max_size=4)
values = st.lists(st.floats(), min_size=1, max_size=4)
steps = st.integers(-(2**63), 2**63 - 1)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[int, int, bytes]:
    """Records with right marks and CRCs, and anything at all in them; some with a few bytes changed."""
    first = draw(st.sampled_from([1, 1, 1, 2, 2**40]))
    records = []
    for number in range(draw(st.integers(1, 5))):
        sequence = first + number
        kind = draw(st.integers(0, 3))
        if kind == 0:
            record = wire.build_event(sequence, draw(events))
        elif kind == 1:
            record = wire.build_shape(sequence, draw(st.integers(0, 3)), draw(names))
        else:
            shape, when = draw(st.integers(0, 3)), draw(st.floats())
            record = wire.build_points(sequence, shape, draw(steps), when, draw(values))
        records.append(record)
    body = bytearray(b"".join(records))
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    return first, draw(st.sampled_from([len(records), len(records), len(records) + 1])), bytes(body)


@QUICK
@given(bodies(), st.booleans())
def test_no_batch_breaks_the_server(operator: Any, made: tuple[int, int, bytes], compress: bool) -> None:
    """Whatever is in a batch whose header is right: it is taken, or refused with a sentence."""
    first, n_records, body = made
    run = new_id()
    batch = wire.Batch(run, run, 0, first, n_records, 1.0, body)
    answer = operator.call("POST", "/ingest", data=wire.encode(batch, compress), headers=BATCH)
    assert answer.status_code in (200, 409, 422), answer.text
    if answer.status_code == 200:
        assert operator.call("GET", f"/runs/{run}").status_code == 200
        metrics = operator.call("GET", f"/runs/{run}/metrics").json()["metrics"]
        queries = [{"run": run, "metric": metric["name"], "rank": metric["rank"]} for metric in metrics]
        assert operator.call("POST", "/curves", json={"queries": queries}).status_code == 200


@QUICK
@given(st.binary(max_size=400), st.binary(max_size=40))
def test_no_bytes_at_all_break_the_server(operator: Any, head: bytes, tail: bytes) -> None:
    """Noise in place of a batch, and behind the beginning of one, is a 422."""
    run = new_id()
    good = wire.encode(wire.build_batch(run, run, 1, [wire.build_event(1, {"type": "run", "name": "x"})]))
    for data in (head, good[:60] + head, good + b"\0" + tail):
        assert operator.call("POST", "/ingest", data=data, headers=BATCH).status_code == 422


@QUICK
@given(st.lists(events | anything, max_size=5))
def test_no_events_break_the_server(operator: Any, given_events: list[Any]) -> None:
    """Any JSON at all in place of events is taken, or refused with the name of what is wrong."""
    import json

    text = json.dumps({"events": given_events})
    answer = operator.call("POST", "/events", data=text, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400, 422), answer.text


@cache
def _journal() -> tuple[dict[str, bytes], str, str]:
    """The files of a writer that was killed after some records, by name."""
    run, writer = new_id(), new_id()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spool" / run / writer
        path.parent.mkdir(parents=True)
        journal = Journal(str(path), run, writer, 0, {"type": "run", "name": "x"}, segment_size=4096)
        for step in range(150):
            journal.log({"loss": float(step), "other": -1.0}, step)
        journal.release()
        return {file.name: file.read_bytes() for file in path.iterdir()}, run, writer


@QUICK
@given(st.data())
def test_no_damage_to_a_journal_invents_a_point(data: st.DataObject) -> None:
    """Bytes changed, files cut, emptied or renamed: what is read is what was logged, in its order."""
    files, run, writer = _journal()
    home = Path(tempfile.mkdtemp())
    try:
        folder = home / "spool" / run / writer
        folder.mkdir(parents=True)
        for name, content in files.items():
            changed = bytearray(content)
            action = data.draw(
                st.sampled_from(["keep", "keep", "bytes", "cut", "empty", "noise"]), label=name
            )
            if action == "bytes" and changed:
                for _ in range(data.draw(st.integers(1, 4))):
                    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
            elif action == "cut":
                changed = changed[: data.draw(st.integers(0, len(changed)))]
            elif action == "empty":
                changed = bytearray()
            elif action == "noise":
                changed = bytearray(data.draw(st.binary(max_size=300)))
            (folder / name).write_bytes(changed)
        taken: list[wire.Record] = []

        def send(batch: wire.Batch) -> int:
            """Take a batch as the store does: nothing twice, and nothing beyond a gap."""
            batch = wire.decode(wire.encode(batch))
            if batch.first_sequence > len(taken) + 1:
                raise SequenceGap("a gap", len(taken) + 1)
            records = wire.iter_records(batch.body, batch.first_sequence)
            taken.extend(record for record in records if record.sequence > len(taken))
            return len(taken)

        spool.adopt(home, send, lambda *_: None)
        assert [record.sequence for record in taken] == list(range(1, len(taken) + 1))
        for record in taken:
            if record.kind == wire.KIND_POINTS:
                assert record.values == (float(record.step), -1.0)
                assert math.isfinite(record.time)
    finally:
        shutil.rmtree(home)


@QUICK
@given(st.binary(max_size=200), st.sampled_from(SIGNATURES))
def test_no_bytes_break_the_reader_of_images(content: bytes, start: bytes) -> None:
    """Whatever follows a signature, the answer is an image with a size, or none."""
    found = images.look(io.BytesIO(start + content))
    assert found is None or (found.width_px >= 0 and found.height_px >= 0 and found.n_frames >= 0)


@QUICK
@given(st.integers(0, 80), st.binary(min_size=1, max_size=8))
def test_a_broken_image_is_still_bounded(place: int, noise: bytes) -> None:
    """A real image with bytes changed is never read as a smaller one than its header says."""
    png = bytearray(encode_png([[[0, 0, 0]] * 6] * 4))
    png[place : place + len(noise)] = noise
    found = images.look(io.BytesIO(bytes(png)))
    if found is not None:
        assert found.width_px == int.from_bytes(png[16:20], "big")
        assert found.height_px == int.from_bytes(png[20:24], "big")


def test_a_cut_stream_is_named() -> None:
    """A batch that ends early is BatchInvalid, whatever its length."""
    run = new_id()
    start = wire.build_event(1, {"type": "run", "name": "x" * 5000})
    whole = wire.encode(wire.build_batch(run, run, 1, [start]))
    for length in range(0, len(whole), 7):
        with pytest.raises(BatchInvalid):
            wire.decode(whole[:length])
