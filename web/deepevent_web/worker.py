"""The gunicorn worker: threads, a deadline for slow request heads, and a stop that loses nothing.

gunicorn's own thread worker waits for ever for the rest of a request's head, closes connections in the
thread that accepts them, and knows nothing of sockets that are open for hours. That is put right here.
Knows no routes.
"""

from __future__ import annotations

import ctypes
import signal
import ssl
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from gunicorn import util as gunicorn_util
from gunicorn.http import errors as http_errors
from gunicorn.workers.gthread import ThreadWorker

from deepevent_web.doorkeeper import Doorkeeper
from deepevent_web.problems import CONTENT_TYPE, Problem
from deepevent_web.security import SOCKET_PATH
from deepevent_web.shares import too_much

PR_SET_PDEATHSIG = 1
CLOSE_TIMEOUT_S = 1.0
TURNED_AWAY_BYTES = 64 * 1024
STOP_KEEPALIVE_S = 0.2
"""How long a stopping worker waits for requests on connections that are idle."""


def die_with_parent() -> None:
    """Let the kernel end this process when its parent is killed, so that the port is free again at once."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class DrainingWorker(ThreadWorker):  # type: ignore[misc]
    """See the module's description."""

    drain: Callable[[], None] | None = None
    """What to do before the process ends: set by the application once it is loaded."""
    doorkeeper = Doorkeeper()
    """Which connections may hold a thread: set before the workers are made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._draining: threading.Thread | None = None

    def init_process(self) -> None:
        """Start in the new process."""
        die_with_parent()
        self.doorkeeper.start()
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """Handle one request of a connection; its head must be there within the deadline."""
        if not self.doorkeeper.enter(conn):
            self._turn_away(conn)
            return False
        try:
            kept = super().handle(conn)
            if kept is False:
                # gunicorn would wait for the client's end in its only accepting thread, for two seconds each.
                if conn.sock.fileno() >= 0:
                    gunicorn_util.close_graceful(conn.sock, timeout=CLOSE_TIMEOUT_S)
                conn.close = lambda graceful=False: None
            return kept
        finally:
            self.doorkeeper.leave(conn)

    def _turn_away(self, conn: Any) -> None:
        """Hang up without waiting for anything, with a word why where that needs no handshake."""
        if conn.initialized or not self.cfg.is_ssl:
            _answer(conn.sock, too_much("too many connections of this address are being answered", 1.0))
            try:
                conn.sock.setblocking(False)
                conn.sock.recv(TURNED_AWAY_BYTES)  # what is unread would take the answer with it
            except OSError:
                pass
        gunicorn_util.close(conn.sock)
        conn.close = lambda graceful=False: None

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(min(deadline, time.monotonic() + STOP_KEEPALIVE_S))

    def handle_request(self, req: Any, conn: Any) -> Any:
        """The head is there."""
        self.doorkeeper.head_is_there(conn, stays=_opens_a_socket(req))
        return super().handle_request(req, conn)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain, and stop accepting."""
        if self._draining is None and self.drain is not None:
            self._draining = threading.Thread(target=self.drain, name="drain", daemon=True)
            self._draining.start()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Ctrl+C: the same."""
        self.handle_exit(sig, frame)

    def run(self) -> None:
        """Serve until told to stop; then wait for the drain."""
        super().run()
        if self._draining is not None:
            self._draining.join(timeout=self.cfg.graceful_timeout)

    @property
    def drained(self) -> bool:
        """Whether a drain was asked for and is over."""
        return self._draining is not None and not self._draining.is_alive()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what is no HTTP, or what failed outside of the application, with a problem."""
        if isinstance(exc, ssl.SSLError):  # no TLS came, or it broke off: there is nobody to answer
            return
        problem = _malformed(exc)
        if problem is None:
            self.log.error("a request failed", exc_info=exc)
            problem = Problem(500, "the server failed; its log says why")
        _answer(client, problem)


def _opens_a_socket(req: Any) -> bool:
    """Whether a request is one for a page's socket; the gate then gives it a seat, or a short answer."""
    upgrades = any(name == "UPGRADE" and value.lower() == "websocket" for name, value in req.headers)
    return upgrades and f"{SOCKET_PATH}/" in str(req.path)


def _answer(client: Any, problem: Problem) -> None:
    body = problem.body()
    more = "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items())
    head = (
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\nConnection: close\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n{more}"
        "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n"
    )
    try:
        client.sendall(head.encode() + body)
    except OSError:
        return


def _malformed(error: BaseException) -> Problem | None:
    if isinstance(error, http_errors.LimitRequestLine):
        return Problem(414, "the address is too long")
    if isinstance(error, http_errors.LimitRequestHeaders):
        return Problem(431, "the headers are too long or too many")
    if isinstance(error, http_errors.UnsupportedTransferCoding):
        return Problem(501, "this transfer coding is not understood")
    if isinstance(error, http_errors.ExpectationFailed):
        return Problem(417, "this expectation is not understood")
    if isinstance(error, http_errors.ParseException):
        return Problem(400, "this is not a well-formed HTTP request")
    return None
