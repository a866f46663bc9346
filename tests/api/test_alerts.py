"""Alerts from a script's point to a signed request at the other end, over real sockets."""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import requests

from deepevent_web.deliveries import send

PATIENCE_S = 60


@pytest.fixture
def receiver() -> Iterator[tuple[str, queue.Queue[tuple[dict[str, str], bytes]]]]:
    """A server that takes requests, the first with an error; and what it got."""
    got: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
            else:
                self.send_response(204)
            self.end_headers()
            got.put((dict(self.headers), body))

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_rule_ends_as_a_signed_request(server: Any, receiver: Any) -> None:
    """Rule and webhook are made, a script diverges, and the receiver can check who sent what it gets."""
    url, got = receiver
    made = server.call("POST", "/api/v1/webhooks", json={"url": f"{url}/hook?a=1", "project": "faces"})
    assert made.status_code == 201, made.text
    rule = {"kind": "above", "metric": "loss", "bound": 100, "level": "error", "project": "faces"}
    assert server.call("POST", "/api/v1/alert-rules", json=rule).status_code == 201
    points = [{"metrics": {"loss": 1e6}, "step": 3}]
    logged = {"name": "night", "project": "faces", "events": points}
    answer = server.call("POST", "/api/v1/events", json=logged)
    assert answer.status_code == 200, answer.text
    headers, body = got.get(timeout=PATIENCE_S)
    parts = dict(part.split("=", 1) for part in headers["X-DeepEvent-Signature"].split(","))
    expected = hmac.new(made.json()["secret"].encode(), f"{parts['t']}.".encode() + body, hashlib.sha256)
    assert hmac.compare_digest(parts["v1"], expected.hexdigest())
    sent = json.loads(body)
    assert (sent["alert"]["title"], sent["alert"]["level"]) == ("loss of night is above 100", "error")
    assert sent["run"]["url"].endswith(f"/runs/{sent['run']['id']}")
    [listed] = server.call("GET", "/api/v1/alerts").json()["alerts"]
    assert listed["title"] == sent["alert"]["title"]
    assert (listed["run_name"], listed["project"]) == ("night", "faces")


def test_redirects_and_link_local_addresses_are_not_followed(receiver: Any) -> None:
    """Where a cloud keeps its secrets nothing is sent, not by a redirect either."""
    url, got = receiver
    taken, answer = send(f"{url}/moved", "secret", b"{}")
    assert not taken and answer.startswith("302")
    assert got.get(timeout=PATIENCE_S)[1] == b"{}"
    assert got.empty()


def test_a_receiver_that_is_not_there_is_named() -> None:
    """What went wrong is said, and nothing is raised."""
    taken, answer = send("http://127.0.0.1:9/", "secret", b"{}")
    assert not taken
    assert "refused" in answer.lower()


def test_a_viewer_sees_rules_and_no_webhooks(server: Any) -> None:
    """Webhooks hold addresses that may be secret; rules and alerts are for everybody to read."""
    token = server.make_token("viewer")
    headers = {"Authorization": f"Bearer {token}"}
    for path, status in (("/alerts", 200), ("/alert-rules", 200), ("/webhooks", 403)):
        answer = requests.get(f"{server.url}/api/v1{path}", headers=headers, timeout=30)
        assert answer.status_code == status, path
    rule = {"kind": "lost"}
    answer = requests.post(f"{server.url}/api/v1/alert-rules", headers=headers, json=rule, timeout=30)
    assert answer.status_code == 403


@pytest.mark.parametrize("number", ["0", "999", "-1", "1e3", "x"])
def test_what_is_not_there_cannot_be_deleted(shared_server: Any, number: str) -> None:
    """An unknown number is a 404 with a sentence."""
    for noun in ("alert-rules", "webhooks"):
        answer = shared_server.call("DELETE", f"/api/v1/{noun}/{number}")
        assert answer.status_code == 404
        assert answer.json()["detail"]
