"""From a one-time code to a session; hosts, origins and CSRF tokens."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any

import pytest
import requests


def test_a_code_opens_one_session(server: Any) -> None:
    """The printed code signs one browser in, and never another."""
    session = server.sign_in(server.code)
    who = session.get(f"{server.url}/api/v1/session", timeout=10).json()
    assert who["role"] == "operator"
    assert who["expires"] > time.time()
    again = requests.post(f"{server.url}/api/v1/session", json={"code": server.code}, timeout=10)
    assert again.status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_foreign_sites(server: Any) -> None:
    """HttpOnly and SameSite=Strict, and Secure behind TLS only."""
    answer = requests.post(f"{server.url}/api/v1/session", json={"code": server.code}, timeout=10)
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" not in cookie


def test_behind_tls_the_cookie_is_secure(start_server: Any) -> None:
    """With a public https address, cookies travel over TLS alone, and its origin is ours."""
    server = start_server("--public-url", "https://monitor.example")
    answer = requests.post(
        f"{server.url}/api/v1/session",
        json={"code": server.code},
        headers={"Host": "monitor.example", "Origin": "https://monitor.example"},
        timeout=10,
    )
    assert answer.status_code == 204
    assert "Secure" in answer.headers["Set-Cookie"]


def test_signing_out_ends_the_session_for_good(server: Any) -> None:
    """The old cookie opens nothing, wherever it was copied to."""
    session = server.sign_in()
    cookies = dict(session.cookies)
    assert session.delete(f"{server.url}/api/v1/session", timeout=10).status_code == 204
    assert requests.get(f"{server.url}/api/v1/runs", cookies=cookies, timeout=10).status_code == 401


def test_a_new_link_signs_in_another_browser(server: Any) -> None:
    """An operator's page can make a link; so can the command line."""
    session = server.sign_in()
    made = session.post(f"{server.url}/api/v1/session/codes", timeout=10)
    assert made.status_code == 201
    assert made.json()["url"].startswith(f"{server.url}/signin#")
    server.sign_in(made.json()["code"])
    link = _deepevent(server, "token", "link").strip()
    server.sign_in(link.partition("#")[2])


def test_guessing_codes_is_slowed_down(server: Any) -> None:
    """After ten wrong codes an address has to wait, and the right code has to wait too."""
    address = f"{server.url}/api/v1/session"
    answers = [requests.post(address, json={"code": f"guess{n}"}, timeout=10) for n in range(14)]
    assert [answer.status_code for answer in answers[:10]] == [401] * 10
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and int(refused[0].headers["Retry-After"]) > 0
    assert requests.post(address, json={"code": server.code}, timeout=10).status_code == 429


def test_a_session_s_change_needs_its_csrf_token_and_origin(server: Any) -> None:
    """A foreign page that makes the browser send its cookie changes nothing."""
    session = server.sign_in()
    run = session.post(f"{server.url}/api/v1/runs", json={"name": "kept"}, timeout=10).json()["id"]
    address = f"{server.url}/api/v1/runs/{run}"
    bare = requests.Session()
    bare.cookies.update(session.cookies)
    token = session.headers["X-CSRF-Token"]
    for headers in (
        {},
        {"X-CSRF-Token": token},
        {"Origin": server.url},
        {"Origin": server.url, "X-CSRF-Token": "0" * 64},
        {"Origin": "null", "X-CSRF-Token": token},
        {"Origin": "http://evil.example", "X-CSRF-Token": token},
        {"Origin": f"{server.url}.evil.example", "X-CSRF-Token": token},
    ):
        assert bare.delete(address, headers=headers, timeout=10).status_code == 403, headers
    override = {"Origin": server.url, "X-CSRF-Token": token, "X-HTTP-Method-Override": "DELETE"}
    assert bare.get(address, headers=override, timeout=10).status_code == 200
    assert session.delete(address, timeout=10).status_code == 204


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:6060", "localhost@evil", "", "a, b"]
)
def test_a_foreign_host_is_refused(shared_server: Any, host: str) -> None:
    """A name that was rebound to this machine gets nothing, not even a public page."""
    answer = requests.get(f"{shared_server.url}/signin", headers={"Host": host}, timeout=10)
    assert answer.status_code == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8888", "127.0.0.1:1", "[::1]:6060"])
def test_loopback_names_are_ours_at_any_port(shared_server: Any, host: str) -> None:
    """An SSH tunnel may end at another port."""
    assert requests.get(f"{shared_server.url}/healthz", headers={"Host": host}, timeout=10).status_code == 200


def test_what_a_proxy_claims_is_not_believed(shared_server: Any) -> None:
    """X-Forwarded-Host neither opens nor changes anything."""
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Forwarded": "host=evil"}
    answer = requests.get(f"{shared_server.url}/", headers=headers, timeout=10, allow_redirects=False)
    assert answer.headers["Location"] == "/signin"


def test_no_foreign_page_is_told_that_it_may_read(shared_server: Any) -> None:
    """There is no CORS header on anything, a preflight included."""
    for method in ("GET", "OPTIONS"):
        answer = shared_server.call(
            method,
            "/api/v1/runs",
            headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
        )
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_pages_carry_a_strict_policy_with_a_fresh_nonce(server: Any) -> None:
    """Scripts run by nonce or from our own files; the nonce is never the same twice."""
    session = server.sign_in()
    policies = [
        session.get(f"{server.url}/", timeout=10).headers["Content-Security-Policy"] for _ in range(2)
    ]
    assert policies[0] != policies[1]
    scripts = next(rule for rule in policies[0].split("; ") if rule.startswith("script-src"))
    assert "unsafe" not in scripts and "nonce-" in scripts
    assert "frame-ancestors 'none'" in policies[0] and "default-src 'none'" in policies[0]


@pytest.mark.parametrize("path", ["/signin", "/healthz", "/api/v1/runs", "/nothing"])
def test_every_answer_has_the_safe_headers(shared_server: Any, path: str) -> None:
    """No sniffing, no framing, no referrer, no copy in a cache."""
    headers = requests.get(shared_server.url + path, timeout=10).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_a_revoked_token_is_refused_at_once(server: Any) -> None:
    """`deepevent token revoke` works while the server runs."""
    token = _deepevent(server, "token", "create", "script", "--role", "logger").strip()
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.get(f"{server.url}/api/v1/session", headers=headers, timeout=10).status_code == 200
    listed = _deepevent(server, "token", "list")
    assert token not in listed
    number = next(line.split()[0] for line in listed.splitlines() if line.endswith(" script"))
    _deepevent(server, "token", "revoke", number)
    assert requests.get(f"{server.url}/api/v1/session", headers=headers, timeout=10).status_code == 401


def test_no_secret_is_in_the_log(server: Any) -> None:
    """Neither token nor code nor cookie is ever written down."""
    session = server.sign_in()
    requests.get(f"{server.url}/api/v1/runs?token={server.token}", timeout=10)
    server.call("GET", "/api/v1/runs")
    server.stop()
    log = server.log.read_text()
    for secret in (server.token, server.code, *session.cookies.values()):
        assert secret not in log


def _deepevent(server: Any, *arguments: str) -> str:
    from pathlib import Path
    from sys import executable

    done = subprocess.run(
        [Path(executable).with_name("deepevent"), *arguments],
        env={**os.environ, "DEEPEVENT_HOME": str(server.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
