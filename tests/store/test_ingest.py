"""Batches become rows exactly once, or not at all."""

from __future__ import annotations

import math
import struct
import threading

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepevent import wire
from deepevent.errors import BatchInvalid, RunDeleted, SequenceGap, StoreBusy, StoreOverloaded
from deepevent.store import changes, curves, deletion, ingest, media, runs


def values_of(db, run, metric, rank=0):
    return curves.read_points(db, run, metric, rank).values.tolist()


def test_an_acknowledged_batch_is_readable(db, committer, script):
    """After submit returns, points, run and summary are in the store."""
    writer = script().start(name="first", project="faces", config={"lr": 0.1}, tags=["a", "b"])
    batch = writer.log({"loss": 3.0, "accuracy": 0.5}, 0).log({"loss": 1.0}, 7).batch()
    assert committer.submit(batch).last_sequence == batch.last_sequence
    run = runs.get_run(db, writer.run)
    assert (run["name"], run["project"], run["tags"], run["config"]) == (
        "first",
        "faces",
        ["a", "b"],
        {"lr": 0.1},
    )
    assert run["status"] == "running"
    loss = run["metrics"]["loss"]
    assert (loss["n"], loss["first_step"], loss["last_step"], loss["last"]) == (2, 0, 7, 1.0)
    assert (loss["min"], loss["min_step"], loss["max"], loss["max_step"]) == (1.0, 7, 3.0, 0)
    assert values_of(db, writer.run, "loss") == [3.0, 1.0]
    assert values_of(db, writer.run, "accuracy") == [0.5]


def test_a_batch_sent_again_changes_nothing(db, committer, script):
    """The same batch twice is acknowledged twice and stored once."""
    writer = script().start()
    batch = writer.series("loss", [1.0, 2.0]).batch()
    committer.submit(batch)
    before = db.revision()
    assert committer.submit(batch).last_sequence == batch.last_sequence
    assert values_of(db, writer.run, "loss") == [1.0, 2.0]
    assert db.revision() == before


def test_a_gap_is_refused_with_what_is_expected(db, committer, script):
    """A batch behind a missing one is refused and names the sequence to send from."""
    writer = script().start()
    first, second = writer.log({"a": 1.0}, 0).batch(), writer.log({"a": 2.0}, 1).batch()
    with pytest.raises(SequenceGap) as caught:
        committer.submit(second)
    assert caught.value.expected == 1
    committer.submit(first)
    third = writer.log({"a": 3.0}, 2).batch()
    with pytest.raises(SequenceGap) as caught:
        committer.submit(third)
    assert caught.value.expected == first.last_sequence + 1
    assert values_of(db, writer.run, "a") == [1.0]


def test_ranks_are_series_of_their_own(db, committer, script):
    """The same metric of two ranks is kept apart."""
    zero = script().start()
    one = script(zero.run, rank=1).start()
    committer.submit(one.series("loss", [10.0, 11.0]).batch())
    committer.submit(zero.series("loss", [1.0]).batch())
    assert values_of(db, zero.run, "loss", 0) == [1.0]
    assert values_of(db, zero.run, "loss", 1) == [10.0, 11.0]
    assert [(row["name"], row["rank"], row["n"]) for row in runs.list_metrics(db, zero.run)] == [
        ("loss", 0, 1),
        ("loss", 1, 2),
    ]


def test_two_writers_of_a_rank_append_to_one_series(db, committer, script):
    """A resumed run goes on with the series of its first life."""
    first = script().start()
    committer.submit(first.series("loss", [1.0, 2.0]).event("finish", status="failed", time=2000.0).batch())
    assert runs.get_run(db, first.run)["status"] == "failed"
    second = script(first.run).start(name=None, project=None, resumed=True)
    committer.submit(second.series("loss", [3.0], first_step=1).batch())
    run = runs.get_run(db, first.run)
    assert (run["status"], run["finished"], run["name"]) == ("running", None, "a run")
    assert values_of(db, first.run, "loss") == [1.0, 2.0, 3.0]
    shown = curves.read_curves(db, [curves.Query(first.run, "loss")]).curves[0]
    assert (shown.step.tolist(), shown.value.tolist()) == ([0, 1], [1.0, 3.0])


