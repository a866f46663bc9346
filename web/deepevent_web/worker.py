"""The gunicorn worker: threads, a deadline for slow request heads, and a stop that loses nothing.

gunicorn's own thread worker waits for ever for the rest of a request's head, closes connections in the
thread that accepts them, and knows nothing of sockets that are open for hours. That is put right here.
Knows no routes.
"""

from __future__ import annotations

import ctypes
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from gunicorn import util as gunicorn_util
from gunicorn.http import errors as http_errors
from gunicorn.workers.gthread import ThreadWorker

from deepevent_web.bodies import HEADER_AND_BODY_DEADLINE_S
from deepevent_web.problems import CONTENT_TYPE, Problem

PR_SET_PDEATHSIG = 1
WATCH_EVERY_S = 1.0
CLOSE_TIMEOUT_S = 1.0
STOP_KEEPALIVE_S = 0.2
"""How long a stopping worker waits for requests on connections that are idle."""


def die_with_parent() -> None:
    """Let the kernel end this process when its parent is killed, so that the port is free again at once."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class DrainingWorker(ThreadWorker):  # type: ignore[misc]
    """See the module's description."""

    drain: Callable[[], None] | None = None
    """What to do before the process ends: set by the application once it is loaded."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading: dict[Any, float] = {}
        self._draining: threading.Thread | None = None

    def init_process(self) -> None:
        """Start in the new process."""
        die_with_parent()
        threading.Thread(target=self._cut_slow_heads, name="slow-heads", daemon=True).start()
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """Handle one request of a connection; its head must be there within the deadline."""
        self._reading[conn] = time.monotonic() + HEADER_AND_BODY_DEADLINE_S
        try:
            kept = super().handle(conn)
        finally:
            self._reading.pop(conn, None)
        if kept is False:
            # gunicorn would wait for the client's end in its only accepting thread, up to two seconds each.
            if conn.sock.fileno() >= 0:
                gunicorn_util.close_graceful(conn.sock, timeout=CLOSE_TIMEOUT_S)
            conn.close = lambda graceful=False: None
        return kept

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(min(deadline, time.monotonic() + STOP_KEEPALIVE_S))

    def handle_request(self, req: Any, conn: Any) -> Any:
        """The head is there."""
        self._reading.pop(conn, None)
        return super().handle_request(req, conn)

    def _cut_slow_heads(self) -> None:
        while True:
            time.sleep(WATCH_EVERY_S)
            now = time.monotonic()
            for conn, deadline in list(self._reading.items()):
                if now > deadline and self._reading.pop(conn, None) is not None:
                    try:
                        conn.sock.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        continue

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
        body = problem.body()
        head = (
            f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\nConnection: close\r\n"
            f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n"
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
