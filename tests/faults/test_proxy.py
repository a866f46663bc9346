"""The proxy misbehaves as its weather says: what the network tests rest on."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def echo(proxies: Any) -> Iterator[tuple[Any, list[bytes]]]:
    """A proxy before a server that answers b'answer' to each 8 bytes, and what the server has received."""
    received: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    while data := connection.recv(8):
                        received.append(data)
                        connection.sendall(b"answer")
                except OSError:
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    proxy = proxies.Proxy(listener.getsockname()[1])
    yield proxy, received
    proxy.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


@pytest.fixture
def client(echo: Any) -> Iterator[Any]:
    """Connect through the proxy."""
    made: list[socket.socket] = []

    def connect() -> socket.socket:
        made.append(socket.create_connection(("127.0.0.1", echo[0].port), timeout=5))
        return made[-1]

    yield connect
    for connection in made:
        connection.close()


def test_fair_weather(echo: Any, client: Any) -> None:
    """What goes in comes out, both ways."""
    connection = client()
    connection.sendall(b"question")
    assert connection.recv(100) == b"answer"
    assert echo[1] == [b"question"]


def test_delay(weather: Any, echo: Any, client: Any) -> None:
    """An answer takes the delay twice."""
    echo[0].weather = weather(delay_s=0.1)
    connection = client()
    start = time.monotonic()
    connection.sendall(b"question")
    assert connection.recv(100) == b"answer"
    assert time.monotonic() - start >= 0.2


def test_cut_request(weather: Any, echo: Any, client: Any) -> None:
    """The server gets the first bytes and the client the end of the connection."""
    echo[0].weather = weather(cut_request_after=3)
    connection = client()
    connection.sendall(b"question")
    assert connection.recv(100) in (b"", b"answer")
    assert echo[0].n_cut == 1


def test_cut_reply(weather: Any, echo: Any, client: Any) -> None:
    """The server has the whole request; the client gets the first bytes of the answer and then the end."""
    echo[0].weather = weather(cut_reply_after=2)
    connection = client()
    connection.sendall(b"question")
    got = b""
    while data := connection.recv(100):
        got += data
    assert got == b"an"
    assert echo[1] == [b"question"]


def test_reset(weather: Any, echo: Any, client: Any) -> None:
    """A reset is an RST and no orderly end."""
    echo[0].weather = weather(down=True, reset=True)
    with pytest.raises(ConnectionResetError):
        connection = client()
        connection.sendall(b"question")
        while connection.recv(100):
            pass


def test_silence(weather: Any, echo: Any, client: Any) -> None:
    """A silent network accepts and says nothing."""
    echo[0].weather = weather(silent=True)
    connection = client()
    connection.settimeout(0.3)
    connection.sendall(b"question")
    with pytest.raises(TimeoutError):
        connection.recv(100)
    assert echo[1] == []
