"""The outermost layer: gives each request its id, and counts and logs how it was answered.

Knows neither routes nor who may come in. A WebSocket is one request, which ends when it closes.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from deepevent_web import logs

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

HEADER = "X-Request-ID"
_GIVEN = re.compile(r"[A-Za-z0-9._:/+=-]{1,64}\Z")
_log = logging.getLogger(logs.REQUESTS)


class RequestsSeen:
    """See the module's description."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, int]] = Counter()

    @property
    def counts(self) -> dict[tuple[str, int], int]:
        """Requests answered so far, by method and status."""
        with self._lock:
            return dict(self._counts)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        given = environ.get("HTTP_X_REQUEST_ID", "")
        known = given if _GIVEN.match(given) else secrets.token_hex(8)
        started, status = time.monotonic(), [101]  # a WebSocket answers past start_response
        token = logs.request_id.set(known)

        def start(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            status[0] = int(line.split(" ", 1)[0])
            return start_response(line, [*headers, (HEADER, known)], exc_info)

        try:
            answer = self._app(environ, start)
        except BaseException:
            logs.request_id.reset(token)
            raise
        # The thread goes on with another request while gunicorn sends: nothing of ours is open by then.
        logs.request_id.reset(token)
        self._note(environ, status[0], started, known)
        return answer

    def _note(self, environ: Environ, status: int, started: float, known: str) -> None:
        method = str(environ.get("REQUEST_METHOD", ""))
        with self._lock:
            self._counts[method if method in _METHODS else "other", status] += 1
        if not _log.isEnabledFor(logging.INFO):
            return
        who = environ.get("deepevent.principal")
        fields = {
            "request": known,
            "method": method[:20],
            "path": str(environ.get("PATH_INFO", ""))[:500],
            "status": status,
            "ms": round(1000 * (time.monotonic() - started), 2),
            "address": environ.get("REMOTE_ADDR", ""),
            "who": getattr(who, "name", None),
            "role": getattr(who, "role", None),
        }
        _log.info("%s %s %d", fields["method"], fields["path"], status, extra={"fields": fields})


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
