"""An operator's webhook must not become a way to what only the server's own machine may reach."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from deepevent_web import deliveries

pytestmark = pytest.mark.usefixtures("unharmed")


@pytest.fixture
def receiver() -> Iterator[tuple[int, list[bytes]]]:
    """A server on all addresses of this machine that notes what it gets."""
    got: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Listener(http.server.HTTPServer):
        address_family = socket.AF_INET6

    server = Listener(("::", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], got
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_peer_counts_and_not_the_name(receiver: Any) -> None:
    """Whatever a name resolved to, the address that was really connected to decides, in every dress."""
    port, got = receiver
    for text, refused in (
        ("169.254.169.254", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("fd00:ec2::254", True),
        ("0.0.0.0", True),
        ("127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
    ):
        address = deliveries._address(text)
        unwanted = address.is_link_local or address.is_unspecified or address in deliveries.CLOUD_ADDRESSES
        assert unwanted == refused, text
    for host in ("[::ffff:127.0.0.1]", "localhost"):
        assert deliveries.send(f"http://{host}:{port}/", "secret", b"{}")[0], host
    assert got == [b"{}"] * 2


WRONG = """file:///etc/passwd gopher://127.0.0.1/ http:// //evil.example ftp://x/ x http://user:secret@127.0.0.1/
javascript:alert(1) http://[::1"""


@pytest.mark.parametrize("url", WRONG.split())
def test_a_webhook_is_an_http_address(operator: Any, url: str) -> None:
    """Other schemes, no host, and names with passwords are refused when the webhook is made."""
    assert operator.call("POST", "/webhooks", json={"url": url}).status_code == 422


def test_a_line_break_ends_no_request(receiver: Any) -> None:
    """What stands in the path cannot become a header of what is sent."""
    port, got = receiver
    for url in (f"http://127.0.0.1:{port}/\r\nX: y", f"http://127.0.0.1:{port}/ HTTP/1.1\r\nX: y"):
        with contextlib.suppress(ValueError):
            deliveries.send(url, "secret", b"{}")
    assert all(body == b"{}" for body in got)
