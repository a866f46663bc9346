"""The socket: Flask-SocketIO, WebSocket only, threads; connects the browsers to the `tail`.

The gate has already checked who comes and given out a seat. Here messages are read within their limits
and handed on. Three settings reach into python-engineio, because it has no public way: the frame limit of
simple-websocket, the rate of incoming messages, and the length of a socket's queue; a test holds each of
them.
"""

from __future__ import annotations

import functools
import logging
import ssl
import threading
from typing import Any

import socketio
from engineio.async_drivers._websocket_wsgi import SimpleWebSocketWSGI
from flask import Flask, request
from flask_socketio import SocketIO

from deepevent_web import serialise
from deepevent_web.limits import LIMITS
from deepevent_web.tail import Tail
from deepevent_web.tls import SharedTlsSocket
from deepevent_web.watchers import Watch, Watcher, WatchRefused, read_watch

MAX_MESSAGE_BYTES = LIMITS.message_bytes
PACKET_TYPES = tuple("123456")
PING_INTERVAL_S = 10
PING_TIMEOUT_S = 10

_log = logging.getLogger(__name__)


class _Json:
    """How Socket.IO packs messages: as the API does."""

    dumps = staticmethod(lambda value, **_: serialise.dumps(value))

    @staticmethod
    def loads(text: str, **_: Any) -> Any:
        """Read a message strictly; a refusal ends the connection."""
        from deepevent_web import strict_json

        return strict_json.parse(text.encode("utf-8", "surrogatepass"))


class SocketOutlet:
    """The way to one browser over its Socket.IO connection."""

    def __init__(self, server: socketio.Server, sid: str, whole: threading.Lock) -> None:
        self._server = server
        self._sid = sid
        self._whole = whole
        self._socket_id = server.manager.eio_sid_from_sid(sid, "/")

    def waiting(self) -> int:
        """Packets that the socket has not taken yet; a closed socket has none."""
        socket = self._server.eio.sockets.get(self._socket_id)
        return 0 if socket is None else int(socket.queue.qsize())

    def send(self, event: str, *arguments: Any) -> None:
        """Put a message into the socket's queue; returns at once."""
        with self._whole:
            self._server.emit(event, arguments, to=self._sid)

    def close(self, reason: str) -> None:
        """Say why and close; a browser comes back by itself, unless it was signed out."""
        socket = self._server.eio.sockets.get(self._socket_id)
        if socket is None:
            return
        self.send("closing", {"reason": reason})
        if reason == "signed out":
            self._server.disconnect(self._sid)
        else:
            socket.close(wait=False, reason=self._server.eio.reason.SERVER_DISCONNECT)


class CheckedWebSocket(SimpleWebSocketWSGI):  # type: ignore[misc]
    """Ends the connection of who sends what is no Engine.IO packet; the engine would stumble over it."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Open the WebSocket; over TLS on a socket that can be read and written at once."""
        connection = environ.get("gunicorn.socket")
        if isinstance(connection, ssl.SSLSocket):
            environ["gunicorn.socket"] = SharedTlsSocket(connection)
        return super().__call__(environ, start_response)

    def wait(self) -> str | bytes | None:
        """The next message, or None at the end."""
        message: str | bytes | None = super().wait()
        if isinstance(message, str) and message[:1] not in PACKET_TYPES:
            return None
        return message or None


def install(app: Flask, tail: Tail) -> SocketIO:
    """Put the socket in front of `app`; the gate goes in front of both."""
    sockets = SocketIO(
        app,
        async_mode="threading",
        transports=["websocket"],
        # The gate has checked Host and Origin, for a proxied address too; an empty list means "not here".
        cors_allowed_origins=[],
        async_handlers=False,
        manage_session=False,
        max_http_buffer_size=MAX_MESSAGE_BYTES,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        json=_Json,
        http_compression=False,
        logger=False,
        engineio_logger=False,
    )
    server = sockets.server
    _limit(server, tail)
    whole = _keep_messages_whole(server)

    def connect(_auth: object = None) -> None:
        sid = request.sid  # type: ignore[attr-defined]
        tail.add(Watcher(sid, SocketOutlet(server, sid, whole), request.environ["deepevent.secret"]))

    def disconnect(_reason: object = None) -> None:
        tail.remove(request.sid)  # type: ignore[attr-defined]

    def watch(message: object = None) -> dict[str, Any]:
        watcher = tail.get(request.sid)  # type: ignore[attr-defined]
        if watcher is None:
            return {"error": "not connected"}
        if not watcher.watches.take():
            return {"error": "too many watch messages; wait a second"}
        try:
            return tail.watch(watcher, read_watch(message))
        except WatchRefused as error:
            return {"error": str(error)}

    def unwatch(_message: object = None) -> dict[str, Any]:
        watcher = tail.get(request.sid)  # type: ignore[attr-defined]
        if watcher is not None and watcher.watches.take():
            tail.watch(watcher, Watch())
        return {}

    sockets.on_event("connect", connect)
    sockets.on_event("disconnect", disconnect)
    sockets.on_event("watch", watch)
    sockets.on_event("unwatch", unwatch)
    return sockets


def _limit(server: socketio.Server, tail: Tail) -> None:
    engine = server.eio
    limited = functools.partial(CheckedWebSocket, max_message_size=MAX_MESSAGE_BYTES)
    engine._async = {**engine._async, "websocket": limited}
    take = engine.handlers["message"]

    def take_within_rate(socket_id: str, data: Any) -> None:
        sid = server.manager.sid_from_eio_sid(socket_id, "/")
        watcher = tail.get(sid) if sid is not None else None
        if watcher is not None and not watcher.messages.take():
            _log.info("a browser sends too many messages; its socket is closed")
            engine.disconnect(socket_id)
            return
        try:
            take(socket_id, data)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            _log.info("a browser sent what is no Socket.IO message; its socket is closed")
            engine.disconnect(socket_id)

    engine.handlers["message"] = take_within_rate


def _keep_messages_whole(server: socketio.Server) -> threading.Lock:
    """Let no answer of the receiving thread come between the tail's header and its binary part.

    They are two packets of one queue, and a browser that finds anything between them hangs up.

    Returns:
        The lock under which messages are to be sent.
    """
    whole, send = threading.Lock(), server._send_packet

    def send_whole(socket_id: str, packet: Any) -> None:
        with whole:
            send(socket_id, packet)

    server._send_packet = send_whole
    return whole
