"""Gathers what a group of batches changes, and writes it in one go.

`Staging.add` takes one batch, or refuses it and leaves no trace; `Staging.write` turns all that was
taken into a few statements: the points of one metric, from however many batches, become one block.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import sqlalchemy as sa

from deepevent.errors import BatchInvalid, RunDeleted, SequenceGap
from deepevent.store import schema
from deepevent.store.apply import RunState, WriterState, apply_event, new_run
from deepevent.store.blocks import BLOCK_POINTS, Points, encode
from deepevent.store.connection import next_revision
from deepevent.store.decode import Content, Rows, decode_body
from deepevent.store.quotas import Quotas
from deepevent.store.series import SUMMARY, Series
from deepevent.store.states import States
from deepevent.store.values import dumps, flatten
from deepevent.wire import Batch

SEEN_EVERY_S = 5.0  # how old `last_seen` and `heartbeat` may get before a batch renews them


class Staging:
    """One transaction's worth of batches."""

    def __init__(
        self,
        connection: sa.Connection,
        states: States,
        metric_limit: int,
        now: float,
        quotas: Quotas | None = None,
    ) -> None:
        self._quotas = quotas
        self._connection = connection
        self._states = states
        self._metric_limit = metric_limit
        self._now = now
        self._runs: dict[str, RunState] = {}
        self._writers: dict[tuple[str, str], WriterState] = {}
        self._grown: dict[int, Series] = {}
        self._made: list[Series] = []
        self._next_metric_id: int | None = None
        self._advanced = False  # some writer's watermark moves

    def add(self, batch: Batch) -> tuple[int, bool]:
        """Take a batch.

        Returns: the writer's last sequence as it will be committed, and whether the run should stop.

        Raises:
            RunDeleted: the run was deleted.
            SequenceGap: records before this batch are missing.
            BatchInvalid: a record is not what it should be.
            QuotaExceeded: the run's project has as much as it may have.
        """
        run = self._states.run(self._connection, batch.run_id)
        if run is not None and run.row["deleted"]:
            raise RunDeleted(f"run {batch.run_id} was deleted; nothing more is taken for it")
        if run is None:
            if batch.n_records == 0:
                return 0, False
            run = new_run(batch.run_id, self._now)
        writer = self._states.writer(self._connection, batch.run_id, batch.writer_id, batch.rank)
        skip = writer.last_sequence + 1 - batch.first_sequence
        if skip < 0 and batch.n_records:
            raise SequenceGap(
                f"writer {batch.writer_id} is at sequence {writer.last_sequence} and the batch starts at "
                f"{batch.first_sequence}: send again from {writer.last_sequence + 1}",
                writer.last_sequence + 1,
            )
        if not writer.exists and not writer.touched:
            writer.rank = batch.rank
        elif writer.rank != batch.rank:
            raise BatchInvalid(
                f"writer {batch.writer_id} has rank {writer.rank}, and the batch says {batch.rank}"
            )
        if skip < batch.n_records:
            content = decode_body(batch, skip, writer.shapes)
            self._take_quota(run, content)
            if not run.exists:
                self._states.add_run(run)
            self._runs[batch.run_id] = run
            self._writers[batch.run_id, batch.writer_id] = writer
            for event in content.events:
                apply_event(run, writer, event, self._now)
            self._take_points(run, writer.rank, content.rows)
            writer.shapes.update(content.shapes)
            writer.fresh_shapes.update(content.shapes)
            writer.last_sequence = batch.last_sequence
            writer.touched = self._advanced = True
        self._see(run, writer, batch)
        return writer.last_sequence, bool(run.row["stop_requested"])

    @property
    def n_made(self) -> int:
        """Metrics that were new."""
        return len(self._made)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self._runs and not self._writers

    def write(self) -> None:
        """Write all that was taken."""
        self._write_runs()
        self._write_writers()
        self._write_metrics()
        for run in self._runs.values():
            self._write_rows(run)

    def _take_quota(self, run: RunState, content: Content) -> None:
        if self._quotas is None:
            return
        project = run.row["project"]
        if not run.exists:
            starts = [event for event in content.events if event["type"] == "run" and event["project"]]
            project = starts[0]["project"] if starts else project
        n_points = sum(rows.values.size for rows in content.rows)
        self._quotas.take(project, runs=int(not run.exists), points=n_points)

    def _see(self, run: RunState, writer: WriterState, batch: Batch) -> None:
        """Note that the writer lives, now and then; a run that counted as lost is running again."""
        if run.row["status"] == "lost":
            run.change(status="running", finished=None)
            self._runs[batch.run_id] = run
        if not writer.exists and not writer.touched:
            return  # a heartbeat of a writer that has sent nothing yet
        if self._now - writer.last_seen >= SEEN_EVERY_S:
            if not writer.exists:
                writer.first_seen = self._now
            writer.last_seen = self._now
            writer.clock_offset_s = self._now - batch.sent_at
            writer.touched = True
            self._writers[batch.run_id, batch.writer_id] = writer
        if self._now - (run.row["heartbeat"] or 0.0) >= SEEN_EVERY_S:
            run.row["heartbeat"] = self._now
            run.touched = True
            self._runs[batch.run_id] = run

    def _take_points(self, run: RunState, rank: int, rows: list[Rows]) -> None:
        pieces: dict[str, list[tuple[Rows, int]]] = {}
        for shape in rows:
            for column, name in enumerate(shape.names):
                pieces.setdefault(name, []).append((shape, column))
        known = self._states.series(self._connection, run.row["id"])
        for name, parts in pieces.items():
            series = known.get((name, rank)) or self._make_series(run, name, rank)
            if series is None:
                continue
            points = _merge(parts)
            series.absorb(points)
            series.fresh.append(points)
            self._grown[series.id] = series

    def _make_series(self, run: RunState, name: str, rank: int) -> Series | None:
        if run.row["n_metrics"] >= self._metric_limit:
            if not run.row["metric_limit_reached"]:
                run.change(metric_limit_reached=True)
                run.alert(
                    "metric limit reached",
                    f"A run may have {self._metric_limit} metrics; points of {name!r} and of other new names "
                    "are left out.",
                    self._now,
                )
            return None
        if self._next_metric_id is None:
            self._next_metric_id = self._connection.execute(
                sa.select(schema.store.c.next_metric_id)
            ).scalar_one()
        series = Series(self._next_metric_id, run.row["id"], name, rank, run.row["n_metrics"])
        self._next_metric_id += 1
        run.row["n_metrics"] += 1
        run.touched = True
        self._states.series(self._connection, series.run_id)[name, rank] = series
        self._states.count_new_series(1)
        self._made.append(series)
        return series

    def _write_runs(self) -> None:
        for run in self._runs.values():
            row = run.row
            if run.changed or not run.exists:
                row["revision"] = next_revision(self._connection)
            if run.logs:
                row["logs_revision"] = next_revision(self._connection)
            if not run.exists:
                self._connection.execute(sa.insert(schema.runs), row)
            elif run.changed:
                self._connection.execute(sa.update(schema.runs).where(schema.runs.c.id == row["id"]), row)
            elif run.touched or run.media or run.logs:
                counts = {name: row[name] for name in _COUNTS}
                self._connection.execute(sa.update(schema.runs).where(schema.runs.c.id == row["id"]), counts)
            run.exists, run.changed, run.touched = True, False, False

    def _write_writers(self) -> None:
        shapes: list[dict[str, Any]] = []
        for writer in self._writers.values():
            if not writer.touched:
                continue
            row = {name: getattr(writer, name) for name in _WRITER_COLUMNS}
            if writer.exists:
                table = schema.writers
                self._connection.execute(
                    sa.update(table).where(table.c.run_id == writer.run_id, table.c.id == writer.id), row
                )
            else:
                self._connection.execute(sa.insert(schema.writers), row)
            shapes += [
                {"run_id": writer.run_id, "writer_id": writer.id, "shape": shape, "names": dumps(list(names))}
                for shape, names in writer.fresh_shapes.items()
            ]
            writer.fresh_shapes = {}
            writer.exists, writer.touched = True, False
        if shapes:
            self._connection.execute(sa.insert(schema.writer_shapes), shapes)
        if self._advanced:
            # The committer's copies hold as long as nobody else has taken a revision, so whatever moves a
            # watermark takes one, even where no reader would see a difference.
            next_revision(self._connection)

    def _write_metrics(self) -> None:
        if not self._grown:
            return
        if self._next_metric_id is not None:
            self._connection.execute(sa.update(schema.store).values(next_metric_id=self._next_metric_id))
        revision = next_revision(self._connection)
        made = {series.id for series in self._made}
        encoder = _Encoder()
        blocks: list[dict[str, Any]] = []
        inserts: list[dict[str, Any]] = []
        updates: list[dict[str, Any]] = []
        for series in self._grown.values():
            fresh = encoder.blocks(series)
            blocks += fresh
            row = {name: getattr(series, name) for name in SUMMARY}
            row["revision"] = revision
            if series.id in made:
                row |= {name: getattr(series, name) for name in ("id", "run_id", "name", "rank", "ordinal")}
                inserts.append({**row, "n_compacted": 0, "n_short_blocks": len(fresh)})
            else:
                updates.append({**row, "metric": series.id, "more_blocks": len(fresh)})
        table = schema.metrics
        if inserts:
            self._connection.execute(sa.insert(table), inserts)
        if updates:
            self._connection.execute(_UPDATE_METRICS, updates)
        self._connection.execute(sa.insert(schema.blocks), blocks)

    def _write_rows(self, run: RunState) -> None:
        if run.media or run.artifacts or run.alerts:
            revision = next_revision(self._connection)
            for table, rows in (
                (schema.media, run.media),
                (schema.artifacts, run.artifacts),
                (schema.alerts, run.alerts),
            ):
                if rows:
                    self._connection.execute(
                        sa.insert(table), [{**row, "revision": revision} for row in rows]
                    )
        if run.logs:
            self._connection.execute(sa.insert(schema.logs), run.logs)
        if run.tags is not None:
            write_tags(self._connection, run.row["id"], run.tags)
        for source in run.new_values:
            write_values(self._connection, run.row["id"], source, run.row[source])
        run.media, run.logs, run.artifacts, run.alerts = [], [], [], []
        run.tags, run.new_values = None, set()


