"""Browser sessions: the cookie, its CSRF token, and patience with those who guess sign-in codes."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections import deque

COOKIE = "deepevent_session"
CSRF_HEADER = "HTTP_X_CSRF_TOKEN"
SESSION_S = 30 * 24 * 3600.0
CODE_S = 3600.0
GUESSES = 10
GUESSES_WINDOW_S = 60.0
_ADDRESSES_KEPT = 10_000


def csrf_token(secret: str) -> str:
    """The token that a session's page sends with each change; it follows from the session's secret."""
    return hmac.new(secret.encode(), b"deepevent csrf", hashlib.sha256).hexdigest()


def csrf_matches(secret: str, sent: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(csrf_token(secret).encode(), sent.encode("utf-8", "replace"))


def set_cookie(secret: str, *, secure: bool, max_age_s: float, base_path: str = "") -> str:
    """The Set-Cookie header that opens a session; `max_age_s` 0 ends it."""
    parts = [f"{COOKIE}={secret}", f"Path={base_path or '/'}", f"Max-Age={int(max_age_s)}"]
    parts += ["HttpOnly", "SameSite=Strict"]
    if secure:
        parts.append("Secure")
    return "; ".join(parts)


class Guesses:
    """Count failed sign-ins per address, and say when an address has had its share."""

    def __init__(self, allowed: int = GUESSES, window_s: float = GUESSES_WINDOW_S) -> None:
        self._allowed = allowed
        self._window_s = window_s
        self._failed: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def wait_s(self, address: str) -> float:
        """Seconds until this address may try again; 0 means now."""
        now = time.monotonic()
        with self._lock:
            times = self._failed.get(address)
            while times and now - times[0] > self._window_s:
                times.popleft()
            if not times or len(times) < self._allowed:
                return 0.0
            return self._window_s - (now - times[0])

    def note(self, address: str) -> None:
        """Remember a failure."""
        with self._lock:
            if len(self._failed) >= _ADDRESSES_KEPT and address not in self._failed:
                self._failed.pop(next(iter(self._failed)))
            self._failed.setdefault(address, deque(maxlen=self._allowed)).append(time.monotonic())
