"""Calls of the HTTP API with JSON in and out, for commands and agents.

One connection per call, so that any thread may call. Which server: `endpoint`. Knows no path of the API, and
needs the standard library alone; scripts that log use `transport` instead.
"""

from __future__ import annotations

import http.client
import json
import threading
from typing import Any
from urllib.parse import urlsplit

from deepevent.endpoint import Endpoint
from deepevent.errors import ServerRefused, ServerUnreachable
from deepevent.settings import Settings

TIMEOUT_S = 30.0
ANSWER_LIMIT_BYTES = 64 << 20
NO_SERVER = (
    "no server is known: start one with `deepevent serve`, or set DEEPEVENT_URL and DEEPEVENT_TOKEN to one"
)


class ServerApi:
    """One server's API.

    Args:
        endpoint: finds the server, again after it was started anew.
        timeout_s: longest wait for an answer.
    """

    def __init__(self, endpoint: Endpoint, timeout_s: float = TIMEOUT_S) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._lock = threading.Lock()

    def address(self) -> tuple[str, str]:
        """Give the server's address and token.

        Raises:
            ServerUnreachable: none is known.
        """
        with self._lock:
            self._endpoint.refresh()
            url, token = self._endpoint.url, self._endpoint.token
        if not url:
            raise ServerUnreachable(NO_SERVER)
        return url, token

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """Call the API; `path` is what stands behind `/api/v1`.

        Returns:
            The answer's object; empty where there is none.

        Raises:
            ServerUnreachable: no answer, or not one of a DeepEvent server.
            ServerRefused: with the server's status and sentence, and its word on each field.
        """
        url, token = self.address()
        parts = urlsplit(url)
        host, limit_s = parts.hostname or "127.0.0.1", timeout_s or self._timeout_s
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                host, parts.port, timeout=limit_s, context=self._endpoint.trust()
            )
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=limit_s)
        headers = {"User-Agent": "deepevent", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, f"{parts.path.rstrip('/')}/api/v1{path}", data, headers)
            response = connection.getresponse()
            content = _parse(response.read(ANSWER_LIMIT_BYTES))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServerUnreachable(f"no answer from {url}: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise ServerRefused(response.status, _explain(content, response.status))
        return content


def connect(url: str | None = None, token: str | None = None, timeout_s: float = TIMEOUT_S) -> ServerApi:
    """Find the server that the settings name: a flag, else DEEPEVENT_URL, else the one of the local home."""
    return ServerApi(find(Settings({"url": url, "token": token})), timeout_s)


def find(settings: Settings) -> Endpoint:
    """Find the server of these settings; the local one's token is known even if its address was spelt out."""
    endpoint = Endpoint(settings.home, settings.url, settings.token)
    if settings.url and not settings.token:
        local = Endpoint(settings.home)
        local.refresh()
        if local.url == endpoint.url:
            return local
    return endpoint


def _parse(text: bytes) -> dict[str, Any]:
    content = json.loads(text) if text else {}
    if not isinstance(content, dict):
        raise ValueError("the answer is no JSON object")
    return content


def _explain(content: dict[str, Any], status: int) -> str:
    detail = str(content.get("detail") or content.get("title") or http.client.responses.get(status, ""))
    errors = content.get("errors")
    if isinstance(errors, list) and len(errors) > 1:
        lines = [f"{e.get('field')} {e.get('detail')}" for e in errors if isinstance(e, dict)]
        detail = "; ".join(lines)
    return detail[:2_000]
