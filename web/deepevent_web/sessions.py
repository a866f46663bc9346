"""Browser sessions: the cookie and its CSRF token."""

from __future__ import annotations

import hashlib
import hmac

COOKIE = "deepevent_session"
CSRF_HEADER = "HTTP_X_CSRF_TOKEN"
SESSION_S = 30 * 24 * 3600.0
CODE_S = 3600.0


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
