"""I: the bytes below HTTP: smuggled requests, slow ones, many connections, hostile sockets."""

from __future__ import annotations

import json
import random
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import requests
import websocket

from deepevent_web.limits import LIMITS

pytestmark = pytest.mark.usefixtures("unharmed")

MIB = 1 << 20
SMUGGLED = "GET /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\n" + SMUGGLED),
        ("Transfer-Encoding: chunked\r\nContent-Length: 6", "0\r\n\r\n" + SMUGGLED),
        ("Transfer-Encoding: xchunked", "0\r\n\r\n" + SMUGGLED),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n" + SMUGGLED),
        ("Transfer-Encoding: identity, chunked, identity", "0\r\n\r\n" + SMUGGLED),
        ("Transfer-Encoding : chunked", "0\r\n\r\n" + SMUGGLED),
        ("Transfer-Encoding:\x0bchunked", "0\r\n\r\n" + SMUGGLED),
        (" Transfer-Encoding: chunked", "0\r\n\r\n" + SMUGGLED),
        ("Content-Length: 0\r\nContent-Length: 44", SMUGGLED),
        ("Content-Length: 0, 44", SMUGGLED),
        ("Content-Length: +0", SMUGGLED),
        ("Content-Length: 0\x0b", SMUGGLED),
        ("Content-Length: 0_0", SMUGGLED),
        ("X: y\r\n Content-Length: 0", SMUGGLED),
        ("X: y\rTransfer-Encoding: chunked", "0\r\n\r\n" + SMUGGLED),
        ("X: y\nTransfer-Encoding: chunked", "0\r\n\r\n" + SMUGGLED),
        ("X\0Y: z", ""),
        ("Expect: 200-maybe\r\nContent-Length: 2", "{}"),
    ],
    ids=lambda value: value[:40],
)
def test_two_readers_cannot_disagree_about_a_request(
    raw: Callable[..., tuple[int, bytes]], target: Any, lines: str, body: str
) -> None:
    """A request whose end can be read in two ways is refused, or read once and the connection closed."""
    head = "POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    status, answer = raw(f"{head}{lines}\r\n\r\n{body}")
    assert status in (0, 400, 411, 415, 417, 501), answer
    assert answer.count(b"HTTP/1.1 ") <= 1, "the hidden request was answered"


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0",
        b"\0" * 5000,
        b"\r\n" * 3000,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\nHost: 127.0.0.1\n\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        random.Random(3).randbytes(4096),
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_no_request_is_hung_up_on(wire: Callable[..., Any], data: bytes) -> None:
    """I7: TLS, HTTP/2 and noise on the port get one short answer at most, and nobody else notices."""
    one = wire()
    one.send(data)
    one.socket.shutdown(socket.SHUT_WR)
    status, answer = one.answer()
    assert status in (0, 303, 400, 401, 403, 404, 405, 414, 431, 501, 505), answer
    assert b"Traceback" not in answer


