"""Tokens and what they allow: random secrets, of which the store keeps only the hash.

A secret has 256 bits of chance, so a plain SHA-256 of it cannot be turned round, and looking the
hash up says nothing about how much of a guess was right.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from deepevent.errors import SettingsError
from deepevent.store import schema
from deepevent.store.audit import note
from deepevent.store.connection import Database
from deepevent.store.events import name_problem

ROLES = ("viewer", "logger", "agent", "operator")
KINDS = ("token", "session", "code")
SECRET_LENGTH_LIMIT = 200
KEPT_AFTER_END_S = 30 * 86400.0
_SHOWN = ("id", "name", "role", "kind", "created", "expires", "revoked")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking."""

    token_id: int
    name: str
    role: str
    kind: str
    expires: float | None


def create_token(
    db: Database,
    name: str,
    role: str,
    kind: str = "token",
    expires_s: float | None = None,
    actor: str | None = None,
) -> str:
    """Make a token and return its secret, which cannot be read again.

    Args:
        db: the store.
        name: whom it is for.
        role: one of ROLES.
        kind: one of KINDS.
        expires_s: life time; None for as long as nobody revokes it.
        actor: who makes it, for the audit log; None for what the server makes for itself.

    Raises:
        SettingsError: the name, role, kind or life time is not allowed.
    """
    problem = name_problem(name)
    if problem:
        raise SettingsError(f"a token's name {problem}")
    if role not in ROLES or kind not in KINDS:
        raise SettingsError(f"role must be one of {ROLES} and kind one of {KINDS}, got {role!r} and {kind!r}")
    if expires_s is not None and expires_s <= 0:
        raise SettingsError(f"expires_s must be > 0, got {expires_s}")
    with db.write() as connection:
        if actor is not None:
            note(connection, None, actor, f"{kind} created", f"{name!r}, role {role}")
        return _insert(connection, name, role, kind, expires_s)


def authenticate(db: Database, secret: str, kinds: Sequence[str] = ("token",)) -> Principal | None:
    """Return who holds `secret`, if it is valid now and of one of the `kinds`."""
    if not 0 < len(secret) <= SECRET_LENGTH_LIMIT:
        return None
    with db.read() as connection:
        return _find(connection, secret, kinds)


def exchange_code(db: Database, code: str, session_s: float) -> str | None:
    """Turn a one-time sign-in code into a session's secret; None if the code is not valid.

    The code is used up in the same transaction: of two who try it, one gets in.
    """
    if not 0 < len(code) <= SECRET_LENGTH_LIMIT:
        return None
    with db.read() as connection:  # so that guesses never reach the write lock
        if _find(connection, code, ("code",)) is None:
            return None
    with db.write() as connection:
        principal = _find(connection, code, ("code",))
        if principal is None:
            return None
        _revoke(connection, principal.token_id)
        return _insert(connection, principal.name, principal.role, "session", session_s)


def revoke(db: Database, token_id: int, actor: str | None = None) -> bool:
    """End a token; return whether it was valid until now. `actor` is for the audit log."""
    with db.write() as connection:
        if not _revoke(connection, token_id):
            return False
        if actor is not None:
            note(connection, None, actor, "token revoked", f"number {token_id}")
        return True


def rotate(db: Database, token_id: int, actor: str) -> str:
    """Give a token a new secret, and return it; the old one ends in the same transaction.

    Name, role and the end of its life stay.

    Raises:
        SettingsError: it is no valid token of a program.
    """
    table, now = schema.tokens, time.time()
    with db.write() as connection:
        row = connection.execute(
            sa.select(table.c.name, table.c.role, table.c.expires).where(
                table.c.id == token_id,
                table.c.kind == "token",
                table.c.revoked.is_(None),
                sa.or_(table.c.expires.is_(None), table.c.expires > now),
            )
        ).first()
        if row is None:
            raise SettingsError(f"there is no valid token {token_id}; see: deepevent token list")
        _revoke(connection, token_id)
        note(connection, None, actor, "token rotated", f"{row.name!r}, number {token_id}")
        left_s = None if row.expires is None else row.expires - now
        return _insert(connection, row.name, row.role, "token", left_s)


def list_tokens(db: Database) -> list[dict[str, Any]]:
    """List tokens and sessions, newest first, without anything secret."""
    table = schema.tokens
    with db.read() as connection:
        rows = connection.execute(
            sa.select(
                *(table.c[name] for name in ("id", "name", "role", "kind", "created", "expires", "revoked"))
            )
            .order_by(table.c.id.desc())
            .limit(1000)
        ).mappings()
        return [dict(row) for row in rows]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _find(connection: sa.Connection, secret: str, kinds: Sequence[str]) -> Principal | None:
    table, now = schema.tokens, time.time()
    sought = _hash(secret)
    row = connection.execute(
        sa.select(table.c.hash, table.c.id, table.c.name, table.c.role, table.c.kind, table.c.expires).where(
            table.c.hash == sought,
            table.c.kind.in_(list(kinds)),
            table.c.revoked.is_(None),
            sa.or_(table.c.expires.is_(None), table.c.expires > now),
        )
    ).first()
    if row is None or not hmac.compare_digest(row.hash, sought):
        return None
    return Principal(*row[1:])


def _insert(connection: sa.Connection, name: str, role: str, kind: str, expires_s: float | None) -> str:
    secret, now, table = secrets.token_urlsafe(32), time.time(), schema.tokens
    ended = sa.or_(table.c.expires < now - KEPT_AFTER_END_S, table.c.revoked < now - KEPT_AFTER_END_S)
    connection.execute(sa.delete(table).where(ended))
    connection.execute(
        sa.insert(table).values(
            name=name,
            role=role,
            kind=kind,
            hash=_hash(secret),
            created=now,
            expires=None if expires_s is None else now + expires_s,
        )
    )
    return secret


def _revoke(connection: sa.Connection, token_id: int) -> bool:
    table = schema.tokens
    changed = connection.execute(
        sa.update(table).where(table.c.id == token_id, table.c.revoked.is_(None)).values(revoked=time.time())
    )
    return changed.rowcount == 1