_COUNTS = ("heartbeat", "n_metrics", "n_media", "n_logs", "logs_revision")
_WRITER_COLUMNS = (
    "run_id",
    "id",
    "rank",
    "last_sequence",
    "clock_offset_s",
    "first_seen",
    "last_seen",
    "finished",
    "host",
    "pid",
)
_UPDATE_METRICS = (
    sa.update(schema.metrics)
    .where(schema.metrics.c.id == sa.bindparam("metric"))
    .values(
        **{name: sa.bindparam(name) for name in (*SUMMARY, "revision")},
        n_short_blocks=schema.metrics.c.n_short_blocks + sa.bindparam("more_blocks"),
    )
)


def write_tags(connection: sa.Connection, run_id: str, tags: list[str]) -> None:
    """Replace the tags of a run."""
    table = schema.run_tags
    connection.execute(sa.delete(table).where(table.c.run_id == run_id))
    if tags:
        connection.execute(sa.insert(table), [{"run_id": run_id, "tag": tag} for tag in tags])


def write_values(connection: sa.Connection, run_id: str, source: str, text: str) -> None:
    """Flatten a run's config or summary into `run_values` again."""
    table = schema.run_values
    connection.execute(sa.delete(table).where(table.c.run_id == run_id, table.c.source == source))
    rows = [
        {"run_id": run_id, "source": source, "key": key, "number": number, "text": words}
        for key, (number, words) in flatten(json.loads(text)).items()
    ]
    if rows:
        connection.execute(sa.insert(table), rows)


