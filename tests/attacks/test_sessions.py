"""F: tokens, sessions, hosts and origins."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from deepevent.store import access, connection
from deepevent_web import routes, tokens
from deepevent_web.app import NOUNS

pytestmark = pytest.mark.usefixtures("unharmed")

TABLE = routes.table(NOUNS)


def _deepevent(server: Any, *arguments: str) -> str:
    return subprocess.run(
        [Path(sys.executable).with_name("deepevent"), *arguments],
        env={**os.environ, "DEEPEVENT_HOME": str(server.home)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def _status(server: Any, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{server.url}/api/v1/session", headers=headers, timeout=30).status_code


def _number(server: Any, name: str) -> str:
    listed = _deepevent(server, "token", "list").splitlines()
    return next(line.split()[0] for line in listed if line.endswith(f" {name}") and "revoked" not in line)


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer  \r\n",
        "Authorization: Bearer wrong\r\n",
        "Authorization: Bearer {token}x\r\n",
        "Authorization: Bearer {token} {token}\r\n",
        "Authorization: Bearer {token}\r\nAuthorization: Bearer wrong\r\n",
        "Authorization: Bearer wrong\r\nAuthorization: Bearer {token}\r\n",
        "Authorization: Basic {token}\r\n",
        "Authorization: {token}\r\n",
        "Cookie: deepevent_session={token}\r\n",
        "X-Api-Key: {token}\r\n",
        "Authorization : Bearer {token}\r\n",
        "Authorization: Bearer \xe9\xff\r\n",
    ],
)
def test_only_one_whole_token_in_its_place_opens(
    raw: Callable[..., tuple[int, bytes]], target: Any, lines: str
) -> None:
    """F1: none, a wrong one, a half, two, or a right one elsewhere: no way in."""
    head = "GET /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    status, answer = raw(head + lines.format(token=target.token) + "\r\n")
    assert status in (400, 401), answer
    assert target.token.encode() not in answer


def test_a_token_of_a_megabyte_is_not_read(raw: Callable[..., tuple[int, bytes]], target: Any) -> None:
    """F1: a header line beyond its limit is a 431, and one in the query string a 401 or 414."""
    long = "x" * 1_000_000
    head = "Host: 127.0.0.1\r\nConnection: close\r\n"
    status, _ = raw(f"GET /api/v1/runs HTTP/1.1\r\n{head}Authorization: Bearer {long}\r\n\r\n")
    assert status in (0, 400, 431)
    status, _ = raw(f"GET /api/v1/runs?token={long} HTTP/1.1\r\n{head}\r\n")
    assert status in (0, 414)
    status, _ = raw(f"GET /api/v1/runs?access_token={target.token} HTTP/1.1\r\n{head}\r\n")
    assert status == 401


def test_a_secret_is_never_compared_itself(target: Any) -> None:
    """F2: the database is asked for a hash, so how much of a guess was right moves no clock."""
    db = connection.open_database(f"sqlite:///{target.home / 'deepevent.db'}")
    asked: list[str] = []

    def listen(*call: Any) -> None:
        asked.append(f"{call[2]} {call[3]}")

    sa.event.listen(sa.Engine, "before_cursor_execute", listen)
    try:
        assert access.authenticate(db, target.token) is not None
        near = target.token[:-1] + ("A" if target.token[-1] != "A" else "B")
        assert access.authenticate(db, near) is None
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", listen)
        db.close()
    assert asked
    assert not any(target.token[:8] in statement for statement in asked)
    assert any(hashlib.sha256(near.encode()).hexdigest() in statement for statement in asked)


def test_a_token_ends_when_it_says(target: Any, home: Path) -> None:
    """F3: after its time a token opens nothing; --expires takes m, h, d and w, and refuses all else."""
    token = target.make_token("viewer", "brief", expires_s=1.0)
    deadline = time.monotonic() + 30
    while _status(target, token) == 200:
        assert time.monotonic() < deadline, "the token still opens"
        time.sleep(0.1)
    lasting = _deepevent(target, "token", "create", "monthly", "--expires", "30d")
    assert _status(target, lasting) == 200
    with pytest.raises(subprocess.CalledProcessError):
        _deepevent(target, "token", "create", "never", "--expires=-1d")
    parser = argparse.ArgumentParser()
    tokens.configure(parser)
    for wrong in ("30", "d", "0h", "1y", "1e9d", "99999w", ""):
        arguments = parser.parse_args(["create", "never", "--expires", wrong])
        assert tokens.execute(arguments) == 1, wrong


def test_a_rotated_token_dies_at_once(target: Any) -> None:
    """F3: the new secret opens, the old one does not, and both changes stand in the audit log."""
    old = _deepevent(target, "token", "create", "turning", "--role", "viewer")
    new = _deepevent(target, "token", "rotate", _number(target, "turning"))
    assert (_status(target, old), _status(target, new)) == (401, 200)
    _deepevent(target, "token", "revoke", _number(target, "turning"))
    assert _status(target, new) == 401
    entries = target.call("GET", "/api/v1/audit?limit=200").json()["entries"]
    actions = [entry["action"] for entry in entries if entry["actor"].startswith("command line of ")]
    assert {"token created", "token rotated", "token revoked"} <= set(actions)


@pytest.mark.parametrize(
    ("role", "method", "path"),
    [
        ("viewer", "POST", "/runs"),
        ("viewer", "POST", "/events"),
        ("viewer", "GET", "/audit"),
        ("viewer", "POST", "/session/codes"),
        ("logger", "GET", "/runs"),
        ("logger", "GET", "/jobs"),
        ("logger", "GET", "/audit"),
        ("logger", "POST", "/curves"),
        ("logger", "GET", f"/blobs/{'0' * 64}"),
        ("agent", "GET", "/runs"),
        ("agent", "POST", "/runs"),
        ("agent", "POST", "/session/codes"),
    ],
)
def test_a_role_does_what_it_may_and_no_more(
    as_role: Callable[[str], Any], role: str, method: str, path: str
) -> None:
    """F4: with a valid token of another role the answer is 403, before the request is looked at."""
    assert as_role(role).call(method, path, data=b"not even json").status_code == 403


def test_refused_changes_are_noted_but_do_not_fill_the_log(target: Any, operator: Any) -> None:
    """F4: who tries without end to change what he may not leaves a few lines."""
    headers = {"Authorization": f"Bearer {target.make_token('viewer', 'an insistent viewer')}"}
    for _ in range(30):
        answer = requests.delete(f"{target.url}/api/v1/runs/{'0' * 26}", headers=headers, timeout=30)
        assert answer.status_code == 403
    entries = operator.call("GET", "/audit?limit=200").json()["entries"]
    refused = [entry for entry in entries if entry["actor"] == "an insistent viewer"]
    assert {entry["action"] for entry in refused} == {"refused"}
    assert 1 <= len(refused) <= 10
    assert "DELETE /runs/" in refused[0]["detail"]


def test_changes_are_noted_with_who_made_them(operator: Any, new_run: Callable[..., str]) -> None:
    """Deletions and changes of runs stand in the audit log with the name of the token, page by page."""
    run = new_run(name="noted")
    operator.call("PATCH", f"/runs/{run}", json={"notes": "x"})
    operator.call("DELETE", f"/runs/{run}")
    entries = operator.call("GET", "/audit?limit=20").json()["entries"]
    noted = [entry for entry in entries if run in entry["detail"]]
    assert [entry["action"] for entry in noted] == ["runs.delete", "runs.update"]
    assert all(entry["actor"].startswith("server.json") for entry in noted)
    page = operator.call("GET", "/audit?limit=2").json()
    older = operator.call("GET", f"/audit?limit=2&before={page['next']}").json()["entries"]
    assert older[0]["id"] < page["entries"][-1]["id"]


def test_reading_changes_nothing(operator: Any, target: Any) -> None:
    """F6: every GET and HEAD of every route leaves what people made as it was, `_method` or not."""
    before = _contents(target)
    for route in TABLE.values():
        if route.method != "GET":
            continue
        address = target.url + re.sub(r"<[^>]+>", "01j0000000000000000000000a", route.rule)
        for method in ("GET", "HEAD"):
            answer = requests.request(
                method,
                f"{address}?_method=DELETE",
                headers={**operator.headers, "X-HTTP-Method-Override": "DELETE"},
                timeout=30,
                allow_redirects=False,
            )
            assert answer.status_code < 500, route.rule
    assert _contents(target) == before


def _contents(server: Any) -> str:
    database = sqlite3.connect(f"file:{server.home / 'deepevent.db'}?mode=ro", uri=True)
    try:
        tables = ["tokens", "queue", "run_tags", "run_values", "alerts", "media", "webhooks", "alert_rules"]
        rows = [database.execute(f"select * from {table}").fetchall() for table in tables]
        rows.append(
            database.execute("select id, name, project, notes, archived, deleted from runs").fetchall()
        )
        return hashlib.sha256(repr(rows).encode()).hexdigest()
    finally:
        database.close()


FOREIGN = """https://{host}.evil.example http://evil.example#{host} http://{host}@evil.example null file://
http://{host}:1 chrome-extension://abc http://{host}/path //{host} https://good.example.evil.com"""


