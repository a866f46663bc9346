"""Secrets let in whom they should, for as long as they should."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from deepevent.errors import SettingsError
from deepevent.store import access, schema


def test_a_token_lets_its_holder_in_until_it_is_revoked(db):
    """The secret gives name and role, another one nothing; after revoke it gives nothing either."""
    secret = access.create_token(db, "laptop", "logger")
    principal = access.authenticate(db, secret)
    assert (principal.name, principal.role, principal.kind) == ("laptop", "logger", "token")
    assert access.authenticate(db, secret + "x") is None
    assert access.authenticate(db, secret, kinds=("session",)) is None
    assert access.revoke(db, principal.token_id) is True
    assert access.authenticate(db, secret) is None
    assert access.revoke(db, principal.token_id) is False


def test_the_store_holds_no_secret(db):
    """Neither the table nor the list of tokens has anything that lets one in."""
    secret = access.create_token(db, "laptop", "operator")
    with db.read() as c:
        stored = str(c.execute(sa.select(schema.tokens)).all())
    assert secret not in stored
    assert secret not in str(access.list_tokens(db))
    assert len(secret) >= 43  # 32 random bytes


def test_a_token_ends_at_its_time(db):
    """A token with a life time lets in before it is over and not after."""
    secret = access.create_token(db, "guest", "viewer", expires_s=3600)
    assert access.authenticate(db, secret) is not None
    with db.write() as c:
        c.execute(sa.update(schema.tokens).values(expires=1.0))
    assert access.authenticate(db, secret) is None


def test_a_code_gives_one_session(db):
    """Of several who use a sign-in code at once, one gets a session, with the code's role."""
    code = access.create_token(db, "browser", "operator", kind="code", expires_s=60)
    assert access.authenticate(db, code) is None
    sessions = []
    threads = [
        threading.Thread(target=lambda: sessions.append(access.exchange_code(db, code, 3600)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (session,) = [secret for secret in sessions if secret]
    principal = access.authenticate(db, session, kinds=("session",))
    assert (principal.role, principal.kind) == ("operator", "session")
    assert access.exchange_code(db, session, 3600) is None


@pytest.mark.parametrize("guess", ["", "x" * 10_000, "\0", "' or 1=1 --", "\ud800", "é"])
def test_a_wild_guess_is_only_wrong(db, guess):
    """Whatever is sent as a secret, the answer is no."""
    assert access.authenticate(db, guess) is None
    assert access.exchange_code(db, guess, 60) is None


@pytest.mark.parametrize(
    "wrong", [{"role": "root"}, {"kind": "badge"}, {"name": ""}, {"name": "a\nb"}, {"expires_s": 0.0}]
)
def test_a_token_that_makes_no_sense_is_refused(sqlite_db, wrong):
    """Unknown roles and kinds, bad names and life times are refused with a sentence."""
    with pytest.raises(SettingsError):
        access.create_token(sqlite_db, **{"name": "n", "role": "viewer", **wrong})
    assert access.list_tokens(sqlite_db) == []
