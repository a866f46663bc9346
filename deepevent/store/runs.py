"""Lists, reads, makes and changes runs. Dictionaries have the keys of docs/api.md."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from deepevent.errors import RunNotFound, SettingsError
from deepevent.store import schema
from deepevent.store.apply import LOST_AFTER_S, new_run
from deepevent.store.connection import Database, next_revision, read_revision
from deepevent.store.events import EventInvalid, check
from deepevent.store.paging import run_order
from deepevent.store.run_rows import (
    METRIC_COLUMNS,
    RUN_COLUMNS,
    Row,
    metric_dictionary,
    read_runs,
    require_run,
    run_dictionaries,
)
from deepevent.store.staging import write_tags, write_values
from deepevent.store.values import dumps
from deepevent.wire import ULID_ALPHABET

PAGE_LIMIT = 1000
STATUSES = ("running", "completed", "failed", "stopped", "lost")
AMONG = ("all", "active", "archived", "trash")
CHANGEABLE = ("name", "tags", "notes", "group", "archived", "trashed")


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of a run list.

    Attributes:
        runs: dictionaries as docs/api.md has them.
        next: the cursor of the next page, or None.
        total: how many runs the filter lets through.
        revision: of the snapshot that all of this was read in.
    """

    runs: list[Row]
    next: str | None
    total: int
    revision: int


def list_runs(
    db: Database,
    filter: str | None = None,
    sort: str = "-created",
    limit: int = 100,
    cursor: str | None = None,
    metrics: Sequence[str] | None = None,
    among: str = "all",
    offset: int = 0,
) -> RunPage:
    """List runs.

    Args:
        db: the store.
        filter: in the language of `query`; None lets all through.
        sort: a sort key, falling with a leading `-`.
        limit: of the page, 1 to PAGE_LIMIT.
        cursor: `next` of the page before.
        metrics: the names to show; None shows each run's first METRICS_SHOWN.
        among: `active` (neither archived nor in the trash), `archived`, `trash`, or `all` but the trash.
        offset: how many runs of the list to pass over; for a page somewhere in the middle.

    Raises:
        FilterError: in `filter`, `sort` or `cursor`.
    """
    order = run_order(sort)
    condition = listed(filter, among)
    keys = [column.label(f"sort_{index}") for index, column in enumerate(order.columns)]
    # Only ids are sorted, and a filter is evaluated once for the page and the total together.
    count = sa.func.count().over() if filter is not None and cursor is None else sa.null()
    page = sa.select(schema.runs.c.id, count, *keys).select_from(order.source).where(condition)
    if cursor is not None:
        page = page.where(order.after(cursor))
    limit = min(max(limit, 1), PAGE_LIMIT)
    with db.read() as connection:
        found = connection.execute(page.order_by(*order.clauses()).limit(limit + 1).offset(offset)).all()
        total = found[0][1] if found else None
        if total is None:
            whole = sa.select(sa.func.count()).select_from(schema.runs).where(condition)
            total = connection.execute(whole).scalar_one()
        rows = read_runs(connection, [row[0] for row in found[:limit]], metrics)
        revision = read_revision(connection)
    following = order.cursor(found[limit - 1][2:]) if len(found) > limit else None
    return RunPage(rows, following, int(total), revision)


def listed(filter: str | None, among: str) -> sa.ColumnElement[bool]:
    """Return the condition for runs that a list shows; `filter` and `among` as for `list_runs`.

    Raises:
        FilterError: in `filter`.
    """
    in_trash = schema.runs.c.id.in_(sa.select(schema.trash.c.run_id))
    parts: list[sa.ColumnElement[bool]] = [
        schema.runs.c.deleted == sa.false(),
        in_trash if among == "trash" else sa.not_(in_trash),
    ]
    if among in {"active", "archived"}:
        parts.append(schema.runs.c.archived == sa.literal(among == "archived"))
    if filter is not None and filter.strip():
        from deepevent.store.query import parse_filter

        parts.append(parse_filter(filter))
    return sa.and_(*parts)