@pytest.mark.parametrize("origin", FOREIGN.split())
def test_an_origin_is_ours_or_it_is_foreign(operator: Any, target: Any, origin: str) -> None:
    """F6, F7: what only begins or ends like our own origin may not ask, and no CORS header lets it read."""
    value = origin.format(host=f"127.0.0.1:{target.port}").strip()
    answer = operator.call("GET", "/runs", headers={"Origin": value})
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /api/v1/runs HTTP/1.1\r\nHost: evil.example", 400),
        ("GET /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1.evil.example", 400),
        ("GET /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example", 400),
        ("GET /api/v1/runs HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1", 400),
        ("GET /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1, evil.example", 400),
        ("GET /api/v1/runs HTTP/1.1\r\nHost: 2130706433", 400),
        ("GET /api/v1/runs HTTP/1.1\r\nHost: 0x7f.1", 400),
        ("GET /api/v1/runs HTTP/1.1\r\nHost: [::ffff:127.0.0.1]", 400),
        ("GET /api/v1/runs HTTP/1.1\r\nHost: localhost.", 400),
        ("GET /api/v1/runs HTTP/1.1\r\nX-Forwarded-Host: 127.0.0.1", 400),
        ("GET http://evil.example/api/v1/runs HTTP/1.1\r\nHost: evil.example", 400),
        ("GET /api/v1/runs HTTP/1.0", 400),
        ("GET /api/v1/runs HTTP/1.1\r\nHost: localhost", 200),
    ],
)
def test_a_host_is_ours_or_it_is_refused(
    raw: Callable[..., tuple[int, bytes]], target: Any, line: str, status: int
) -> None:
    """F8: a rebound name, two hosts, an address in disguise, or none at all gets nothing, token or not."""
    head = f"{line}\r\nAuthorization: Bearer {target.token}\r\nConnection: close\r\n\r\n"
    assert raw(head)[0] == status


