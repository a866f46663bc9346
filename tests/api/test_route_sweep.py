"""Nobody gets anything without a token: every rule by every method, sockets and files included."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask

from deepevent_web import routes
from deepevent_web.app import NOUNS

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/signin"),
    ("GET", "/favicon.ico"),
    ("GET", "/static/<path:name>"),
    ("POST", "/api/v1/session"),
}
TABLE = routes.table(NOUNS)


def _address(rule: str) -> str:
    return re.sub(r"<[^>]+>", "01j0000000000000000000000a", rule)


def _all() -> Iterator[tuple[str, str]]:
    for rule in sorted({route.rule for route in TABLE.values()}):
        for method in METHODS:
            yield method, rule


def test_exactly_these_routes_are_open_to_everybody() -> None:
    """A new public route has to be written down here, with a thought."""
    assert {(route.method, route.rule) for route in TABLE.values() if route.role == "public"} == PUBLIC


@pytest.mark.parametrize(("method", "rule"), list(_all()))
def test_a_stranger_is_refused(shared_server: Any, method: str, rule: str) -> None:
    """Every rule by every method answers 401, 403 or 404 to a stranger; a page sends him to the sign-in."""
    if (method, rule) in PUBLIC or (method == "HEAD" and ("GET", rule) in PUBLIC):
        return
    answer = requests.request(
        method, shared_server.url + _address(rule), timeout=10, allow_redirects=False, json={}
    )
    is_page = method in ("GET", "HEAD") and any(
        route.rule == rule and route.role == "page" for route in TABLE.values()
    )
    if is_page:
        assert answer.status_code == 303
        assert answer.headers["Location"].partition("?")[0] == "/signin"
    else:
        assert answer.status_code in (401, 403, 404), (answer.status_code, answer.text)
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("rule", sorted({route.rule for route in TABLE.values() if route.role == "viewer"}))
def test_a_logger_cannot_read(shared_server: Any, rule: str) -> None:
    """A script's token does not open what viewers see."""
    token = _token(shared_server, "logger")
    for route in TABLE.values():
        if route.rule == rule and route.role == "viewer":
            answer = requests.request(
                route.method,
                shared_server.url + _address(rule),
                headers={"Authorization": f"Bearer {token}"},
                json={},
                timeout=10,
            )
            assert answer.status_code == 403


@pytest.mark.parametrize("role", ["viewer", "logger"])
def test_only_an_operator_changes_runs(shared_server: Any, role: str) -> None:
    """PATCH, DELETE and stop need the role operator."""
    headers = {"Authorization": f"Bearer {_token(shared_server, role)}"}
    run = shared_server.call("POST", "/api/v1/runs", json={"name": "mine"}).json()["id"]
    address = f"{shared_server.url}/api/v1/runs/{run}"
    assert requests.patch(address, headers=headers, json={"name": "x"}, timeout=10).status_code == 403
    assert requests.delete(address, headers=headers, timeout=10).status_code == 403
    assert requests.post(f"{address}/stop", headers=headers, timeout=10).status_code == 403
    assert shared_server.call("GET", f"/api/v1/runs/{run}").json()["name"] == "mine"


def test_a_viewer_cannot_log(shared_server: Any) -> None:
    """A viewer's token opens no way in for events."""
    headers = {"Authorization": f"Bearer {_token(shared_server, 'viewer')}"}
    for method, path in (
        ("POST", "/ingest"),
        ("POST", "/events"),
        ("POST", "/runs"),
        ("PUT", f"/blobs/{'0' * 64}"),
    ):
        answer = requests.request(
            method, f"{shared_server.url}/api/v1{path}", headers=headers, json={}, timeout=10
        )
        assert answer.status_code == 403, path


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic b3BlcmF0b3I6eA=="},
        {"Cookie": "deepevent_session=wrong"},
        {"Cookie": "deepevent_session="},
    ],
)
@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_the_socket_is_closed_to_strangers(
    shared_server: Any, headers: dict[str, str], transport: str
) -> None:
    """Socket.IO answers 401 without a valid token, by polling and by WebSocket, before any state is made."""
    assert _upgrade(shared_server, transport, headers) == 401


def test_a_token_in_the_query_string_opens_nothing(shared_server: Any) -> None:
    """Tokens are read from the header alone, so that none ends in a log."""
    answer = requests.get(f"{shared_server.url}/api/v1/runs?token={shared_server.token}", timeout=10)
    assert answer.status_code == 401


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1.evil.example"])
def test_the_socket_refuses_foreign_pages(shared_server: Any, origin: str) -> None:
    """A foreign page's socket is refused even with a valid token."""
    headers = {"Authorization": f"Bearer {shared_server.token}", "Origin": origin}
    assert _upgrade(shared_server, "websocket", headers) == 403


def test_polling_is_off(shared_server: Any) -> None:
    """Long polling does not exist, not even for those who are signed in."""
    assert _upgrade(shared_server, "polling", {"Authorization": f"Bearer {shared_server.token}"}) == 404


def test_a_route_without_a_role_stops_the_start() -> None:
    """A rule that the table does not know is an error at start."""
    app = Flask("test", static_folder=None)
    app.add_url_rule("/forgotten", "forgotten", lambda: "")
    with pytest.raises(RuntimeError, match="/forgotten"):
        routes.check(app, {})


def _token(server: Any, role: str) -> str:
    """A token of a role, made through the store as `deepevent token create` does."""
    from deepevent.store import access, connection

    db = connection.open_database(f"sqlite:///{server.home / 'deepevent.db'}")
    try:
        return access.create_token(db, f"a {role}", role)
    finally:
        db.close()


def _upgrade(server: Any, transport: str, headers: dict[str, str]) -> int:
    lines = [f"GET /socket.io/?EIO=4&transport={transport} HTTP/1.1", f"Host: 127.0.0.1:{server.port}"]
    if transport == "websocket":
        lines += [
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return int(connection.recv(64).split()[1])
