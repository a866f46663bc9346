"""What the committer remembers of runs, writers and metrics between transactions.

Good for speed alone. Whatever changes a run, writer or metric takes a revision, so the copies hold
as long as the store's revision is the one that the committer itself took last; else they are dropped
and read again. After an error they are dropped too. Only reads.
"""

from __future__ import annotations

import json

import sqlalchemy as sa

from deepevent.store import schema
from deepevent.store.apply import RunState, WriterState
from deepevent.store.connection import read_revision
from deepevent.store.series import SUMMARY, Series

SERIES_KEPT = 200_000
_WRITER_COLUMNS = ("clock_offset_s", "first_seen", "last_seen", "finished", "host", "pid")


class States:
    """Copies of rows, read when they are first asked for."""

    def __init__(self) -> None:
        self._revision = -1
        self._runs: dict[str, RunState] = {}
        self._writers: dict[tuple[str, str], WriterState] = {}
        self._series: dict[str, dict[tuple[str, int], Series]] = {}
        self._n_series = 0

    def drop(self) -> None:
        """Forget everything."""
        self.__init__()  # type: ignore[misc]

    def check(self, connection: sa.Connection) -> None:
        """Forget everything if anybody else has changed the store since `committed`."""
        if read_revision(connection) != self._revision or self._n_series > SERIES_KEPT:
            self.drop()

    def committed(self, revision: int) -> None:
        """Say that the copies are what the store holds at `revision`."""
        self._revision = revision

    def run(self, connection: sa.Connection, run_id: str) -> RunState | None:
        """Return the run, or None if there is none."""
        state = self._runs.get(run_id)
        if state is None:
            row = (
                connection.execute(sa.select(schema.runs).where(schema.runs.c.id == run_id))
                .mappings()
                .first()
            )
            if row is None:
                return None
            state = self._runs[run_id] = RunState(dict(row), exists=True)
        return state

    def add_run(self, state: RunState) -> RunState:
        """Remember a run that this transaction makes."""
        self._runs[state.row["id"]] = state
        return state

    def writer(self, connection: sa.Connection, run_id: str, writer_id: str, rank: int) -> WriterState:
        """Return the writer; one that is new has sequence 0 and does not exist yet."""
        state = self._writers.get((run_id, writer_id))
        if state is not None:
            return state
        table, shapes = schema.writers, schema.writer_shapes
        row = (
            connection.execute(sa.select(table).where(table.c.run_id == run_id, table.c.id == writer_id))
            .mappings()
            .first()
        )
        state = WriterState(writer_id, run_id, rank)
        if row is not None:
            state.exists, state.rank, state.last_sequence = True, row["rank"], row["last_sequence"]
            for name in _WRITER_COLUMNS:
                setattr(state, name, row[name])
            found = connection.execute(
                sa.select(shapes.c.shape, shapes.c.names).where(
                    shapes.c.run_id == run_id, shapes.c.writer_id == writer_id
                )
            )
            state.shapes = {shape: tuple(json.loads(names)) for shape, names in found}
        self._writers[run_id, writer_id] = state
        return state

    def series(self, connection: sa.Connection, run_id: str) -> dict[tuple[str, int], Series]:
        """Return all metrics of a run by (name, rank)."""
        known = self._series.get(run_id)
        if known is None:
            table = schema.metrics
            names = ("id", "name", "rank", "ordinal", *SUMMARY)
            found = connection.execute(
                sa.select(*(table.c[name] for name in names)).where(table.c.run_id == run_id)
            )
            known = self._series[run_id] = {
                (row[1], row[2]): Series(row[0], run_id, *row[1:4], *row[4:]) for row in found
            }
            self._n_series += len(known)
        return known

    def count_new_series(self, n: int) -> None:
        """Say that `n` metrics were added to the dictionaries of `series`."""
        self._n_series += n
