"""What the server writes on stderr, in words or as JSON lines; never a secret.

Each request has an id, the caller's own (`X-Request-ID`) or a fresh one: it comes back with the answer and
stands in every line that was written while the request was served.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

FORMATS = ("text", "json")
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
REQUESTS = "deepevent_web.requests"
SECRET = re.compile(r"(?<![\w-])[\w-]{43}(?![\w-])")
"""All our secrets look so: 32 random bytes in base64url. A file's hash has 64 characters, an id 26."""
BEARER = re.compile(r"(?i)(bearer\s+)[\w.~+/=-]+")
request_id: ContextVar[str] = ContextVar("request_id", default="")


def without_secrets(text: str) -> str:
    """Blot out what looks like a token, a session or a sign-in code."""
    return SECRET.sub("[secret]", BEARER.sub(r"\1[secret]", text))


class Lines(logging.Formatter):
    """One record after another, for people."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines."""
        known = request_id.get()
        return without_secrets(super().format(record)) + (f" [request {known}]" if known else "")


class JsonLines(logging.Formatter):
    """One JSON object a line: `time, level, logger, message`; `request` within one, `error` of a failure."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= getattr(record, "fields", {})
        if known := request_id.get():
            told.setdefault("request", known)
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return without_secrets(json.dumps(told, ensure_ascii=False, default=str))


class ServerLogger(GunicornLogger):  # type: ignore[misc]
    """gunicorn's own lines, in the same form as ours."""

    def setup(self, cfg: Any) -> None:
        """Let the root's handler write them."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def set_up(form: str) -> None:
    """Write to stderr: warnings in words, or everything from `info` on, requests too, as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    if form == "json":
        for name in ("deepevent", "deepevent_web"):
            logging.getLogger(name).setLevel(logging.INFO)