class _Encoder:
    """Encodes steps and times once for all metrics of a shape, which have them in common."""

    def __init__(self) -> None:
        self._joined: dict[tuple[int, ...], tuple[Any, Any]] = {}
        self._encoded: dict[tuple[int, int], bytes] = {}
        self._kept: list[Any] = []  # so that no id is used twice

    def blocks(self, series: Series) -> list[dict[str, Any]]:
        """Return rows of `blocks` for the fresh points of a metric, and forget these points."""
        parts, series.fresh = series.fresh, []
        n = sum(len(part) for part in parts)
        first_index = series.n_points - n
        steps, times = self._columns(parts)
        values = parts[0].values if len(parts) == 1 else np.concatenate([part.values for part in parts])
        rows = []
        for start in range(0, n, BLOCK_POINTS):
            stop = min(n, start + BLOCK_POINTS)
            block_steps, block_times = steps[start:stop], times[start:stop]
            rows.append(
                {
                    "metric_id": series.id,
                    "first_index": first_index + start,
                    "n": stop - start,
                    "min_step": int(block_steps.min()),
                    "max_step": int(block_steps.max()),
                    "min_time": float(block_times.min()),
                    "max_time": float(block_times.max()),
                    "steps": self._shared(steps, start, block_steps),
                    "times": self._shared(times, start, block_times),
                    "values": encode(values[start:stop]),
                }
            )
        return rows

    def _columns(self, parts: list[Points]) -> tuple[Any, Any]:
        if len(parts) == 1:
            self._kept.append(parts[0])
            return parts[0].steps, parts[0].times
        key = tuple(id(part.steps) for part in parts)
        joined = self._joined.get(key)
        if joined is None:
            joined = (
                np.concatenate([part.steps for part in parts]),
                np.concatenate([part.times for part in parts]),
            )
            self._joined[key] = joined
            self._kept.append(parts)
        return joined

    def _shared(self, column: Any, start: int, part: Any) -> bytes:
        key = (id(column), start)
        encoded = self._encoded.get(key)
        if encoded is None:
            encoded = self._encoded[key] = encode(part)
        return encoded


def _merge(parts: list[tuple[Rows, int]]) -> Points:
    """Return the points that one batch has of a metric, in the order in which they were logged."""
    if len(parts) == 1:
        rows, column = parts[0]
        return Points(0, rows.steps, rows.times, rows.values[:, column])
    order = np.argsort(np.concatenate([rows.positions for rows, _ in parts]), kind="stable")
    return Points(
        0,
        np.concatenate([rows.steps for rows, _ in parts])[order],
        np.concatenate([rows.times for rows, _ in parts])[order],
        np.concatenate([rows.values[:, column] for rows, column in parts])[order],
    )
