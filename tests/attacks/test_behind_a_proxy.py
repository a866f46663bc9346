"""Behind a reverse proxy: believed only where told to, and whole below a path."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, expect

import deepevent

PUBLIC = "monitor.example"
BELOW = "/deepevent"


@pytest.fixture
def start_proxy(load_proxy: Any) -> Iterator[Callable[..., Any]]:
    """Start proxies; all end with the test."""
    started: list[Any] = []

    def start(*arguments: Any, **options: Any) -> Any:
        started.append(load_proxy.start(*arguments, **options))
        return started[-1]

    yield start
    for proxy in started:
        proxy.close()


def test_a_trusted_proxy_speaks_for_its_clients(start_server: Any) -> None:
    """F8: host and scheme of a trusted peer count, and are checked like any other."""
    server = start_server("--trusted-proxy", "127.0.0.1", "--allowed-host", PUBLIC, "--hsts", "60")
    headers = {"X-Forwarded-Host": PUBLIC, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.5"}
    signed = requests.post(
        f"{server.url}/api/v1/session",
        json={"code": server.code},
        headers=headers | {"Origin": f"https://{PUBLIC}"},
        timeout=30,
    )
    assert signed.status_code == 204, signed.text
    assert "Secure" in signed.headers["Set-Cookie"]
    assert signed.headers["Strict-Transport-Security"] == "max-age=60"
    plain = requests.get(f"{server.url}/healthz", timeout=30)
    assert "Strict-Transport-Security" not in plain.headers
    for origin in (f"http://{PUBLIC}", "https://evil.example"):
        answer = requests.get(f"{server.url}/signin", headers=headers | {"Origin": origin}, timeout=30)
        assert answer.status_code == 403
    evil = headers | {"X-Forwarded-Host": "evil.example"}
    assert requests.get(f"{server.url}/healthz", headers=evil, timeout=30).status_code == 400
    two = headers | {"X-Forwarded-Host": f"{PUBLIC}, evil.example"}
    assert requests.get(f"{server.url}/healthz", headers=two, timeout=30).status_code == 400


def test_guesses_count_for_the_client_that_the_proxy_names(start_server: Any) -> None:
    """F8, F11: what a client wrote in front of the chain is not believed: it cannot change its address."""
    server = start_server("--trusted-proxy", "127.0.0.0/8")

    def guess(chain: str) -> int:
        headers = {"X-Forwarded-For": chain}
        body = {"code": "wrong"}
        return requests.post(
            f"{server.url}/api/v1/session", json=body, headers=headers, timeout=30
        ).status_code

    answers = [guess(f"198.51.100.{n}, 203.0.113.5, 127.0.0.1") for n in range(14)]
    assert answers[:10] == [401] * 10 and 429 in answers
    assert guess("203.0.113.6") == 401, "another client has its own allowance"


def test_an_untrusted_peer_is_not_believed(shared_server: Any) -> None:
    """F8: without --trusted-proxy X-Forwarded-… change nothing, neither host, nor scheme, nor address."""
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Forwarded": "host=evil"}
    answer = requests.get(f"{shared_server.url}/jobs", headers=headers, timeout=30, allow_redirects=False)
    assert answer.headers["Location"] == "/signin?next=/jobs"
    assert "upgrade-insecure-requests" not in answer.headers["Content-Security-Policy"]
    answers = [
        requests.post(
            f"{shared_server.url}/api/v1/session",
            json={"code": "wrong"},
            headers={"X-Forwarded-For": f"198.51.100.{n}"},
            timeout=30,
        ).status_code
        for n in range(14)
    ]
    assert 429 in answers


def test_everything_works_below_a_path(
    start_server: Any, start_proxy: Callable[..., Any], browser: Browser
) -> None:
    """Pages, files, API, socket and links lie below --base-path, seen by Chromium through a real proxy."""
    server = start_server("--base-path", BELOW)
    proxy = start_proxy(server.port)
    outside = f"http://127.0.0.1:{proxy.port}"
    run = deepevent.start(name="below")
    run.log({"loss": 1.0}, step=0)
    assert run.flush(timeout=60)
    complaints: list[str] = []
    context = browser.new_context()
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{outside}{BELOW}/signin#{server.code}")
    page.get_by_role("link", name="below").first.click()
    expect(page.get_by_role("heading", name="below")).to_be_visible()
    assert page.url == f"{outside}{BELOW}/runs/{run.id}"
    expect(page.get_by_role("status").get_by_text("live")).to_be_visible()
    run.log({"loss": 0.5}, step=1)
    assert run.flush(timeout=60)
    page.wait_for_function(
        "() => window.deepevent.charts().some((c) => c.traces.some((t) => [...(t.y ?? [])].includes(0.5)))"
    )
    for name in ("Compare", "Jobs", "Settings", "Runs"):
        page.get_by_role("link", name=re.compile(f"^{name}")).first.click()
        assert page.url.startswith(f"{outside}{BELOW}/")
    page.reload()
    expect(page.get_by_role("link", name="below").first).to_be_visible()
    cookie = next(one for one in context.cookies() if one["name"] == "deepevent_session")
    assert cookie["path"] == BELOW
    assert cookie["httpOnly"]
    context.close()
    run.finish()
    assert complaints == []
    assert all(path.startswith(BELOW) for path in proxy.paths), proxy.paths
    assert json.loads((server.home / "server.json").read_text())["url"].endswith(BELOW)


@pytest.mark.parametrize(
    "path", ["deepevent", "/a/../b", "/a//b", "/api", "/runs/x", "/a b", "//evil", "/%2e"]
)
def test_a_base_path_that_cannot_be_is_refused(path: str) -> None:
    """A path that would mix with the server's own addresses, or is none, is named before it listens."""
    import argparse

    from deepevent_web import exposure

    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    exposure.configure(parser)
    assert exposure.problems(parser.parse_args(["--base-path", path]))
