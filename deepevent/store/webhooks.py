"""Webhooks: where alerts are sent, what is still to be sent, and how it went. Sends nothing itself.

Every alert that is younger than a webhook becomes one delivery for it, which is tried until it is taken or
has failed for `RETRY_AFTER_S`. Deliveries are rows, so a server that is killed goes on where it was; a
delivery may then arrive twice, with the same `id` in its body.
"""

from __future__ import annotations

import secrets
import time
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from deepevent.errors import SettingsError, WebhookNotFound
from deepevent.store import schema
from deepevent.store.audit import note
from deepevent.store.connection import Database
from deepevent.store.events import name_problem
from deepevent.store.media import ALERT_COLUMNS

RETRY_AFTER_S = (10.0, 60.0, 300.0, 1_800.0, 7_200.0, 21_600.0)
WEBHOOKS_LIMIT = 50
URL_LIMIT = 2_000
AT_ONCE = 100
KEPT_S = 7 * 86_400.0
Row = dict[str, Any]

_HOOKS, _SENT, _ALERTS, _RUNS = schema.webhooks, schema.webhook_deliveries, schema.alerts, schema.runs


def list_webhooks(db: Database) -> list[Row]:
    """Return all webhooks without their secrets, each with its last delivery, or None."""
    newest = sa.select(sa.func.max(_SENT.c.id)).group_by(_SENT.c.webhook_id)
    with db.read() as connection:
        hooks = connection.execute(sa.select(_HOOKS).order_by(_HOOKS.c.id)).mappings().all()
        last = connection.execute(sa.select(_SENT).where(_SENT.c.id.in_(newest))).mappings()
        by_hook = {row["webhook_id"]: dict(row) for row in last}
    shown = ("id", "project", "url", "created", "created_by")
    return [
        {name: hook[name] for name in shown} | {"last": _delivery(by_hook.get(hook["id"]))} for hook in hooks
    ]


def create_webhook(db: Database, url: str, *, actor: str, project: str | None = None) -> Row:
    """Make a webhook for the alerts that come from now on.

    Returns:
        The webhook with its `secret`, which is shown this once.

    Raises:
        SettingsError: the address or the project cannot be used, or there are WEBHOOKS_LIMIT of them.
    """
    problem = url_problem(url) or (name_problem(project) if project is not None else None)
    if problem:
        raise SettingsError(problem if url_problem(url) else f"project {problem}")
    row: Row = {"project": project, "url": url, "secret": secrets.token_urlsafe(32)}
    row |= {"created": time.time(), "created_by": actor}
    with db.write() as connection:
        if connection.execute(sa.select(sa.func.count()).select_from(_HOOKS)).scalar_one() >= WEBHOOKS_LIMIT:
            raise SettingsError(f"there may be {WEBHOOKS_LIMIT} webhooks at most: delete one first")
        row["seen"] = connection.execute(sa.select(sa.func.max(_ALERTS.c.id))).scalar() or 0
        key = connection.execute(sa.insert(_HOOKS).values(**row)).inserted_primary_key
        row["id"] = None if key is None else key[0]
        note(connection, None, actor, "webhook created", urlsplit(url).hostname or "")
    return {name: value for name, value in row.items() if name != "seen"} | {"last": None}


def delete_webhook(db: Database, webhook_id: int, actor: str) -> None:
    """Delete a webhook with all that is still to be sent to it.

    Raises:
        WebhookNotFound: there is none.
    """
    with db.write() as connection:
        connection.execute(sa.delete(_SENT).where(_SENT.c.webhook_id == webhook_id))
        if not connection.execute(sa.delete(_HOOKS).where(_HOOKS.c.id == webhook_id)).rowcount:
            raise WebhookNotFound(f"there is no webhook {webhook_id}")
        note(connection, None, actor, "webhook deleted", f"number {webhook_id}")


def queue(db: Database) -> None:
    """Make deliveries of alerts that no webhook has looked at."""
    with db.read() as connection:
        newest = connection.execute(sa.select(sa.func.max(_ALERTS.c.id))).scalar() or 0
        if connection.execute(sa.select(_HOOKS.c.id).where(_HOOKS.c.seen < newest).limit(1)).first() is None:
            return
    now = time.time()
    with db.write() as connection:
        for hook in connection.execute(sa.select(_HOOKS).where(_HOOKS.c.seen < newest)).mappings().all():
            own = [] if hook["project"] is None else [_RUNS.c.project == hook["project"]]
            fresh = (
                sa.select(_ALERTS.c.id)
                .join(_RUNS, _RUNS.c.id == _ALERTS.c.run_id)
                .where(_ALERTS.c.id > hook["seen"], _ALERTS.c.id <= newest, *own)
            )
            rows = [
                {"webhook_id": hook["id"], "alert_id": alert, "state": "waiting", "attempts": 0}
                | {"due": now, "answer": ""}
                for alert in connection.execute(fresh).scalars()
            ]
            if rows:
                connection.execute(sa.insert(_SENT), rows)
            connection.execute(sa.update(_HOOKS).where(_HOOKS.c.id == hook["id"]).values(seen=newest))
        old = sa.and_(_SENT.c.state != "waiting", _SENT.c.due < now - KEPT_S)
        connection.execute(sa.delete(_SENT).where(old))


def due(db: Database, now: float | None = None) -> list[Row]:
    """Return what is to be sent now, oldest first: delivery, address, secret, alert and run of each."""
    moment = time.time() if now is None else now
    query = (
        sa.select(
            _SENT.c.id.label("delivery"),
            _SENT.c.attempts,
            _HOOKS.c.url,
            _HOOKS.c.secret,
            *(column.label(f"alert_{column.name}") for column in ALERT_COLUMNS),
            _RUNS.c.name.label("run_name"),
            _RUNS.c.project,
        )
        .join(_HOOKS, _HOOKS.c.id == _SENT.c.webhook_id)
        .join(_ALERTS, _ALERTS.c.id == _SENT.c.alert_id)
        .join(_RUNS, _RUNS.c.id == _ALERTS.c.run_id)
        .where(_SENT.c.state == "waiting", _SENT.c.due <= moment, _RUNS.c.deleted == sa.false())
        .order_by(_SENT.c.due, _SENT.c.id)
        .limit(AT_ONCE)
    )
    with db.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def settle(db: Database, delivery: int, attempts: int, answer: str, *, taken: bool) -> None:
    """Write down how an attempt went: done, to be tried again later, or given up.

    Args:
        db: the store.
        delivery: the delivery's id.
        attempts: how many were made before this one.
        answer: what came back, or what went wrong.
        taken: whether the other side has it.
    """
    given_up = attempts >= len(RETRY_AFTER_S)
    state = "delivered" if taken else "failed" if given_up else "waiting"
    wait_s = 0.0 if taken or given_up else RETRY_AFTER_S[attempts]
    values = {"state": state, "attempts": attempts + 1, "due": time.time() + wait_s, "answer": answer[:250]}
    with db.write() as connection:
        connection.execute(sa.update(_SENT).where(_SENT.c.id == delivery).values(**values))


def url_problem(url: str) -> str | None:
    """Say what is wrong with a webhook's address, or None."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or len(url) > URL_LIMIT or not url.isascii() or not url.isprintable() or " " in url:
        return f"url must be an http or https address of at most {URL_LIMIT} characters"
    if parts.username is not None or parts.password is not None:
        return "url must not hold a user or a password: they would be shown in the list of webhooks"
    return None


def _delivery(row: Row | None) -> Row | None:
    shown = ("alert_id", "state", "attempts", "due", "answer")
    return None if row is None else {name: row[name] for name in shown}
