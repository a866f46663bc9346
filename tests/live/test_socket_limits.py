"""What one socket can do to the server and to the others: nothing much."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import websocket

import deepevent

N_METRICS = 100
N_STEPS = 3000


_opened: list[websocket.WebSocket] = []


@pytest.fixture(autouse=True)
def _close_all() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().shutdown()


def _open(server: Any, receive_buffer_bytes: int | None = None) -> websocket.WebSocket:
    options = []
    if receive_buffer_bytes is not None:
        options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)]
    connection = websocket.create_connection(
        f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket",
        header={"Authorization": f"Bearer {server.token}"},
        sockopt=options,
        timeout=30,
        suppress_origin=True,
    )
    _opened.append(connection)
    assert str(connection.recv()).startswith("0")
    connection.send("40")
    assert str(connection.recv()).startswith("40")
    return connection


def _is_closed(connection: websocket.WebSocket) -> bool:
    try:
        while True:
            if connection.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE:
                return True
    except (websocket.WebSocketException, OSError):
        return True


def _rss_bytes(server: Any) -> int:
    process = psutil.Process(server.process.pid)
    return sum(part.memory_info().rss for part in [process, *process.children(recursive=True)])


def test_a_reader_that_never_reads_holds_up_nobody(server: Any, open_page: Any) -> None:
    """A page that stopped reading costs no memory, and the page beside it gets every point."""
    run = deepevent.start(name="much")
    run.log({"m0": -1.0}, step=0)
    assert run.flush(timeout=60)
    deaf = _open(server, receive_buffer_bytes=4096)
    deaf.send("420" + json.dumps(["watch", {"runs": [run.id], "metrics": None}]))
    page = open_page(server)
    page.watch(run.id)
    before = _rss_bytes(server)
    for step in range(1, N_STEPS):
        run.log({f"m{n}": float(step) for n in range(N_METRICS)}, step=step)
    run.finish()
    page.wait_for(lambda: len(page.values.get((run.id, "m99", 0), [])) >= N_STEPS - 1)
    assert page.values[(run.id, "m99", 0)] == [float(step) for step in range(1, N_STEPS)]
    assert _rss_bytes(server) - before < 100 * 1024 * 1024
    deaf.close()


def test_a_huge_frame_closes_its_socket(server: Any) -> None:
    """A message beyond 64 kB ends the connection before it is read to its end."""
    connection = _open(server)
    before = _rss_bytes(server)
    try:
        for _ in range(40):
            connection.send_frame(
                websocket.ABNF(0, 0, 0, 0, websocket.ABNF.OPCODE_TEXT, 1, b"42" + b"x" * 1_000_000)
            )
    except OSError:
        pass
    assert _is_closed(connection)
    assert _rss_bytes(server) - before < 30 * 1024 * 1024
    assert server.call("GET", "/healthz").status_code == 200


@pytest.mark.parametrize("message", ['42["nothing", {}]', '420["unwatch"]', "3", "430[]"])
def test_a_flood_of_messages_is_cut_off(server: Any, message: str) -> None:
    """Thousands of messages at once close their socket or are ignored; threads do not grow, others live."""
    process = psutil.Process(server.process.pid)
    connection = _open(server)
    threads = sum(child.num_threads() for child in process.children(recursive=True))
    try:
        for _ in range(5000):
            connection.send(message)
    except OSError:
        pass
    assert server.call("GET", "/healthz").status_code == 200
    assert sum(child.num_threads() for child in process.children(recursive=True)) < threads + 20
    connection.close()


@pytest.mark.parametrize(
    "message",
    [
        "42[",
        '42["watch", NaN]',
        "42" + "[" * 5000,
        '4299999999999999999999["watch"]',
        '451-["watch",{"_placeholder":true,"num":5}]',
        "9",
        "",
    ],
)
def test_what_is_no_message_harms_only_its_sender(server: Any, message: str) -> None:
    """A message that cannot be read closes its socket at most, and leaves no traceback."""
    connection = _open(server)
    connection.send(message)
    connection.send("2")
    assert server.call("GET", "/healthz").status_code == 200
    connection.close()
    again = _open(server)
    again.send('421["watch", {"runs": []}]')
    assert str(again.recv()).startswith("431")
    again.close()
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (None, "object"),
        ({"runs": "x"}, "runs"),
        ({"runs": ["x"]}, "26"),
        ({"runs": ["01j0000000000000000000000a"] * 201}, "200"),
        ({"runs": [], "metrics": [1]}, "metrics"),
        ({"runs": [], "after": -1}, "after"),
        ({"runs": [], "after": True}, "after"),
        ({"runs": [], "other": 1}, "other"),
    ],
)
def test_a_wrong_watch_is_told_what_is_wrong(shared_server: Any, message: Any, reason: str) -> None:
    """The acknowledgement carries one sentence, and the connection stays."""
    connection = _open(shared_server)
    connection.send("421" + json.dumps(["watch", message]))
    answer = str(connection.recv())
    assert answer.startswith("431")
    assert reason in json.loads(answer[3:])[0]["error"]
    connection.close()


def test_a_silent_socket_is_dropped(server: Any) -> None:
    """Who does not answer pings is gone within half a minute."""
    connection = _open(server)
    connection.settimeout(60)
    started = time.monotonic()
    while True:
        try:
            opcode, _ = connection.recv_data()
        except (websocket.WebSocketException, OSError):
            break
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
    assert time.monotonic() - started < 50