def get_runs(db: Database, run_ids: Iterable[str], metrics: Sequence[str] | None = None) -> list[Row]:
    """Return those of the runs that exist, in the order asked for."""
    with db.read() as connection:
        return read_runs(connection, list(dict.fromkeys(run_ids)), metrics)


def get_environments(db: Database, run_ids: Iterable[str]) -> dict[str, Row]:
    """Return what each of the runs ran on: git, packages, command, machine; those that exist."""
    table = schema.runs
    with db.read() as connection:
        rows = connection.execute(
            sa.select(table.c.id, table.c.environment).where(
                table.c.id.in_(list(run_ids)), table.c.deleted == sa.false()
            )
        ).all()
    return {run_id: json.loads(environment) for run_id, environment in rows}


def get_run(db: Database, run_id: str) -> Row:
    """Return a run with all that is known of it but its points, media and logs.

    Raises:
        RunNotFound: there is none, or it was deleted.
    """
    more = [
        schema.runs.c[name]
        for name in (
            "environment",
            "traceback",
            "stop_requested",
            "n_dropped",
            "metric_limit_reached",
        )
    ]
    with db.read() as connection:
        row = (
            connection.execute(
                sa.select(*RUN_COLUMNS, *more).where(
                    schema.runs.c.id == run_id, schema.runs.c.deleted == sa.false()
                )
            )
            .mappings()
            .first()
        )
        if row is None:
            raise RunNotFound(f"there is no run {run_id!r}")
        run = run_dictionaries(connection, [row], None)[0]
        run |= {column.name: row[column.name] for column in more}
        run["environment"] = json.loads(row["environment"])
        writers = schema.writers
        run["writers"] = [
            dict(writer)
            for writer in connection.execute(
                sa.select(
                    *(
                        writers.c[name]
                        for name in (
                            "id",
                            "rank",
                            "host",
                            "pid",
                            "last_sequence",
                            "clock_offset_s",
                            "first_seen",
                            "last_seen",
                            "finished",
                        )
                    )
                )
                .where(writers.c.run_id == run_id)
                .order_by(writers.c.first_seen, writers.c.id)
                .limit(1000)
            ).mappings()
        ]
    return run


def create_run(
    db: Database,
    name: str | None = None,
    project: str = "default",
    config: Row | None = None,
    tags: Sequence[str] = (),
    notes: str = "",
    group: str | None = None,
) -> Row:
    """Make a run that a script or a curl command will log to.

    Raises:
        SettingsError: a name, tag or the config cannot be stored.
    """
    try:
        event = check(
            {
                "type": "run",
                "name": name,
                "project": project,
                "config": config,
                "tags": list(tags),
                "notes": notes,
                "group": group,
            }
        )
    except EventInvalid as error:
        raise SettingsError(f"a run {error}") from error
    run = new_run(new_id(), time.time()).row
    run |= {key: event[key] for key in ("notes", "group")}
    run |= {"name": event["name"] or run["id"], "project": event["project"] or run["project"]}
    run["config"] = dumps(event["config"])
    with db.write() as connection:
        connection.execute(sa.insert(schema.runs), {**run, "revision": next_revision(connection)})
        write_tags(connection, run["id"], event["tags"])
        write_values(connection, run["id"], "config", run["config"])
    return get_run(db, run["id"])


def update_run(db: Database, run_id: str, **changes: Any) -> Row:
    """Change any of `name, tags, notes, group, archived, trashed`; see `update_runs`.

    Raises:
        RunNotFound: there is none.
        SettingsError: a value cannot be stored.
    """
    update_runs(db, [(run_id, changes)])
    return get_run(db, run_id)