def test_who_joins_does_not_reopen_an_ended_run(db, committer, script):
    """A process that drops in a value leaves the run completed."""
    first = script().start()
    committer.submit(first.event("finish", status="completed", time=2000.0).batch())
    guest = script(first.run).start(name="other", resumed=True, finishes=False)
    committer.submit(guest.log({"score": 1.0}, 0).batch())
    run = runs.get_run(db, first.run)
    assert (run["status"], run["name"]) == ("completed", "a run")
    assert values_of(db, first.run, "score") == [1.0]


def test_a_guest_that_comes_first_does_not_name_the_run(db, committer, script):
    """The run has the name that its starter gave, in whatever order its writers arrive."""
    starter = script().start(name="mine", project="faces")
    guest = script(starter.run).start(name="guest", project=None, resumed=True)
    committer.submit(guest.log({"x": 1.0}, 0).batch())
    committer.submit(starter.batch())
    run = runs.get_run(db, starter.run)
    assert (run["name"], run["project"]) == ("mine", "faces")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, 5e-324, -0.0, 0.1])
def test_every_float_comes_back_as_it_was_logged(db, committer, script, value):
    """Raw points are bit for bit what was logged; a summary says NaN for NaN."""
    writer = script().start()
    committer.submit(writer.log({"x": value}, 0).batch())
    found = curves.read_points(db, writer.run, "x").values
    assert found.tobytes() == struct.pack("<d", value)
    last = runs.list_metrics(db, writer.run)[0]["last"]
    assert math.isnan(last) if math.isnan(value) else last == value


def test_steps_beyond_2_to_the_53_stay_exact(db, committer, script):
    """Large steps are integers all the way."""
    writer = script().start()
    steps = [2**53 + 1, 2**63 - 1]
    for step in steps:
        writer.log({"x": 1.0}, step, time=1.0)
    committer.submit(writer.batch())
    assert curves.read_points(db, writer.run, "x").steps.tolist() == steps
    shown = curves.read_curves(db, [curves.Query(writer.run, "x")], start=2**53 + 1, stop=2**53 + 1).curves[0]
    assert shown.step.tolist() == [2**53 + 1]


def test_a_metric_of_several_shapes_keeps_the_order_of_logging(db, committer, script):
    """Records of different shapes that share a metric are put together in their order."""
    writer = script().start()
    for step in range(12):
        writer.log({"a": float(step)} if step % 3 else {"b": 0.0, "a": float(step)}, step)
    committer.submit(writer.batch())
    assert values_of(db, writer.run, "a") == [float(step) for step in range(12)]


def test_events_fill_the_run(db, committer, script):
    """Config, summary, tags, notes, media, logs, artifacts and alerts of a run can be read back."""
    writer = script().start(config={"net": {"depth": 3}, "lr": 0.1})
    writer.event("config", values={"lr": 0.2}).event("summary", values={"best": "NaN"})
    writer.event("tags", tags=["x"]).event("notes", notes="hello")
    boxes = {
        "truth": [[0, 0, 5, 5]],
        "train": True,
        "stages": [{"name": "det12", "kind": "classify", "boxes": []}],
    }
    writer.event(
        "media", kind="detections", name="samples", step=4, epoch=2, time=1.0, blob="a" * 64, data=boxes
    )
    writer.event("log", stream="stdout", text="line\0 one", time=1.0).event(
        "log", stream="stderr", text="2", time=2.0
    )
    writer.event(
        "artifact", name="model", kind="file", blob="b" * 64, size_bytes=5, path="model.pt", time=1.0
    )
    writer.event("alert", title="plateau", text="no progress", level="warning", time=1.0)
    writer.event("dropped", count=7, reason="disk full", time=1.0)
    committer.submit(writer.batch())
    run = runs.get_run(db, writer.run)
    assert run["config"] == {"net": {"depth": 3}, "lr": 0.2}
    assert (run["summary"], run["tags"], run["notes"]) == ({"best": "NaN"}, ["x"], "hello")
    assert (run["n_media"], run["n_dropped"], run["host"]) == (1, 7, "here")
    listed, following = media.list_media(db, writer.run, kind="detections")
    assert following is None
    assert (listed[0]["data"], listed[0]["epoch"], listed[0]["run"]) == (boxes, 2.0, writer.run)
    lines, following = media.list_logs(db, writer.run)
    assert [(line["index"], line["text"]) for line in lines] == [(1, "line\ufffd one"), (2, "2")]
    assert media.list_logs(db, writer.run, after=following) == ([], 2)
    assert media.list_artifacts(db, writer.run)[0]["path"] == "model.pt"
    assert changes.since(db, 0).alerts[0]["title"] == "plateau"