def test_a_header_cannot_be_split_by_what_a_client_sends(
    raw: Callable[..., tuple[int, bytes]], target: Any
) -> None:
    """What comes back in Location and in problems never begins a line of its own."""
    for path in ("/jobs?x=%0d%0aSet-Cookie:%20a=b", "/runs/%0d%0aSet-Cookie:%20a=b", "/%0aSet-Cookie:a=b"):
        status, answer = raw(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert status in (303, 400, 404), answer
        assert not [line for line in answer.splitlines() if line.lower().startswith(b"set-cookie")]


def test_slow_clients_of_one_address_hold_up_nobody(
    target: Any, raw: Callable[..., tuple[int, bytes]]
) -> None:
    """I1: more half requests than the server has threads, and others are answered as if nothing were."""
    slow: list[socket.socket] = []
    half = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
    length = f"Host: 127.0.0.1\r\nAuthorization: Bearer {target.token}\r\nContent-Length: 4000\r\n"
    bodies = f"POST /api/v1/events HTTP/1.1\r\n{length}Content-Type: application/json\r\n\r\n{{".encode()
    try:
        for number in range(400):
            one = socket.create_connection(("127.0.0.1", target.port), timeout=30)
            one.sendall(half if number % 2 else bodies)
            slow.append(one)
        with socket.create_connection(
            ("127.0.0.1", target.port), timeout=10, source_address=("127.0.0.2", 0)
        ) as other:
            other.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert other.recv(64).startswith(b"HTTP/1.1 200 ")
        turned_away = 0
        for one in slow[LIMITS.connections_per_address :]:
            one.settimeout(30)
            try:
                first = one.recv(64)
            except ConnectionResetError:
                first = b""
            turned_away += first == b"" or first.startswith(b"HTTP/1.1 429 ")
            if turned_away > 200:
                break
        assert turned_away > 200
    finally:
        for one in slow:
            one.close()
    for _ in range(200):  # the first seats are free again as soon as the server has seen the hang-up
        try:
            if requests.get(f"{target.url}/healthz", timeout=10).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        threading.Event().wait(0.1)
    pytest.fail("the address was not let in again")


@pytest.fixture
def open_socket(target: Any) -> Iterator[Callable[..., websocket.WebSocket]]:
    """Open signed-in WebSockets; all are closed at the end."""
    opened: list[websocket.WebSocket] = []

    def dial(**options: Any) -> websocket.WebSocket:
        one = websocket.create_connection(
            f"ws://127.0.0.1:{target.port}/socket.io/?EIO=4&transport=websocket",
            header={"Authorization": f"Bearer {target.token}"},
            timeout=30,
            suppress_origin=True,
            **options,
        )
        opened.append(one)
        return one

    yield dial
    for one in opened:
        one.shutdown()


def test_one_address_has_so_many_sockets(open_socket: Callable[..., Any], target: Any) -> None:
    """I2: sockets beyond the limit of an address are turned away with 429; threads stay within bounds."""
    n_open = 0
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        for _ in range(LIMITS.sockets_per_address + 1):
            open_socket()
            n_open += 1
    assert refused.value.status_code == 429
    assert n_open <= LIMITS.sockets_per_address
    children = psutil.Process(target.process.pid).children(recursive=True)
    assert sum(child.num_threads() for child in children) < 600


def test_a_compressed_frame_is_not_inflated_without_end(
    open_socket: Callable[..., Any], memory: Any, target: Any
) -> None:
    """C3, I3: 200 KiB on a socket that would be 200 MiB of message close it, and memory stays."""
    before = memory(target)
    one = open_socket()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(b"4" * (200 * MIB)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    frame = websocket.ABNF(1, 1, 0, 0, websocket.ABNF.OPCODE_TEXT, 1, bomb[:-4])
    try:
        one.sock.sendall(frame.format())
        while one.sock.recv(65536):
            pass
    except (OSError, websocket.WebSocketException):
        pass
    assert memory(target) - before < 100 * MIB
    assert requests.get(f"{target.url}/healthz", timeout=30).status_code == 200


@pytest.mark.parametrize(
    "message", ['42["join", "room"]', '42["subscribe", {}]', "2probe", "5", "40/admin,", "1"]
)
def test_events_that_nobody_knows_do_nothing(
    open_socket: Callable[..., Any], target: Any, message: str
) -> None:
    """I4: rooms, namespaces and events that do not exist are ignored or close the socket."""
    one = open_socket()
    one.recv()
    one.send("40")
    one.recv()
    children = psutil.Process(target.process.pid).children(recursive=True)
    before = sum(child.num_threads() for child in children)
    try:
        for _ in range(300):
            one.send(message)
    except (OSError, websocket.WebSocketException):
        pass
    assert requests.get(f"{target.url}/healthz", timeout=30).status_code == 200
    assert sum(child.num_threads() for child in children) < before + 20


def test_a_storm_of_pages_after_a_restart_is_served(start_server: Any) -> None:
    """I8: all pages that an address may have come back at once, and each one is live again."""
    server = start_server()
    ready: list[str] = []

    def dial() -> None:
        one = websocket.create_connection(
            f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket",
            header={"Authorization": f"Bearer {server.token}"},
            timeout=30,
            suppress_origin=True,
        )
        one.recv()
        one.send("40")
        one.recv()
        one.send('421["watch", {"runs": []}]')
        ready.append(str(json.loads(str(one.recv())[3:])[0]["revision"]))
        one.shutdown()

    dial()
    server.stop()
    server.start()
    ready.clear()
    pages = [threading.Thread(target=dial) for _ in range(LIMITS.sockets_per_address)]
    for page in pages:
        page.start()
    for page in pages:
        page.join(60)
    assert len(ready) == LIMITS.sockets_per_address
