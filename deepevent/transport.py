"""HTTP to the server: batches and blobs over one connection that is kept open.

Knows the protocol of docs/formats.md §2 and nothing of threads, retries or the journal; the shipper and
`deepevent sync` decide what to do with an answer.
"""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

from deepevent.errors import DeepEventError, SequenceGap, ServerBusy, ServerRefused, ServerUnreachable
from deepevent.wire import CONTENT_TYPE, Batch, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import BinaryIO

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
ANSWER_LIMIT_BYTES = 1 << 20


class Answer:
    """The server's acknowledgement of a batch."""

    __slots__ = ("acknowledged", "should_stop")

    def __init__(self, acknowledged: int, should_stop: bool) -> None:
        self.acknowledged = acknowledged
        self.should_stop = should_stop


class Transport:
    """A connection to one server.

    Args:
        url: `http://…` or `https://…`, with a path if the server lives under one.
        token: sent as a bearer token, if there is one.
        trust: how to check a `https` server's certificate; None: as every program does.
    """

    def __init__(
        self,
        url: str,
        token: str,
        timeout_s: float | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        self.url = url
        self.token = token
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port
        self._secure = parts.scheme == "https"
        self._prefix = parts.path.rstrip("/") + "/api/v1"
        self._timeout_s = ANSWER_TIMEOUT_S if timeout_s is None else timeout_s
        self._trust = trust
        self._connection: http.client.HTTPConnection | None = None

    def send(self, batch: Batch) -> Answer:
        """Send a batch.

        Raises:
            ServerUnreachable: no answer came, or none that can be understood.
            SequenceGap: the server wants earlier or later records.
            ServerBusy: it is busy or in trouble.
            ServerRefused: it will never take this (401, 403, 404, 413, 422, …).
        """
        status, headers, body = self._request("POST", "/ingest", encode(batch), CONTENT_TYPE)
        content = _parse(body)
        if status == 200:
            try:
                return Answer(int(content["acknowledged"]), bool(content.get("should_stop", False)))  # type: ignore[call-overload]
            except (KeyError, TypeError, ValueError):
                raise ServerUnreachable(f"{self.url} does not answer like a DeepEvent server") from None
        expected = content.get("expected")
        if status == 409 and isinstance(expected, int):
            raise SequenceGap(f"the server expects the records from {expected} on", expected)
        raise _refusal(status, headers, content)

    def put_blob(self, sha256: str, file: BinaryIO, size_bytes: int) -> None:
        """Upload a file under its hash; the server may have it already.

        Raises:
            ServerUnreachable, ServerBusy, ServerRefused: as `send`.
        """
        status, headers, body = self._request(
            "PUT", f"/blobs/{sha256}", file, "application/octet-stream", size_bytes
        )
        if status not in (200, 201, 204):
            raise _refusal(status, headers, _parse(body))

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=self._trust
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)

    def _request(
        self, method: str, path: str, body: bytes | BinaryIO, content_type: str, size_bytes: int | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        headers = {"Content-Type": content_type, "User-Agent": "deepevent"}
        headers["Content-Length"] = str(len(body) if isinstance(body, bytes) else size_bytes)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        for fresh in (self._connection is None, True):
            if self._connection is None:
                self._connection = self._connect()
            try:
                self._connection.request(method, self._prefix + path, body, headers)
                response = self._connection.getresponse()
                content = response.read(ANSWER_LIMIT_BYTES)
                if response.will_close or not response.isclosed():
                    self.close()
                return response.status, response.headers, content
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.close()
                if not fresh:  # a kept connection that the server has closed meanwhile: once more
                    if not isinstance(body, bytes):
                        body.seek(0)
                    continue
                raise ServerUnreachable(f"no answer from {self.url}: {error}") from error
        raise AssertionError("unreachable")


def _parse(body: bytes) -> dict[str, object]:
    try:
        content = json.loads(body) if body else {}
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _refusal(status: int, headers: http.client.HTTPMessage, content: dict[str, object]) -> DeepEventError:
    detail = str(content.get("detail") or content.get("title") or http.client.responses.get(status, ""))[:500]
    if status in (408, 425, 429) or status >= 500:
        return ServerBusy(status, _retry_after(headers.get("Retry-After")), detail)
    return ServerRefused(status, detail)


def _retry_after(text: str | None) -> float | None:
    try:
        return min(max(float(text), 0.0), 3600.0) if text else None
    except ValueError:
        return None