def points(sequence, shape, step, time=1.0, values=(1.0,)):
    return wire.build_points(sequence, shape, step, time, values)


SHAPE = wire.build_shape(1, 0, ["a"])
BAD = {
    "an unknown shape": [wire.build_points(1, 5, 0, 1.0, [1.0])],
    "a shape used before it came": [points(1, 0, 0), wire.build_shape(2, 0, ["a"])],
    "too few values": [wire.build_shape(1, 0, ["a", "b"]), points(2, 0, 0)],
    "a negative step": [SHAPE, points(2, 0, -1)],
    "an infinite time": [SHAPE, points(2, 0, 0, math.inf)],
    "a shape that changes": [SHAPE, wire.build_shape(2, 0, ["b"])],
    "a name twice": [wire.build_shape(1, 0, ["a", "a"])],
    "a long name": [wire.build_shape(1, 0, ["x" * 251])],
    "an empty name": [wire.build_shape(1, 0, [""])],
    "a control character": [wire.build_shape(1, 0, ["a\nb"])],
    "an empty shape": [wire.build_shape(1, 0, [])],
    "an unknown event": [wire.build_event(1, {"type": "launch"})],
    "an event without type": [wire.build_event(1, {})],
    "a step as text": [wire.build_event(1, {"type": "media", "kind": "text", "name": "a", "step": "x"})],
    "a bool as step": [wire.build_event(1, {"type": "media", "kind": "text", "name": "a", "step": True})],
    "a wrong hash": [wire.build_event(1, {"type": "media", "kind": "image", "name": "a", "blob": "../x"})],
    "a wrong status": [wire.build_event(1, {"type": "finish", "status": "great"})],
    "a large config": [wire.build_event(1, {"type": "config", "values": {"a": "x" * (1 << 18)}})],
    "deep nesting": [struct.pack("<IIHHI", 216, 0, 3, 0, 200) + b'{"a":' + b"[" * 195],
    "a literal NaN": [struct.pack("<IIHHI", 32, 0, 3, 0, 9) + b'{"a":NaN}       '],
    "boxes that are not boxes": [
        wire.build_event(1, {"type": "media", "kind": "detections", "name": "a", "data": {"truth": [[1, 2]]}})
    ],
    "an unknown kind": [struct.pack("<IIHHI", 16, 0, 9, 0, 0)],
    "a size of zero": [struct.pack("<IIHHI", 0, 0, 1, 0, 0)],
    "a size beyond the end": [struct.pack("<IIHHI", 64, 0, 1, 0, 0)],
    "a size that is no multiple of 8": [struct.pack("<IIHHI", 20, 0, 1, 0, 0) + bytes(8)],
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_record_never_commits_half(sqlite_db, script, case):
    """A batch with a bad record behind good ones is refused whole, and a good one is taken after it."""
    committer = ingest.Committer(sqlite_db)
    writer = script().start()
    good = writer.series("fine", [1.0]).batch()
    bad = wire.build_batch(writer.run, script().writer, 1, BAD[case])
    with pytest.raises(BatchInvalid):
        committer.submit(bad)
    assert runs.list_runs(sqlite_db).total == 0
    committer.submit(good)
    committer.close()
    assert values_of(sqlite_db, writer.run, "fine") == [1.0]


def test_a_bad_batch_does_not_sink_its_group(db, script):
    """Of batches committed together only the bad one is refused."""
    committer = ingest.Committer(db)
    writers = [script().start() for _ in range(6)]
    batches = [writer.series("x", [1.0, 2.0]).batch() for writer in writers]
    batches[3] = wire.build_batch(writers[3].run, writers[3].writer, 1, [SHAPE, points(2, 0, -1)])
    answers: dict[int, object] = {}

    def send(number):
        try:
            answers[number] = committer.submit(batches[number])
        except BatchInvalid as error:
            answers[number] = error

    with db.write():  # the committer has to wait, so that the batches gather
        threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    committer.close()
    assert [number for number, answer in answers.items() if isinstance(answer, BatchInvalid)] == [3]
    assert sorted(run["id"] for run in runs.list_runs(db).runs) == sorted(
        writer.run for number, writer in enumerate(writers) if number != 3
    )


def test_a_fault_of_the_store_is_no_fault_of_the_batch(db, script):
    """A broken constraint is answered with 'busy', and the same batch is taken once it is mended."""
    committer = ingest.Committer(db)
    writer = script().start()
    committer.submit(writer.series("x", [1.0]).batch())
    in_the_way = sa.text(
        "INSERT INTO blocks SELECT metric_id, 1, n, min_step, max_step, min_time, max_time, steps, times,"
        ' "values" FROM blocks'
    )
    with db.write() as c:
        c.execute(in_the_way)
    batch = writer.series("x", [2.0], 1).batch()
    with pytest.raises(StoreBusy, match="could not be committed"):
        committer.submit(batch)
    with db.write() as c:
        c.execute(sa.text("DELETE FROM blocks WHERE first_index = 1"))
    committer.submit(batch)
    committer.close()
    assert values_of(db, writer.run, "x") == [1.0, 2.0]


def test_the_metric_limit_refuses_new_names_alone(db, script):
    """Beyond the limit known metrics go on, new names are left out, and the run says so once."""
    committer = ingest.Committer(db, metric_limit=3)
    writer = script().start()
    committer.submit(writer.log({"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0, "e": 1.0}, 0).batch())
    committer.submit(writer.log({"a": 2.0, "z": 1.0}, 1).batch())
    committer.close()
    assert [metric["name"] for metric in runs.list_metrics(db, writer.run)] == ["a", "b", "c"]
    assert values_of(db, writer.run, "a") == [1.0, 2.0]
    assert [alert["title"] for alert in media.list_alerts(db, writer.run)] == ["metric limit reached"]
    assert runs.get_run(db, writer.run)["metric_limit_reached"] is True


def test_a_deleted_run_takes_nothing_more(db, committer, script):
    """Late batches and heartbeats of a deleted run are told so; its rows are gone, other runs stay."""
    writer, other = script().start(), script().start()
    committer.submit(writer.series("a", [1.0]).batch())
    committer.submit(other.series("a", [5.0]).batch())
    deletion.delete_run(db, writer.run)
    for batch in (writer.series("a", [2.0]).batch(), writer.heartbeat()):
        with pytest.raises(RunDeleted):
            committer.submit(batch)
    assert [run["id"] for run in runs.list_runs(db).runs] == [other.run]
    assert changes.since(db, 0).deleted == [writer.run]
    assert values_of(db, other.run, "a") == [5.0]


def test_a_stop_request_reaches_the_script(db, committer, script):
    """Batches and heartbeats are told to stop after somebody asked for it."""
    writer = script().start()
    assert not committer.submit(writer.batch()).should_stop
    runs.request_stop(db, writer.run)
    assert committer.submit(writer.heartbeat()).should_stop
    assert committer.submit(writer.log({"a": 1.0}, 0).batch()).should_stop


def test_a_silent_run_is_lost_and_comes_back(db, script):
    """Without a heartbeat for a minute a run is lost, the next heartbeat makes it running again."""
    now = [1000.0]
    committer = ingest.Committer(db, clock=lambda: now[0])
    writer = script().start()
    committer.submit(writer.batch())
    assert runs.mark_lost(db, now=1050.0) == []
    revision = db.revision()
    assert runs.mark_lost(db, now=1061.0) == [writer.run]
    assert changes.since(db, revision).runs == [writer.run]
    now[0] = 1100.0
    committer.submit(writer.heartbeat())
    committer.close()
    run = runs.get_run(db, writer.run)
    assert (run["status"], run["heartbeat"]) == ("running", 1100.0)


def test_heartbeats_take_no_revision(db, script):
    """A heartbeat renews what was last seen and wakes nobody."""
    now = [1000.0]
    committer = ingest.Committer(db, clock=lambda: now[0])
    writer = script().start()
    committer.submit(writer.batch())
    revision = db.revision()
    now[0] += 30
    committer.submit(writer.heartbeat())
    committer.close()
    assert db.revision() == revision
    assert runs.get_run(db, writer.run)["heartbeat"] == 1030.0


def test_a_writer_that_works_beside_another_process_is_counted_once(url, db, script):
    """Two servers over one store never commit the same record twice, whoever gets a resend."""
    from deepevent.store import connection

    elsewhere = connection.open_database(url)
    here, there = ingest.Committer(db), ingest.Committer(elsewhere)
    writer = script().start()
    batches = [writer.series("x", [float(n)], n).batch() for n in range(6)]
    for number, batch in enumerate(batches):
        (here if number % 2 else there).submit(batch)
        (there if number % 2 else here).submit(batch)
    here.close()
    there.close()
    elsewhere.close()
    assert values_of(db, writer.run, "x") == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_full_queue_answers_busy(sqlite_db, script):
    """More bytes than may wait are refused for now, and nothing is lost by it."""
    committer = ingest.Committer(sqlite_db, waiting_bytes=10)
    batch = script().start().batch()
    with pytest.raises(StoreOverloaded) as caught:
        committer.submit(batch)
    assert caught.value.retry_after_s > 0
    committer.close()


def test_a_closed_committer_answers_busy(sqlite_db, script):
    """After close a batch is refused for now."""
    committer = ingest.Committer(sqlite_db)
    committer.close()
    with pytest.raises(StoreBusy):
        committer.submit(script().start().batch())


SENDINGS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(1, 9)), max_size=15)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=3), sendings=SENDINGS)
def test_exactly_once_in_whatever_way_batches_arrive(sqlite_db, script, sizes, sendings):
    """Resent, overlapping, early and interleaved batches of several writers give each point once."""
    committer = ingest.Committer(sqlite_db)
    run = script().run
    writers = [script(run, rank=rank) for rank in range(len(sizes))]
    expected = [[float(100 * rank + step) for step in range(n)] for rank, n in enumerate(sizes)]
    records = [
        [SHAPE, *(points(step + 2, 0, step, values=[value]) for step, value in enumerate(values))]
        for values in expected
    ]
    done = [0] * len(sizes)
    in_order = [(rank, 0, len(records[rank])) for rank in range(len(sizes))]
    for number, start, n in [*sendings, *in_order]:
        rank = number % len(sizes)
        part = records[rank][start : start + n]
        batch = wire.build_batch(run, writers[rank].writer, start + 1, part, rank)
        if not part:
            continue
        try:
            done[rank] = committer.submit(batch).last_sequence
            assert done[rank] >= start + len(part)
        except SequenceGap as gap:
            assert gap.expected == done[rank] + 1 <= start
    committer.close()
    for rank, values in enumerate(expected):
        found = curves.read_points(sqlite_db, run, "a", rank)
        assert found.values.tolist() == values
        assert np.array_equal(found.steps, np.arange(len(values)))
