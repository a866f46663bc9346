"""Saved views: a name for an address of the dashboard, since the address holds the whole view.

Knows no page: which addresses make sense is the web's business.
"""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from deepevent.errors import SettingsError, ViewNotFound
from deepevent.store import schema
from deepevent.store.connection import Database
from deepevent.store.events import name_problem
from deepevent.store.runs import new_id

VIEWS_LIMIT = 1000
ADDRESS_LIMIT = 16 * 1024
Row = dict[str, Any]


def list_views(db: Database) -> list[Row]:
    """Return all views by name."""
    with db.read() as connection:
        rows = connection.execute(
            sa.select(schema.views).order_by(sa.func.lower(schema.views.c.name), schema.views.c.id)
        ).mappings()
        return [dict(row) for row in rows]


def get_view(db: Database, view_id: str) -> Row:
    """Return one view.

    Raises:
        ViewNotFound: there is none.
    """
    with db.read() as connection:
        row = (
            connection.execute(sa.select(schema.views).where(schema.views.c.id == view_id)).mappings().first()
        )
    if row is None:
        raise ViewNotFound(f"there is no view {view_id!r}")
    return dict(row)


def create_view(db: Database, name: str, address: str, created_by: str) -> Row:
    """Save an address under a name; two views may have one name.

    Raises:
        SettingsError: the name or the address cannot be stored, or there are VIEWS_LIMIT views.
    """
    _check(name, address)
    now = time.time()
    row = {"id": new_id(), "name": name, "address": address, "created": now}
    row |= {"created_by": created_by, "changed": now}
    with db.write() as connection:
        count = connection.execute(sa.select(sa.func.count()).select_from(schema.views)).scalar_one()
        if count >= VIEWS_LIMIT:
            raise SettingsError(f"there may be {VIEWS_LIMIT} views at most: delete one first")
        connection.execute(sa.insert(schema.views).values(**row))
    return row


def update_view(db: Database, view_id: str, name: str | None = None, address: str | None = None) -> Row:
    """Give a view another name, or let it show something else.

    Raises:
        ViewNotFound: there is none.
        SettingsError: the name or the address cannot be stored.
    """
    _check(name, address)
    changes: Row = {key: value for key, value in (("name", name), ("address", address)) if value is not None}
    with db.write() as connection:
        found = connection.execute(
            sa.update(schema.views).where(schema.views.c.id == view_id).values(**changes, changed=time.time())
        )
        if not found.rowcount:
            raise ViewNotFound(f"there is no view {view_id!r}")
    return get_view(db, view_id)


def delete_view(db: Database, view_id: str) -> None:
    """Delete a view.

    Raises:
        ViewNotFound: there is none.
    """
    with db.write() as connection:
        if not connection.execute(sa.delete(schema.views).where(schema.views.c.id == view_id)).rowcount:
            raise ViewNotFound(f"there is no view {view_id!r}")


def _check(name: str | None, address: str | None) -> None:
    problem = None if name is None else name_problem(name)
    if problem:
        raise SettingsError(f"a view's name {problem}")
    if address is not None and not 0 < len(address) <= ADDRESS_LIMIT:
        raise SettingsError(f"a view's address must have 1 to {ADDRESS_LIMIT} characters, got {len(address)}")