def test_an_absolute_address_counts_by_its_host_header(
    raw: Callable[..., tuple[int, bytes]], target: Any
) -> None:
    """F8: the absolute form of a request cannot name another host than the one that is checked."""
    status, answer = raw(
        f"GET http://evil.example/jobs HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\nConnection: close\r\n\r\n"
    )
    assert status in (303, 400, 404)
    assert b"Location: http" not in answer


def test_a_session_is_made_at_sign_in_and_nowhere_else(start_server: Any) -> None:
    """A cookie that somebody planted before the sign-in never becomes the session (fixation)."""
    server = start_server()
    planted = {"deepevent_session": "planted-by-somebody-else"}
    signed = requests.post(
        f"{server.url}/api/v1/session", json={"code": server.code}, cookies=planted, timeout=30
    )
    cookie = signed.headers["Set-Cookie"]
    assert "planted" not in cookie and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert requests.get(f"{server.url}/api/v1/runs", cookies=planted, timeout=30).status_code == 401
    answers = [_status(server, "wrong") for _ in range(130)]
    assert answers[0] == 401 and 429 in answers, "wrong tokens are not slowed down"
    assert _status(server, server.token) == 200, "a right token has to get in all the same"


def test_private_pages_are_kept_nowhere(operator: Any) -> None:
    """F13: what depends on who asks carries no-store and says so."""
    for path in ("/runs", "/session", "/audit", "/jobs"):
        headers = operator.call("GET", path).headers
        assert headers["Cache-Control"] == "no-store"
        assert {"Cookie", "Authorization"} <= set(headers["Vary"].split(", "))
