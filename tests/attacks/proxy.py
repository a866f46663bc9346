"""A small reverse proxy: one connection per request, WebSockets passed on, X-Forwarded-… set as told."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from typing import Any


class Proxy:
    """Listens on a free port of this machine and passes everything on to a server.

    Args:
        port: the server's.
        forwarded: what to say of each request; None says nothing.
        host: the Host header to send on; None sends the client's.
    """

    def __init__(self, port: int, forwarded: dict[str, str] | None = None, host: str | None = None) -> None:
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    proxy.pass_on(self.request)

        class Listener(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server_port = port
        self._forwarded = forwarded or {}
        self._host = host
        self._listener = Listener(("127.0.0.1", 0), Handler)
        self.port = int(self._listener.server_address[1])
        self.paths: list[str] = []
        threading.Thread(target=self._listener.serve_forever, daemon=True).start()

    def pass_on(self, client: socket.socket) -> None:
        """Pass on one request, or all of a WebSocket."""
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(65536)
            if not piece:
                return
            head += piece
        first, _, rest = head.partition(b"\r\n")
        headers, _, body = rest.partition(b"\r\n\r\n")
        self.paths.append(first.split()[1].decode())
        lines = [first]
        is_socket = b"upgrade: websocket" in headers.lower()
        for line in headers.split(b"\r\n"):
            name = line.split(b":")[0].lower()
            if (name == b"connection" and not is_socket) or (name == b"host" and self._host is not None):
                continue
            lines.append(line)
        if self._host is not None:
            lines.append(f"Host: {self._host}".encode())
        if not is_socket:
            lines.append(b"Connection: close")
        lines += [f"{name}: {value}".encode() for name, value in self._forwarded.items()]
        with socket.create_connection(("127.0.0.1", self._server_port)) as server:
            server.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
            back = threading.Thread(target=self._pump, args=(client, server), daemon=True)
            back.start()
            self._pump(server, client)

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown()
        self._listener.server_close()


def start(*arguments: Any, **options: Any) -> Proxy:
    """Start a proxy."""
    return Proxy(*arguments, **options)