def update_runs(db: Database, changes: Sequence[tuple[str, Row]], actor: str = "") -> None:
    """Change many runs in one transaction: all of them or none.

    A run that is `trashed` is hidden and stays whole until the trash is emptied (`trash.purge`); `trashed`
    false brings it back. What its script still logs is kept.

    Args:
        db: the store.
        changes: of each run any of CHANGEABLE.
        actor: who does it, for the trash.

    Raises:
        RunNotFound: there is none of this id.
        SettingsError: a value cannot be stored.
    """
    checked = [(run_id, _check_changes(wanted)) for run_id, wanted in changes]
    with db.write() as connection:
        for run_id, wanted in checked:
            named = ("name", "notes", "group", "archived")
            columns: Row = {name: wanted[name] for name in named if name in wanted}
            _stamp(connection, run_id, columns)
            if "tags" in wanted:
                write_tags(connection, run_id, wanted["tags"])
            if "trashed" in wanted:
                connection.execute(sa.delete(schema.trash).where(schema.trash.c.run_id == run_id))
                if wanted["trashed"]:
                    row = {"run_id": run_id, "time": time.time(), "actor": actor}
                    connection.execute(sa.insert(schema.trash), row)


def _check_changes(changes: Row) -> Row:
    unknown = set(changes) - set(CHANGEABLE)
    if unknown:
        raise SettingsError(f"of a run {', '.join(CHANGEABLE)} can be changed, not {sorted(unknown)}")
    flags = {name: changes[name] for name in ("archived", "trashed") if name in changes}
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise SettingsError(f"{name} must be true or false, got {value!r}")
    named = {key: value for key, value in changes.items() if key not in flags}
    try:
        event = check({"type": "run", **named})
    except EventInvalid as error:
        raise SettingsError(f"a run {error}") from error
    if "name" in named and event["name"] is None:
        raise SettingsError("a run's name must have 1 to 250 characters")
    return {name: event[name] for name in named} | flags


def request_stop(db: Database, run_id: str) -> None:
    """Ask the run's script to stop: it hears of it with its next acknowledgement.

    Raises:
        RunNotFound: there is none.
    """
    with db.write() as connection:
        _stamp(connection, run_id, {"stop_requested": True})


def mark_lost(db: Database, now: float | None = None, after_s: float = LOST_AFTER_S) -> list[str]:
    """Give runs that nothing was heard of for `after_s` seconds the status `lost`; housekeeping calls this.

    Returns: their ids. The next batch of such a run makes it `running` again.
    """
    limit = (time.time() if now is None else now) - after_s
    table = schema.runs
    silent = sa.select(table.c.id).where(table.c.status == "running", table.c.heartbeat < limit)
    with db.read() as connection:
        if connection.execute(silent.limit(1)).first() is None:
            return []
    with db.write() as connection:
        lost = list(connection.execute(silent).scalars())
        if lost:
            connection.execute(
                sa.update(table)
                .where(table.c.id.in_(lost))
                .values(status="lost", revision=next_revision(connection))
            )
    return lost


def list_metrics(db: Database, run_id: str) -> list[Row]:
    """Return all metrics of a run, by name and rank.

    Raises:
        RunNotFound: there is no such run.
    """
    table = schema.metrics
    with db.read() as connection:
        require_run(connection, run_id)
        rows = connection.execute(
            sa.select(*METRIC_COLUMNS).where(table.c.run_id == run_id).order_by(table.c.name, table.c.rank)
        ).all()
    return [metric_dictionary(row) for row in rows]


def new_id(now: float | None = None) -> str:
    """Return a new ULID: 10 characters of milliseconds, 16 of chance."""
    number = int((time.time() if now is None else now) * 1000) << 80 | secrets.randbits(80)
    return "".join(ULID_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def _stamp(connection: sa.Connection, run_id: str, columns: Row) -> None:
    require_run(connection, run_id)
    connection.execute(
        sa.update(schema.runs)
        .where(schema.runs.c.id == run_id)
        .values(**columns, revision=next_revision(connection))
    )
