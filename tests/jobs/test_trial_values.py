"""The n-th value of a metric, against a slow reference."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from deepevent import wire
from deepevent.ids import new_id
from deepevent.store import connection, ingest, migrate
from deepevent_web.trial_values import TrialValues, is_shown


def test_the_shown_numbers_are_dense_and_then_sixteen_an_octave() -> None:
    """All up to 64, then 16 on the way to twice as many; powers of four, where ASHA looks, always."""
    assert all(is_shown(n) for n in range(1, 65))
    for low in (64, 128, 4096):
        assert sum(is_shown(n) for n in range(low + 1, 2 * low + 1)) == 16
    assert all(is_shown(4**k) for k in range(12))


def test_values_count_once_per_step_however_they_arrive(tmp_path: Path) -> None:
    """Read piece by piece, over steps that go back, they are the newest value of each step in order."""
    db = connection.open_database(f"sqlite:///{tmp_path}/deepevent.db")
    migrate.upgrade(db)
    committer = ingest.Committer(db)
    pieces = st.lists(st.lists(st.integers(0, 100), min_size=1, max_size=20), min_size=1, max_size=4)

    @settings(max_examples=15, deadline=None)
    @given(pieces)
    def check(pieces: list[list[int]]) -> None:
        run, writer, sequence, newest = new_id(), new_id(), 1, dict[int, float]()
        values = TrialValues()
        for piece in pieces:
            records = [] if sequence > 1 else [wire.build_shape(1, 0, ("acc",))]
            for step in piece:
                value = float(sequence + len(records))
                records.append(wire.build_points(int(value), 0, step, 1.0, [value]))
                newest[step] = value
            committer.submit(wire.build_batch(run, writer, sequence, records, 0))
            sequence += len(records)
            values.read(db, run, "acc", 0)
            expected = {n: newest[step] for n, step in enumerate(sorted(newest), 1) if is_shown(n)}
            assert values.reports == expected
            assert values.n_points == sequence - 2

    check()
    committer.close()
    db.close()
