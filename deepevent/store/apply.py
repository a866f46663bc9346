"""What each journal event does to a run: one function per type.

Works on a `RunState`, the copy of a run's row that a transaction changes, and on lists of rows to be
inserted; writes nothing itself. Events were checked by `events.check`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deepevent.store.events import CONFIG_LIMIT, ENVIRONMENT_LIMIT, Event
from deepevent.store.values import dumps

LOST_AFTER_S = 60.0
JOINED = (1 << 31) - 1  # stands for the rank of a writer that did not start the run


@dataclass(slots=True)
class WriterState:
    """One row of `writers`, and the shapes that the writer has brought."""

    id: str
    run_id: str
    rank: int
    last_sequence: int = 0
    clock_offset_s: float = 0.0
    first_seen: float = 0.0
    last_seen: float = 0.0
    finished: str | None = None
    host: str | None = None
    pid: int | None = None
    shapes: dict[int, tuple[str, ...]] = field(default_factory=dict)
    fresh_shapes: dict[int, tuple[str, ...]] = field(default_factory=dict)
    exists: bool = False
    touched: bool = False


@dataclass(slots=True)
class RunState:
    """A run's row as this transaction leaves it.

    Attributes:
        row: the columns of `runs`.
        exists: whether the row lies in the database already.
        changed: something that a reader of the run sees has changed: the row gets the new revision.
        new_values: config and summary that must be flattened again.
        tags: the new tags, or None if they stay.
        media, logs, artifacts, alerts: rows to insert.
    """

    row: dict[str, Any]
    exists: bool
    changed: bool = False
    touched: bool = False
    new_values: set[str] = field(default_factory=set)
    tags: list[str] | None = None
    media: list[dict[str, Any]] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)

    def change(self, **columns: Any) -> None:
        """Set columns, and remember that a reader would notice."""
        if any(self.row.get(name) != value for name, value in columns.items()):
            self.row.update(columns)
            self.changed = True

    def alert(self, title: str, text: str, time: float) -> None:
        """Raise an alert of the server's own on this run."""
        self.alerts.append(
            {"run_id": self.row["id"], "title": title, "text": text, "level": "warning", "time": time}
        )


def new_run(run_id: str, now: float) -> RunState:
    """Make the state of a run that nobody has seen before."""
    return RunState(
        {
            "id": run_id,
            "name": run_id,
            "project": "default",
            "status": "running",
            "group": None,
            "notes": "",
            "created": now,
            "started": now,
            "finished": None,
            "heartbeat": now,
            "host": None,
            "archived": False,
            "deleted": False,
            "stop_requested": False,
            "named_by_rank": None,
            "config": "{}",
            "summary": "{}",
            "environment": "{}",
            "traceback": None,
            "n_metrics": 0,
            "n_media": 0,
            "n_logs": 0,
            "n_dropped": 0,
            "metric_limit_reached": False,
            "logs_revision": None,
        },
        exists=False,
        changed=True,
        touched=True,
    )


def apply_event(run: RunState, writer: WriterState, event: Event, now: float) -> None:
    """Let `event` of `writer` act on `run`; `now` is the server's clock."""
    _ACTIONS[event["type"]](run, writer, event, now)


def _run(run: RunState, writer: WriterState, event: Event, now: float) -> None:
    """Let a writer introduce itself.

    Writers of a run come in any order. Who started the run names it, the lowest rank before others;
    who joined or resumed it only fills in what nobody has said. Resuming a run that has ended opens it
    again, if the writer means to end it too (`finishes`; one that just drops in a value does not).
    """
    row = run.row
    writer.host, writer.pid = event["host"], event["pid"]
    rank = JOINED if event["resumed"] else writer.rank
    if row["named_by_rank"] is None or rank < row["named_by_rank"]:
        created = event["created"]
        run.change(
            named_by_rank=rank,
            name=event["name"] or row["name"],
            project=event["project"] or row["project"],
            group=event["group"] or row["group"],
            notes=event["notes"] or row["notes"],
            created=row["created"] if run.exists or created is None else created,
            started=row["started"] if created is None else created,
            host=event["host"],
            environment=dumps({**json.loads(row["environment"]), **event["environment"]}),
        )
        run.tags = event["tags"] or run.tags
    if event["resumed"] and event["finishes"] and row["status"] != "running":
        run.change(status="running", finished=None, traceback=None, stop_requested=False)
    if event["config"]:
        _merge(run, "config", event["config"], now)


def _config(run: RunState, writer: WriterState, event: Event, now: float) -> None:
    _merge(run, "config", event["values"], now)


def _summary(run: RunState, writer: WriterState, event: Event, now: float) -> None:
    _merge(run, "summary", event["values"], now)


def _merge(run: RunState, column: str, values: dict[str, Any], now: float) -> None:
    merged = dumps({**json.loads(run.row[column]), **values})
    if len(merged) > CONFIG_LIMIT:
        run.alert(
            f"{column} limit reached",
            f"A run's {column} may have {CONFIG_LIMIT} characters; an update to {len(merged)} was left out.",
            now,
        )
    elif merged != run.row[column]:
        run.change(**{column: merged})
        run.new_values.add(column)


def _environment(run: RunState, writer: WriterState, event: Event, now: float) -> None:
    known = json.loads(run.row["environment"])
    merged = {**event["values"], **known} if event["fills"] else {**known, **event["values"]}
    text = dumps(merged)
    if len(text) <= ENVIRONMENT_LIMIT:
        run.change(environment=text)


def _tags(run: RunState, writer: WriterState, event: Event, now: float) -> None:
    run.tags = event["tags"]
    run.changed = True


def _notes(run: RunState, writer: WriterState, event: Event, now: float) -> None:
    run.change(notes=event["notes"])


def _media(run: RunState, writer: WriterState, event: Event, now: float) -> None:
    run.row["n_media"] += 1
    run.media.append({"run_id": run.row["id"], **_without_type(event)})


def _artifact(run: RunState, writer: WriterState, event: Event, now: float) -> None:
    run.artifacts.append({"run_id": run.row["id"], **_without_type(event)})
    run.changed = True


def _alert(run: RunState, writer: WriterState, event: Event, now: float) -> None:
    run.alerts.append({"run_id": run.row["id"], **_without_type(event)})


def _log(run: RunState, writer: WriterState, event: Event, now: float) -> None:
    run.row["n_logs"] += 1
    run.logs.append({"run_id": run.row["id"], "index": run.row["n_logs"], **_without_type(event)})


def _finish(run: RunState, writer: WriterState, event: Event, now: float) -> None:
    """End the run; which of its writers says so is the client's decision."""
    writer.finished = event["status"]
    run.change(status=event["status"], finished=event["time"] or now, traceback=event["traceback"])


def _dropped(run: RunState, writer: WriterState, event: Event, now: float) -> None:
    run.change(n_dropped=run.row["n_dropped"] + event["count"])


def _without_type(event: Event) -> Event:
    return {key: value for key, value in event.items() if key != "type"}


_ACTIONS: dict[str, Callable[[RunState, WriterState, Event, float], None]] = {
    "run": _run,
    "config": _config,
    "summary": _summary,
    "environment": _environment,
    "tags": _tags,
    "notes": _notes,
    "media": _media,
    "artifact": _artifact,
    "alert": _alert,
    "log": _log,
    "finish": _finish,
    "dropped": _dropped,
}
